"""One memory of DNS for many examinations at once: each question asked once while its answer holds.

Answers are kept for their TTL, "does not exist" for what the zone's SOA says (RFC 2308 section 5),
failures for a short time (RFC 9520 section 3.2). Nothing else is kept of an answer than its
records.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from diagnose.resolver import Resolver

MOST_BYTES: Final = 16_000_000
"""Of all that is kept, as it came over the line and what keeping it costs."""

_LONGEST_SECONDS = 86_400.0
_FAILED_SECONDS = 30.0
_UNSTATED_SECONDS = 30.0  # "does not exist" without an SOA record, which says no time
_COST_BYTES = 600  # of keeping an answer, however short

Question = tuple[str, str]


@dataclass(slots=True)
class Counts:
    """What happened to the questions so far.

    `asked` went to the name server, `remembered` had their answer here, `joined` waited for the
    answer to the same question of another. They add up to all questions.
    """

    asked: int = 0
    remembered: int = 0
    joined: int = 0
    forgotten: int = 0
    """Answers that left before their time, for want of room."""

    @property
    def questions(self) -> int:
        return self.asked + self.remembered + self.joined


@dataclass(frozen=True, slots=True)
class _Kept:
    """The records, or the exception that says why there are none; for how long, at what cost."""

    records: tuple[Any, ...] | None
    failure: type[Exception] | None
    text: str
    until_seconds: float
    cost_bytes: int

    def give(self) -> tuple[Any, ...]:
        if self.records is not None:
            return self.records
        assert self.failure is not None
        raise self.failure(self.text) if self.text else self.failure()


@dataclass
class SharedCache:
    """Asks `resolver`, a resolver of dnspython's, at most `at_once` questions at the same time.

    `clock` gives seconds, as the event loop's does. A question goes on when the one who asked no
    longer waits: others may.
    """

    resolver: Resolver
    at_once: int
    clock: Callable[[], float]
    most_bytes: int = MOST_BYTES
    counts: Counts = field(default_factory=Counts)
    kept_bytes: int = 0
    _kept: OrderedDict[Question, _Kept] = field(default_factory=OrderedDict)
    _flights: dict[Question, asyncio.Task[_Kept]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._slots = asyncio.Semaphore(self.at_once)

    async def resolve(self, name: str, rdtype: str, /) -> Iterable[Any]:
        """The records. Raises as dnspython does, without the message of the answer."""
        question = (name.lower().removesuffix("."), rdtype)
        kept = self._kept.get(question)
        if kept is not None and kept.until_seconds > self.clock():
            self._kept.move_to_end(question)
            self.counts.remembered += 1
            return kept.give()
        flight = self._flights.get(question)
        if flight is None:
            self.counts.asked += 1
            flight = asyncio.create_task(self._ask(question))
            self._flights[question] = flight
        else:
            self.counts.joined += 1
        return (await asyncio.shield(flight)).give()

    async def _ask(self, question: Question) -> _Kept:
        try:
            async with self._slots:
                kept = await self._answer(question)
            if kept.until_seconds > self.clock():
                self._keep(question, kept)
            return kept
        finally:
            del self._flights[question]

    async def _answer(self, question: Question) -> _Kept:
        from dns.exception import DNSException
        from dns.resolver import NXDOMAIN, NoAnswer, NoNameservers

        try:
            answer: Any = await self.resolver.resolve(*question)
        except (NXDOMAIN, NoAnswer) as error:
            return self._failed(type(error), "", _negative_seconds(error))
        except DNSException as error:
            return self._failed(type(error), str(error), _FAILED_SECONDS)
        except OSError as error:  # of a socket that could not be had
            return self._failed(NoNameservers, str(error), 0)
        records = tuple(answer)
        seconds = min(answer.chaining_result.minimum_ttl, _LONGEST_SECONDS)
        return _Kept(records, None, "", self.clock() + seconds, _COST_BYTES + _wire_bytes(answer))

    def _failed(self, kind: type[Exception], text: str, seconds: float) -> _Kept:
        return _Kept(None, kind, text, self.clock() + seconds, _COST_BYTES + len(text))

    def _keep(self, question: Question, kept: _Kept) -> None:
        before = self._kept.pop(question, None)
        self.kept_bytes += kept.cost_bytes - (before.cost_bytes if before else 0)
        self._kept[question] = kept
        while self.kept_bytes > self.most_bytes:
            _, oldest = self._kept.popitem(last=False)
            self.kept_bytes -= oldest.cost_bytes
            self.counts.forgotten += 1


def _wire_bytes(answer: Any) -> int:
    return len(answer.response.wire or b"")


def _negative_seconds(error: Any) -> float:
    """How long "no such name" and "no such record" hold: RFC 2308 section 5."""
    responses = error.kwargs.get("responses") or {None: error.kwargs.get("response")}
    soas = [
        min(rrset.ttl, rrset[0].minimum)
        for response in responses.values()
        if response is not None
        for rrset in response.authority
        if rrset.rdtype == 6  # SOA
    ]
    return min([*soas, _LONGEST_SECONDS]) if soas else _UNSTATED_SECONDS
