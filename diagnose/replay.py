"""A library that blocks on DNS, run on answers that are fetched for it.

Its questions then go where all others go, through one resolver and what that remembers, and no
thread waits for an answer: between two threads each would cost a millisecond.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from diagnose.blocking import in_thread
from diagnose.resolver import Resolver

T = TypeVar("T")

Question = tuple[str, str]

MOST_QUESTIONS: Final = 50


class Unanswered(Exception):
    """A question that is not among the known answers."""

    def __init__(self, name: str, rdtype: str) -> None:
        super().__init__(f"{rdtype} {name}")
        self.question = (name, rdtype)


@dataclass
class Known:
    """As much of a blocking resolver of dnspython's as checkdmarc uses, over known answers."""

    answers: dict[Question, tuple[Any, ...] | Exception] = field(default_factory=dict)
    lifetime: float = 0.0

    def resolve(self, name: str, rdtype: str, *, lifetime: float = 0.0) -> tuple[Any, ...]:
        """The known records. Raises what the resolver raised, and Unanswered."""
        answer = self.answers.get((name, rdtype))
        if answer is None:
            raise Unanswered(name, rdtype)
        if isinstance(answer, Exception):
            raise answer.with_traceback(None)
        return answer


async def replayed(
    work: Callable[[Known], T], resolver: Resolver, likely: Iterable[Question], seconds: float
) -> T:
    """What `work`, in a thread, returns or raises with the answers of `resolver`.

    It is given the answers to the `likely` questions, and run again with the answer to each that
    it misses: it must do nothing but ask. Raises TimeoutError after `seconds`, Unanswered where
    it asks more than 50 questions.
    """
    known = Known()
    async with asyncio.timeout(seconds):
        for question in likely:
            known.answers[question] = await _answer(question, resolver)
        while True:
            try:
                return await in_thread(lambda: work(known), seconds)
            except Unanswered as missing:
                if len(known.answers) >= MOST_QUESTIONS:
                    raise
                known.answers[missing.question] = await _answer(missing.question, resolver)


async def _answer(question: Question, resolver: Resolver) -> tuple[Any, ...] | Exception:
    from dns.exception import DNSException

    try:
        return tuple(await resolver.resolve(*question))
    except DNSException as error:
        return error
