"""`diagnose presets`: what is known of the providers."""

from __future__ import annotations

from diagnose.finding import Examination, Finding, Severity
from presets.catalog import catalog
from presets.model import Preset


def listing() -> Examination:
    """All presets, one line each."""
    entries = []
    for preset in catalog():
        endpoint = preset.endpoint()
        entries.append(
            {
                "id": preset.id,
                "name": preset.name,
                "country": preset.country,
                "kind": preset.kind,
                "state": preset.status.state,
                "merged_into": preset.status.merged_into,
                "offer_as_preset": preset.offer_as_preset,
                "server": f"{endpoint.host}:{endpoint.port}" if endpoint else None,
                "tls": endpoint.tls if endpoint else None,
            }
        )
    return Examination("presets list", None, [], {"presets": entries})


def single(name: str, language: str) -> tuple[Preset, Examination]:
    """One preset, the one that carries the name; with a warning where the name is of the past.

    `use` is the id of today. Raises UnknownPreset with the nearest ids.
    """
    found = catalog().resolve(name)
    findings = []
    if found.warning is not None:
        evidence = {"use": found.preset.id}
        title = found.warning[language]
        findings.append(Finding("preset-outdated", Severity.WARNING, title, evidence=evidence))
    content = {**catalog().as_json(found.requested), "use": found.preset.id}
    return found.requested, Examination("presets show", name, findings, content)
