"""The one document, and the tables, that sum up a fleet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from diagnose.checks.fleet import Fleet
from diagnose.checks.fleet_list import DomainList
from diagnose.checks.fleet_tally import Common, Outcome
from diagnose.dns_cache import Counts
from diagnose.finding import Document, Examination, Finding, Severity, Table, Verdict
from diagnose.wording import Language, finding, say

MOST_SHOWN = 50
"""Domains in the table for people; the document has them all."""

_MOST_BAD_LINES = 20
_MOST_COMMON = 15
_VERDICTS = (
    (Verdict.PASS, "fleet-pass", Severity.OK),
    (Verdict.WARN, "fleet-warn", Severity.WARNING),
    (Verdict.UNKNOWN, "fleet-unknown", Severity.UNKNOWN),
    (Verdict.FAIL, "fleet-fail", Severity.ERROR),
)


@dataclass(frozen=True, slots=True)
class Circle:
    """What a run was about: the list and where it came from, and where the results went.

    `resumed` domains were done before.
    """

    file: str
    listed: DomainList
    output: Path | None
    resumed: int


def summary(fleet: Fleet, circle: Circle, dns: Counts, language: Language) -> Examination:
    """All that came of it. What was not done is unknown, never good."""
    names = [domain.name for domain in circle.listed.domains]
    work = list(fleet.tally.needing_work(names))
    common = fleet.tally.commonest()
    counts = {verdict.value: fleet.tally.count(verdict) for verdict, _, _ in _VERDICTS}
    content: Document = {
        "domains": {
            "listed": len(names),
            "done": fleet.tally.done,
            **counts,
            "resumed": circle.resumed,
            "repeated": circle.listed.repeated,
        },
        "commonest": [_common_document(each) for each in common],
        "work": [_work_document(name, one) for name, one in work],
        "bad_lines": [
            {"line": bad.line, "text": bad.text, "error": bad.error} for bad in circle.listed.bad
        ],
        "output": str(circle.output) if circle.output else None,
        "dns": {
            "questions": dns.questions,
            "asked": dns.asked,
            "remembered": dns.remembered,
            "joined": dns.joined,
            "forgotten": dns.forgotten,
        },
    }
    findings = [*_findings(fleet, circle, language)]
    tables = [*_tables(common, work, language)]
    return Examination("fleet", circle.file, findings, content, tables)


def _findings(fleet: Fleet, circle: Circle, language: Language) -> Iterator[Finding]:
    total = len(circle.listed.domains)
    for verdict, id_, severity in _VERDICTS:
        if count := fleet.tally.count(verdict):
            yield finding(f"fleet/{id_}", severity, language, count=count, total=total)
    if circle.resumed:
        evidence = {"count": circle.resumed, "file": str(circle.output)}
        yield finding("fleet/fleet-resumed", Severity.INFO, language, **evidence)
    if circle.listed.repeated:
        count = circle.listed.repeated
        yield finding("fleet/fleet-repeated", Severity.INFO, language, count=count)
    for bad in circle.listed.bad[:_MOST_BAD_LINES]:
        evidence = {"line": bad.line, "text": bad.text, "error": bad.error}
        yield finding("fleet/fleet-bad-line", Severity.UNKNOWN, language, **evidence)
    if more := len(circle.listed.bad[_MOST_BAD_LINES:]):
        yield finding("fleet/fleet-more-bad-lines", Severity.UNKNOWN, language, count=more)
    if fleet.write_error is not None:
        evidence = {"file": str(circle.output), "error": fleet.write_error}
        yield finding("fleet/fleet-not-written", Severity.UNKNOWN, language, **evidence)
    if left := total - fleet.tally.done:
        kept = "fleet-stopped" if circle.output else "fleet-stopped-unkept"
        yield finding(f"fleet/{kept}", Severity.UNKNOWN, language, count=left, total=total)


def _tables(
    common: list[Common], work: list[tuple[str, Outcome]], language: Language
) -> Iterator[Table]:
    if common:
        rows = [(each.domains, each.severity.value, each.id, each.example) for each in common]
        headings = tuple(say("fleet/common-headings", language).split("|"))
        yield Table(headings, rows[:_MOST_COMMON], say("fleet/common-title", language))
    if work:
        shown = [(name, one.verdict.value, " ".join(one.problems)) for name, one in work]
        headings = tuple(say("fleet/work-headings", language).split("|"))
        count = len(shown)
        title = say("fleet/work-title", language, count=count, shown=min(count, MOST_SHOWN))
        yield Table(headings, shown[:MOST_SHOWN], title)


def _common_document(common: Common) -> Document:
    return {
        "id": common.id,
        "severity": common.severity.value,
        "domains": common.domains,
        "example": common.example,
    }


def _work_document(name: str, one: Outcome) -> Document:
    return {"domain": name, "verdict": one.verdict.value, "findings": list(one.problems)}
