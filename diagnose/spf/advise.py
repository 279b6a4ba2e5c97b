"""A record that covers what is not covered, evaluated before it is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from diagnose.resolver import Overlay, Resolver
from diagnose.spf.coverage import Row, cover
from diagnose.spf.outcome import Cause, Result
from diagnose.spf.record import Record, parse
from diagnose.spf.survey import COUNTED_TO, Survey, unlisted
from diagnose.spf.term import Mechanism, Modifier, RecordError, Term, parse_term

MOST_STRING_OCTETS = 255  # of one string of a TXT record (RFC 1035 section 3.3)

_NEW = "v=spf1 ~all"


class Obstacle(StrEnum):
    """Why no record is suggested although a source is not covered."""

    BROKEN = "broken"  # the present record must be mended first
    TOO_MANY_LOOKUPS = "too-many-lookups"
    REFUSED_EARLIER = "refused-earlier"  # a term before `all` refuses a source
    LOOKUP_FAILED = "lookup-failed"


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A record to publish, its strings of at most 255 octets, and the terms that are new."""

    record: str
    strings: tuple[str, ...]
    adds: tuple[str, ...]
    verified: bool

    def document(self) -> dict[str, Any]:
        return {
            "record": self.record,
            "strings": list(self.strings),
            "adds": list(self.adds),
            "verified": self.verified,
        }


@dataclass(frozen=True, slots=True)
class Advice:
    """The suggestion, or what stands in its way; neither where nothing is to be done.

    `lookups` is how many lookups the suggested, or refused, record needs.
    """

    suggestion: Suggestion | None = None
    obstacle: Obstacle | None = None
    lookups: int = 0


async def advise(survey: Survey, rows: Sequence[Row], resolver: Resolver) -> Advice:
    """The record that `survey.domain` should publish so that every known source passes.

    It adds only what is missing, before the owner's `all`; several records become one; a domain
    without a record gets `~all`. `resolver` answers for everything but the record itself.
    """
    if survey.exists is None:
        return Advice(obstacle=Obstacle.LOOKUP_FAILED)
    base = _base(survey)
    if not survey.exists or base is None:
        return Advice(obstacle=Obstacle.BROKEN if survey.exists else None)
    known = [row for row in rows if row.total]
    if len(survey.texts) > 1:  # the rows say permerror; what the merged record lacks is asked
        sources = [row.source for row in known]
        known = await cover(sources, survey.domain, _over(base, survey, resolver))
    missing = [row for row in known if not row.passes]
    if not missing and len(survey.texts) < 2:
        return Advice()
    present = {term.text.lower().removeprefix("+") for term in base.terms}
    wanted = dict.fromkeys(term for row in missing for term in row.source.terms)
    adds = tuple(term for term in wanted if term not in present)
    return await _verified(_with(base, adds), adds, survey, known, resolver)


def split(record: str) -> tuple[str, ...]:
    """The strings of a TXT record, cut after a space where there is one.

    Receivers join them without a separator (RFC 7208 section 3.3).
    """
    strings = []
    while len(record) > MOST_STRING_OCTETS:
        cut = record.rfind(" ", 0, MOST_STRING_OCTETS) + 1 or MOST_STRING_OCTETS
        strings.append(record[:cut])
        record = record[cut:]
    return (*strings, record)


def _base(survey: Survey) -> Record | None:
    """The owner's record, several as one, or a new one; None where one is wrong."""
    try:
        records = [parse(text) for text in survey.texts or (_NEW,)]
    except RecordError:
        return None
    if len(records) == 1:
        return records[0]
    terms: dict[str, Term] = {}
    last: Mechanism | None = None
    for record in records:
        last = last or record.all
        for term in record.terms:
            if term is record.all:
                break  # what stands behind it never counted
            name = term.name if isinstance(term, Modifier) else term.text.lower().lstrip("+")
            terms.setdefault(name, term)
    return Record((*terms.values(), *([last] if last else [])))


def _with(base: Record, adds: Sequence[str]) -> Record:
    """`base` with new terms before its `all`, or before its first modifier at the end."""
    new = tuple(parse_term(term) for term in adds)
    if base.all is not None:
        place = base.terms.index(base.all)
    else:
        place = len(base.terms)
        while place and isinstance(base.terms[place - 1], Modifier):
            place -= 1
    return Record((*base.terms[:place], *new, *base.terms[place:]))


def _over(record: Record, survey: Survey, resolver: Resolver) -> Overlay:
    return Overlay(resolver, survey.domain, split(str(record)))


async def _verified(
    record: Record, adds: tuple[str, ...], survey: Survey, known: Sequence[Row], resolver: Resolver
) -> Advice:
    """`record` as a suggestion if every known source passes and strangers get an answer."""
    tried = _over(record, survey, resolver)
    lookups = (await unlisted(survey.domain, tried, COUNTED_TO)).lookups.dns
    stranger = await unlisted(survey.domain, tried)
    if stranger.result is Result.TEMPERROR:
        return Advice(obstacle=Obstacle.LOOKUP_FAILED, lookups=lookups)
    if stranger.result is Result.PERMERROR:
        too_many = stranger.problem and stranger.problem.cause is Cause.TOO_MANY_LOOKUPS
        obstacle = Obstacle.TOO_MANY_LOOKUPS if too_many else Obstacle.BROKEN
        return Advice(obstacle=obstacle, lookups=lookups)
    rows = await cover([row.source for row in known], survey.domain, tried)
    if any(row.result == Result.TEMPERROR for row in rows):
        return Advice(obstacle=Obstacle.LOOKUP_FAILED, lookups=lookups)
    if not all(row.passes for row in rows):
        return Advice(obstacle=Obstacle.REFUSED_EARLIER, lookups=lookups)
    text = str(record)
    return Advice(Suggestion(text, split(text), adds, verified=True), lookups=lookups)
