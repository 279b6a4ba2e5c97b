"""What is wrong with a record: faults that receivers stop at, and habits that cost mail."""

from __future__ import annotations

from collections.abc import Iterator

from diagnose.finding import Finding, Severity
from diagnose.spf.legacy import old_terms
from diagnose.spf.outcome import LIMITS, Cause, Problem, Result
from diagnose.spf.record import Record
from diagnose.spf.survey import Survey
from diagnose.spf.term import Kind, Mechanism
from diagnose.wording import Language, finding, say

LONG_OCTETS = 450  # a longer record may not fit in one UDP answer (RFC 7208 section 3.4)

_BY_CAUSE = {
    Cause.NO_RECORD: "spf-include-missing",
    Cause.SEVERAL_RECORDS: "spf-include-several-records",
    Cause.TOO_MANY_MX: "spf-too-many-mx",
}


def record_findings(survey: Survey, language: Language) -> Iterator[Finding]:
    """What is wrong with the record itself; one finding that it is good where nothing is."""
    found = list(_faults(survey, language))
    if survey.record is not None:
        found += _habits(survey.record, survey, language)
    if not found:
        yield finding(
            "spf/spf-record-good", Severity.OK, language, record=survey.texts[0], **_costs(survey)
        )
    yield from found


def _faults(survey: Survey, language: Language) -> Iterator[Finding]:
    """What makes a receiver answer none, permerror or temperror."""
    domain = survey.domain
    problem = survey.unlisted.problem
    if survey.exists is None:
        yield _dns_failed(survey.failure, domain, language)
    elif not survey.exists:
        yield finding("spf/spf-no-domain", Severity.ERROR, language, domain=domain)
    elif not survey.texts:
        yield finding("spf/spf-no-record", Severity.ERROR, language, domain=domain)
    elif len(survey.texts) > 1:
        yield finding(
            "spf/spf-several-records",
            Severity.ERROR,
            language,
            domain=domain,
            count=len(survey.texts),
            records=" | ".join(survey.texts),
        )
    else:
        yield from _limits(survey, language)
        if problem is not None:
            yield from _stopped(problem, language)


def _limits(survey: Survey, language: Language) -> Iterator[Finding]:
    costs = _costs(survey)
    if survey.needs.dns > LIMITS.dns:
        yield finding("spf/spf-too-many-lookups", Severity.ERROR, language, **costs)
    if survey.needs.void > LIMITS.void:
        yield finding("spf/spf-too-many-void", Severity.ERROR, language, **costs)
    elif survey.needs6.void > LIMITS.void:
        costs["void"] = survey.needs6.void
        yield finding("spf/spf-too-many-void-ipv6", Severity.WARNING, language, **costs)


def _stopped(problem: Problem, language: Language) -> Iterator[Finding]:
    """The first thing that ended the evaluation; what the limits say is said already."""
    term, domain = problem.term or "", problem.domain
    if problem.cause is Cause.LOOKUP_FAILED:
        yield _dns_failed(problem.detail, domain, language)
    elif problem.error is not None:
        yield finding(
            "spf/spf-syntax",
            Severity.ERROR,
            language,
            domain=domain,
            term=problem.error.term,
            position=problem.error.position + 1,
            fault=say(f"spf/fault-{problem.error.fault}", language),
        )
    elif (id_ := _BY_CAUSE.get(problem.cause)) is not None:
        yield finding(
            f"spf/{id_}",
            Severity.ERROR,
            language,
            domain=domain,
            term=term,
            target=problem.detail,
        )


def _habits(record: Record, survey: Survey, language: Language) -> Iterator[Finding]:
    """What receivers accept and the owner should not."""
    if survey.unlisted.result is Result.PASS:
        matched = survey.unlisted.term
        yield finding("spf/spf-plus-all", Severity.ERROR, language, term=matched)
    if record.all is None and record.redirect is None:
        yield finding("spf/spf-no-all", Severity.WARNING, language, domain=survey.domain)
    if ignored := _ignored(record):
        yield finding("spf/spf-after-all", Severity.WARNING, language, terms=" ".join(ignored))
    for term in record.mechanisms:
        if term.kind is Kind.PTR:
            yield finding("spf/spf-ptr", Severity.WARNING, language, term=term.text)
    for old in old_terms(record):
        yield finding(
            "spf/spf-legacy-address",
            Severity.WARNING,
            language,
            term=old.text,
            server=old.server,
            date=old.date,
            preset=old.preset.id,
        )
    if (octets := len(survey.texts[0])) > LONG_OCTETS:
        yield finding(
            "spf/spf-long-record", Severity.WARNING, language, octets=octets, limit=LONG_OCTETS
        )


def _ignored(record: Record) -> list[str]:
    """The terms behind the first `all`, and a redirect= beside it: never looked at."""
    if record.all is None:
        return []
    behind = record.terms[record.terms.index(record.all) + 1 :]
    ignored = [term.text for term in behind if isinstance(term, Mechanism)]
    return ignored + ([record.redirect.text] if record.redirect else [])


def _dns_failed(error: str, domain: str, language: Language) -> Finding:
    return finding("spf/spf-dns-failed", Severity.UNKNOWN, language, domain=domain, error=error)


def _costs(survey: Survey) -> dict[str, int]:
    return {
        "dns": survey.needs.dns,
        "void": survey.needs.void,
        "limit_dns": LIMITS.dns,
        "limit_void": LIMITS.void,
    }
