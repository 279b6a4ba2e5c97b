"""A resolver with a deadline: questions before it are asked, those after it time out at once."""

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest
from dns.exception import Timeout

from diagnose.resolver import Until


class Quick:
    def __init__(self) -> None:
        self.asked = 0

    async def resolve(self, name: str, rdtype: str, /) -> Iterable[Any]:
        self.asked += 1
        await asyncio.sleep(0)
        return (name, rdtype)


class Silent:
    async def resolve(self, name: str, rdtype: str, /) -> Iterable[Any]:
        await asyncio.Event().wait()
        raise AssertionError


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_before_the_deadline_it_answers() -> None:
    quick = Quick()
    assert await Until(quick, now() + 60).resolve("a.example", "TXT") == ("a.example", "TXT")
    assert quick.asked == 1


async def test_after_the_deadline_every_question_times_out() -> None:
    with pytest.raises(Timeout):
        await Until(Quick(), now() - 1).resolve("a.example", "TXT")


async def test_a_question_that_is_open_at_the_deadline_times_out() -> None:
    with pytest.raises(Timeout):
        await Until(Silent(), now() + 0.01).resolve("a.example", "TXT")
