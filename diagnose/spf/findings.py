"""What is said of each sender, and of the record to publish."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from diagnose.finding import Finding, Severity
from diagnose.spf.advise import Advice, Obstacle
from diagnose.spf.coverage import NOT_NEEDED, ORDERNOW, UNKNOWN, Row
from diagnose.spf.outcome import LIMITS, Result
from diagnose.spf.survey import Survey
from diagnose.wording import Language, finding


def source_findings(row: Row, language: Language) -> Iterator[Finding]:
    """What is said of one sender."""
    name = row.source.name
    if row.result == UNKNOWN:
        yield _unknown(row, language)
    elif row.result == NOT_NEEDED:
        preset = row.source.preset
        yield finding(
            "spf/spf-source-not-needed",
            Severity.INFO,
            language,
            source=name,
            preset=preset.id if preset else name,
        )
    elif row.result == Result.TEMPERROR:
        problem = row.evaluation.problem if row.evaluation else None
        what = problem.detail if problem else ""
        yield finding("spf/spf-source-failed", Severity.UNKNOWN, language, source=name, error=what)
    else:
        yield from _known(row, language)
    preset = row.source.preset
    if preset is not None and preset.spf is not None:
        if row.source.terms and not preset.spf.confirmed:
            terms = " ".join(row.source.terms)
            yield finding(
                "spf/spf-not-confirmed",
                Severity.INFO,
                language,
                source=name,
                terms=terms,
                preset=preset.id,
            )
        if row.total and row.failed:
            missing = " ".join(row.gaps)
            yield finding(
                "spf/spf-source-failed", Severity.UNKNOWN, language, source=name, error=missing
            )


def own_address_findings(
    rows: Sequence[Row], addresses_given: bool, language: Language
) -> Iterator[Finding]:
    """Providers beside which the own line sends too, where its address was not given."""
    for row in rows:
        spf = row.source.preset.spf if row.source.preset else None
        if spf is not None and spf.own_address and not addresses_given:
            yield finding("spf/spf-own-address", Severity.UNKNOWN, language, source=row.source.name)


def advice_findings(advice: Advice, survey: Survey, language: Language) -> Iterator[Finding]:
    """The record to publish, or why there is none."""
    suggestion = advice.suggestion
    if suggestion is not None:
        yield finding(
            "spf/spf-suggestion",
            Severity.INFO,
            language,
            domain=survey.domain,
            record=suggestion.record,
            adds=" ".join(suggestion.adds) or "-",
        )
        if not survey.texts:
            yield finding("spf/spf-other-senders", Severity.WARNING, language, domain=survey.domain)
    elif advice.obstacle is Obstacle.TOO_MANY_LOOKUPS:
        yield finding(
            "spf/spf-no-room",
            Severity.ERROR,
            language,
            lookups=advice.lookups,
            limit=LIMITS.dns,
        )
    elif advice.obstacle is Obstacle.REFUSED_EARLIER:
        yield finding("spf/spf-refused-earlier", Severity.ERROR, language, domain=survey.domain)


def _known(row: Row, language: Language) -> Iterator[Finding]:
    evaluation = row.evaluation
    facts = {
        "source": row.source.name,
        "address": row.address,
        "result": str(row.result),
        "matched": (evaluation.term if evaluation else None) or "-",
        "covered": row.covered,
        "total": row.total,
    }
    if row.passes:
        yield finding("spf/spf-covered", Severity.OK, language, **facts)
    else:
        facts["terms"] = " ".join(row.source.terms)
        yield finding("spf/spf-not-covered", Severity.ERROR, language, **facts)
    if row.source.name == ORDERNOW and not row.passes:
        yield finding("spf/spf-ordernow", Severity.INFO, language, address=row.address)


def _unknown(row: Row, language: Language) -> Finding:
    name = row.source.name
    if row.source.includes:
        return finding(
            "spf/spf-source-unresolved",
            Severity.UNKNOWN,
            language,
            source=name,
            terms=" ".join(row.source.terms),
            gaps=" ".join(row.gaps),
        )
    seen = [
        {"address": address, "result": str(result), "confirmed": False}
        for address, result in row.seen
    ]
    shown = ", ".join(f"{each['address']}: {each['result']}" for each in seen) or "-"
    return finding(
        "spf/spf-source-unknown",
        Severity.UNKNOWN,
        language,
        source=name,
        seen=seen,
        addresses=shown,
    )
