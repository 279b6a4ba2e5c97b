"""One domain of a fleet: SPF, DMARC and its provider, as one examination."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from diagnose.checks import dmarc
from diagnose.checks.fleet_preset import examine_preset
from diagnose.checks.report_parts import Part, run_parts
from diagnose.domain import Domain, existence
from diagnose.finding import Examination
from diagnose.resolver import Resolver, Until
from diagnose.runner import STEPS_IN_ALL, Circumstances
from diagnose.spf.coverage import Senders
from diagnose.spf.examination import examine_spf

_SPF = ("record", "result", "lookups", "coverage", "suggestion")
_DMARC = {
    "dmarc_record": "record",
    "dmarc_location": "location",
    "dmarc_policy": "policy",
    "dmarc_applied": "applied",
}


async def examine_domain(
    domain: Domain, senders: Senders, resolver: Resolver, circumstances: Circumstances
) -> Examination:
    """All that is found out about `domain`, within ten times the time of a step.

    About a domain that does not exist, or that DNS says nothing of, nothing else is asked. What
    could not be checked is a finding.
    """
    # A step's time before the end, so that what was found until then is kept.
    seconds = circumstances.timeout_seconds * (STEPS_IN_ALL - 1)
    until = Until(resolver, asyncio.get_running_loop().time() + seconds)
    own = replace(circumstances, shared=until, may_talk=False)
    content: dict[str, Any] = {
        **dict.fromkeys((*_SPF, *_DMARC)),
        "coverage": [],
        "presets": [],
        "mx": [],
    }
    wrong = await existence(domain.name, own)
    if wrong is not None:
        return Examination("fleet", domain.name, [*domain.notes, wrong], content)
    spf, policy, provider = await run_parts(_parts(domain, senders), own)
    content |= spf.examination.content
    found = policy.examination.content
    content |= {key: found.get(theirs) for key, theirs in _DMARC.items()}
    content |= provider.examination.content
    findings = [*domain.notes]
    findings += [each for part in (spf, policy, provider) for each in part.examination.findings]
    return Examination("fleet", domain.name, findings, content)


def _parts(domain: Domain, senders: Senders) -> list[Part]:
    async def spf(circumstances: Circumstances) -> Examination:
        found = await examine_spf(
            domain.name,
            senders=senders,
            resolver=circumstances.resolver(),
            language=circumstances.language,
        )
        return Examination("spf", domain.name, found.findings, found.document_keys)

    async def policy(circumstances: Circumstances) -> Examination:
        return await dmarc.examine(Domain(domain.name), circumstances)

    async def provider(circumstances: Circumstances) -> Examination:
        return await examine_preset(domain.name, circumstances)

    return [
        Part("spf", domain.name, spf),
        Part("dmarc", domain.name, policy),
        Part("presets", domain.name, provider),
    ]
