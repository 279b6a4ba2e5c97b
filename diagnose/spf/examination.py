"""All that `diagnose spf` finds out about a domain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from diagnose.finding import Document, Finding, Severity
from diagnose.resolver import Overlay, Remembering, Resolver
from diagnose.spf.advise import Advice, advise, split
from diagnose.spf.coverage import Row, Senders, cover, sources_of
from diagnose.spf.faults import record_findings
from diagnose.spf.findings import advice_findings, own_address_findings, source_findings
from diagnose.spf.names import ascii_name, is_mail_domain
from diagnose.spf.outcome import LIMITS, Result, Step
from diagnose.spf.survey import Survey, survey
from diagnose.wording import Language, finding

_WORST_FIRST = (
    Result.TEMPERROR,
    Result.PERMERROR,
    Result.NONE,
    Result.FAIL,
    Result.SOFTFAIL,
    Result.NEUTRAL,
    Result.PASS,
)


@dataclass(frozen=True, slots=True)
class SpfExamination:
    """The findings, the keys of the document, and the trace of one evaluation.

    The trace is that of the first source that does not pass, else of an address that no term
    names.
    """

    findings: tuple[Finding, ...]
    document_keys: Document
    trace: tuple[Step, ...] = field(default=())


async def examine_spf(
    domain: str,
    *,
    senders: Senders,
    record: str | None = None,
    resolver: Resolver,
    language: Language,
) -> SpfExamination:
    """Whether every machine that sends for `domain` is covered, and what to publish if not.

    `record` is tried in place of the published one. Failures of DNS are findings. Raises
    UnknownPreset for a preset of `senders`, ValueError for an address in it.
    """
    sources = sources_of(senders)
    name = ascii_name(domain)
    if not is_mail_domain(name):
        wrong = finding("spf/spf-not-a-domain", Severity.ERROR, language, domain=domain)
        return SpfExamination((wrong,), _keys(None, (), Advice()))
    view: Resolver = Remembering(resolver)
    if record is not None:
        view = Overlay(view, name, split(record))
    found = await survey(name, view)
    rows = await cover(sources, name, view)
    advice = await advise(found, rows, view)
    findings = [*record_findings(found, language)]
    for row in rows:
        findings += source_findings(row, language)
    findings += own_address_findings(rows, bool(senders.ips), language)
    findings += advice_findings(advice, found, language)
    return SpfExamination(tuple(findings), _keys(found, rows, advice), _trace(found, rows))


def _keys(found: Survey | None, rows: Sequence[Row], advice: Advice) -> Document:
    return {
        "record": found.texts[0] if found and found.texts else None,
        "result": str(_result(found, rows)),
        "lookups": {
            "dns": found.needs.dns if found else 0,
            "void": found.needs.void if found else 0,
            "limit_dns": LIMITS.dns,
            "limit_void": LIMITS.void,
        },
        "coverage": [row.document() for row in rows],
        "suggestion": advice.suggestion.document() if advice.suggestion else None,
    }


def _result(found: Survey | None, rows: Sequence[Row]) -> Result:
    """The worst result of the sources; without one, what an address gets that is not listed."""
    results = {row.evaluation.result for row in rows if row.evaluation is not None}
    if results:
        return min(results, key=_WORST_FIRST.index)
    return found.unlisted.result if found else Result.NONE


def _trace(found: Survey, rows: Sequence[Row]) -> tuple[Step, ...]:
    bad = (row.evaluation for row in rows if row.evaluation is not None and not row.passes)
    return next(bad, found.unlisted).trace
