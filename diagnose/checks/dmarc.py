"""`diagnose dmarc`: the policy of a domain, and what keeps it from working."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from diagnose.blocking import in_thread
from diagnose.checks.dmarc_policy import (
    ACTIONS,
    ALIGNMENT,
    Absence,
    NoPolicy,
    Policy,
    find_policy,
    suggestion,
)
from diagnose.checks.dmarc_reports import Destination, destinations
from diagnose.domain import Domain, dns_failed, existence
from diagnose.finding import Examination, Finding, Severity
from diagnose.runner import Check, Circumstances, run_checks
from diagnose.spf.lookup import LookupFailed
from diagnose.wording import finding, say

_SEVERITY = {Absence.NONE: Severity.WARNING}
_GONE = ("pct", "rf", "ri")  # tags that RFC 9989 took out


async def examine(domain: Domain, circumstances: Circumstances) -> Examination:
    """The policy that holds for `domain`, with all that is wrong with it."""
    content: dict[str, Any] = {
        **dict.fromkeys(("record", "location", "policy", "applied", "alignment", "suggestion")),
        "tags": {},
        "reports": [],
    }

    async def check() -> Sequence[Finding]:
        return await _check(domain.name, circumstances, content)

    name = say("dmarc/check", circumstances.language, domain=domain.name)
    found = await run_checks([Check(name, check)], circumstances)
    lines = []
    if content["record"] is not None:
        place = f"_dmarc.{content['location']}"
        record = content["record"]
        lines = [say("dmarc/shown", circumstances.language, place=place, record=record)]
    return Examination("dmarc", domain.name, [*domain.notes, *found], content, lines=lines)


async def _check(
    domain: str, circumstances: Circumstances, content: dict[str, Any]
) -> Sequence[Finding]:
    wrong = await existence(domain, circumstances)
    if wrong is not None:
        return [wrong]
    try:
        policy = await find_policy(domain, circumstances)
    except LookupFailed as failure:
        return [dns_failed(failure, circumstances.language)]
    if isinstance(policy, NoPolicy):
        return [await _absence(domain, policy, circumstances, content)]
    content |= {
        "record": policy.record,
        "location": policy.location,
        "policy": policy.published,
        "applied": policy.applied,
        "tags": dict(policy.tags),
        "alignment": {tag: "s" if policy.strict(tag) else "r" for tag in ALIGNMENT},
    }
    if policy.fault is not None:
        content["suggestion"] = await _suggestion([policy.record], domain, circumstances)
    about = _about(policy, circumstances, content["suggestion"])
    reports = await destinations(policy, circumstances)
    content["reports"] = [each.document() for each in reports]
    return [*about, *_about_reports(policy, reports, circumstances)]


async def _suggestion(records: Sequence[str], domain: str, circumstances: Circumstances) -> str:
    """Made in a thread: checkdmarc takes half a second to load."""
    return await in_thread(lambda: suggestion(records, domain), circumstances.timeout_seconds + 5)


async def _absence(
    domain: str, policy: NoPolicy, circumstances: Circumstances, content: dict[str, Any]
) -> Finding:
    content["suggestion"] = await _suggestion(policy.records, domain, circumstances)
    absence = policy.absence
    return finding(
        f"dmarc/dmarc-{absence}",
        _SEVERITY.get(absence, Severity.ERROR),
        circumstances.language,
        domain=domain,
        records=" | ".join(policy.records),
        record=content["suggestion"],
    )


def _about(policy: Policy, circumstances: Circumstances, better: str | None) -> list[Finding]:
    """The findings about the record itself."""
    named: list[tuple[str, Severity, dict[str, object]]] = []
    if policy.fault is not None:
        named.append(("syntax", Severity.ERROR, {"fault": policy.fault, "record": better}))
    elif policy.published == "none":
        named.append(("monitoring", Severity.INFO, {}))
    else:
        named.append(("enforced", Severity.OK, {}))
    named += _remarks(policy)
    evidence = {"domain": policy.domain, "location": policy.location, "policy": policy.published}
    return [
        finding(f"dmarc/dmarc-{id_}", severity, circumstances.language, **evidence, **more)
        for id_, severity, more in named
    ]


def _remarks(policy: Policy) -> Iterator[tuple[str, Severity, dict[str, object]]]:
    """What is to be said of a record beside its policy: id, severity, evidence."""
    if policy.inherited:
        yield "inherited", Severity.INFO, {}
    if policy.fault is None and policy.action("p") is None:
        yield "no-action", Severity.WARNING, {"record": policy.record}
    if policy.testing:
        yield "testing", Severity.INFO, {"applied": policy.applied}
    if gone := [f"{tag}={policy.tags[tag]}" for tag in _GONE if tag in policy.tags]:
        yield "old-tags", Severity.INFO, {"tags": ", ".join(gone)}
    if _weaker_below(policy):
        actions = {"p": policy.action("p"), "sp": policy.action("sp")}
        yield "subdomains-weaker", Severity.WARNING, {**actions}
    if strict := [f"{tag}=s" for tag in ALIGNMENT if policy.strict(tag)]:
        yield "strict", Severity.INFO, {"tags": ", ".join(strict)}
    if policy.unrelated:
        yield "unrelated", Severity.INFO, {"texts": " | ".join(policy.unrelated)}


def _weaker_below(policy: Policy) -> bool:
    own, below = policy.action("p"), policy.action("sp")
    return own is not None and below is not None and ACTIONS.index(below) < ACTIONS.index(own)


def _about_reports(
    policy: Policy, reports: Sequence[Destination], circumstances: Circumstances
) -> list[Finding]:
    """The findings about where reports go."""
    language = circumstances.language
    if not policy.tags.get("rua"):
        record = f"{policy.record.rstrip('; ')}; rua=mailto:postmaster@{policy.location}"
        evidence = {"location": policy.location, "record": record}
        return [finding("dmarc/dmarc-no-reports", Severity.WARNING, language, **evidence)]
    wrong = {"bad": Severity.WARNING, "refused": Severity.WARNING, "unknown": Severity.UNKNOWN}
    return [
        finding(
            f"dmarc/dmarc-report-{each.state}",
            wrong[each.state],
            language,
            tag=each.tag,
            uri=each.uri,
            name=each.authorisation,
        )
        for each in reports
        if each.state in wrong
    ]
