"""`diagnose presets`: what is known of the providers."""

from __future__ import annotations

from diagnose.finding import Examination, Severity, Table
from diagnose.render import preset_lines, text
from diagnose.wording import Language, finding
from presets.catalog import catalog


def listing(language: str) -> Examination:
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
    keys = ("id", "name", "country", "state", "server")
    rows = [[entry[key] for key in keys] for entry in entries]
    shown = Table(tuple(text("list.headers", language).split("|")), rows)
    lines = (text("list.total", language, count=len(entries)),)
    return Examination("presets list", None, [], {"presets": entries}, (shown,), lines)


def single(name: str, language: Language) -> Examination:
    """One preset, the one that carries the name; with a warning where the name is of the past.

    `use` is the id of today. Raises UnknownPreset with the nearest ids.
    """
    found = catalog().resolve(name)
    findings = []
    if found.warning is not None:
        warning = found.warning[language]
        findings.append(
            finding(
                "common/preset-outdated",
                Severity.WARNING,
                language,
                warning=warning,
                use=found.preset.id,
            )
        )
    content = {**catalog().as_json(found.requested), "use": found.preset.id}
    lines = tuple(preset_lines(found.requested, language))
    return Examination("presets show", name, findings, content, lines=lines)
