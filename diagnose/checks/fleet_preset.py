"""Which provider a domain's mail is at, and whether its SPF record lets that provider send."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from diagnose.checks.discover import presets_of_mx
from diagnose.domain import dns_failed
from diagnose.finding import Examination, Finding, Severity
from diagnose.resolver import Remembering
from diagnose.runner import Circumstances
from diagnose.spf.coverage import Senders, cover, sources_of
from diagnose.spf.lookup import LookupFailed, hosts, texts
from diagnose.spf.record import is_spf
from diagnose.wording import finding
from presets.catalog import catalog
from presets.model import Preset

_MOST_HOSTS = 20


async def examine_preset(domain: str, circumstances: Circumstances) -> Examination:
    """The presets that serve `domain`, by its name or its MX hosts. Nothing is dialled."""
    content: dict[str, Any] = {"presets": [], "mx": []}
    findings = await _findings(domain, circumstances, content)
    return Examination("presets", domain, findings, content)


async def _findings(
    domain: str, circumstances: Circumstances, content: dict[str, Any]
) -> Sequence[Finding]:
    language = circumstances.language
    own = catalog().by_domain(domain)
    if own is not None:
        content["presets"] = [own.id]
        evidence = {"domain": domain, "id": own.id, "name": own.name}
        return [finding("fleet/fleet-mail-domain", Severity.INFO, language, **evidence)]
    try:
        mx = [name.lower() for name in await hosts(circumstances.resolver(), domain)]
        presets = _presets_of(mx)
        content |= {"mx": mx, "presets": [preset.id for preset in presets]}
        shown = ", ".join(mx[:_MOST_HOSTS]) or "-"
        if not presets:
            return [
                finding("fleet/fleet-no-preset", Severity.INFO, language, domain=domain, mx=shown)
            ]
        evidence = {"domain": domain, "mx": shown, "id": ", ".join(content["presets"])}
        found = [finding("fleet/fleet-preset", Severity.INFO, language, **evidence)]
        if await _left_out(domain, presets, circumstances):
            evidence |= {"id": presets[0].id, "name": presets[0].name}
            found.append(
                finding("fleet/fleet-preset-not-covered", Severity.WARNING, language, **evidence)
            )
        return found
    except LookupFailed as failure:
        return [dns_failed(failure, language)]


def _presets_of(mx: Sequence[str]) -> list[Preset]:
    found = {preset.id: preset for host in mx[:_MOST_HOSTS] for preset in presets_of_mx(host)}
    return list(found.values())


async def _left_out(domain: str, presets: Sequence[Preset], circumstances: Circumstances) -> bool:
    """Whether there is an SPF record, and it lets none of the presets send.

    Raises LookupFailed.
    """
    resolver = Remembering(circumstances.resolver())
    records = [text for text in await texts(resolver, domain) or () if is_spf(text)]
    if len(records) != 1:
        return False  # that is told already
    vias = tuple(preset.id for preset in presets)
    sources = sources_of(Senders(vias, ordernow=False))
    written = records[0].lower().split()
    if any(term in written for source in sources for term in source.terms):
        return False
    if not all(source.terms and source.needed for source in sources):
        return False  # nobody knows what one of them would need
    rows = await cover(sources, domain, resolver)
    return all(row.total and row.evaluation is not None and row.covered == 0 for row in rows) and (
        not any(row.failed for row in rows)
    )
