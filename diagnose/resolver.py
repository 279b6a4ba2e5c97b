"""Resolvers around a resolver: its answers remembered, its time limited, a record replaced."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol


class Resolver(Protocol):
    """All that is asked of a resolver; `dns.asyncresolver.Resolver` is one.

    Raises dns.resolver.NXDOMAIN, NoAnswer and NoNameservers, and dns.exception.Timeout.
    """

    async def resolve(self, name: str, rdtype: str, /) -> Iterable[Any]: ...


@dataclass
class Remembering:
    """Asks `resolver` each question once: failures are remembered too, time-outs among them."""

    resolver: Resolver
    _answers: dict[tuple[str, str], tuple[Any, ...] | Exception] = field(default_factory=dict)

    async def resolve(self, name: str, rdtype: str, /) -> Iterable[Any]:
        from dns.exception import DNSException

        question = (name.lower().removesuffix("."), rdtype)
        if question not in self._answers:
            try:
                self._answers[question] = tuple(await self.resolver.resolve(name, rdtype))
            except DNSException as error:
                self._answers[question] = error
        answer = self._answers[question]
        if isinstance(answer, Exception):
            raise answer.with_traceback(None)
        return answer


@dataclass(frozen=True, slots=True)
class Until:
    """`resolver` up to `deadline_seconds` of the event loop's clock; then every question times out.

    So a long examination ends in time with what it has found, and says what it could not check.
    """

    resolver: Resolver
    deadline_seconds: float

    async def resolve(self, name: str, rdtype: str, /) -> Iterable[Any]:
        from dns.exception import Timeout

        try:
            async with asyncio.timeout_at(self.deadline_seconds):
                return await self.resolver.resolve(name, rdtype)
        except TimeoutError:
            raise Timeout from None


@dataclass(frozen=True, slots=True)
class _Text:
    """As much of a TXT record as is read of one."""

    strings: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Overlay:
    """`resolver`, but the TXT records of `name` are the one of these strings."""

    resolver: Resolver
    name: str
    strings: tuple[str, ...]

    async def resolve(self, name: str, rdtype: str, /) -> Iterable[Any]:
        if rdtype == "TXT" and name.lower().removesuffix(".") == self.name.lower():
            return (_Text(tuple(string.encode() for string in self.strings)),)
        return await self.resolver.resolve(name, rdtype)
