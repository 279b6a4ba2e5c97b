"""What happens to each message, gathered so that many of one kind are one call of the server."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from relay.spool.postgres.server import Connection

LEASE_SECONDS = 30
"""Of a claim, from its last heartbeat on, by the server's clock."""

CARRIED_BYTES = 256_000
"""A claim carries the bytes of a message up to this size."""


class Kind(IntEnum):
    """In the order in which those of one transaction are done: what all nodes write comes last."""

    ACCEPT = 1
    CLAIM = 2
    SETTLE = 3


@dataclass(frozen=True, slots=True)
class Arrival:
    """The columns of a new message as `relay_accept` takes them, and its bytes."""

    columns: dict[str, object]
    piece: bytes | None


@dataclass(frozen=True, slots=True)
class Deed:
    """One accept, claim or settlement; `result` makes a value of what the server answers."""

    kind: Kind
    columns: dict[str, object]
    arrivals: tuple[Arrival, ...] = ()
    result: Callable[[Any], Any] = field(default=lambda answer: answer)

    @property
    def repeatable(self) -> bool:
        """Done twice it is done once."""
        return self.kind is not Kind.CLAIM

    @property
    def bytes(self) -> int:
        """How much has to be sent."""
        return sum(len(each.piece) for each in self.arrivals if each.piece is not None)


Asked = tuple[Deed, bool]
"""A deed, and whether it may have been done already by a commit whose answer was lost."""


class Call:
    """All deeds of one kind in one call."""

    def __init__(self, kind: Kind, asked: Sequence[Asked], node: str) -> None:
        self._kind = kind
        self._asked = asked
        self._node = node
        self._pieces: list[bytes] = []

    async def run(self, connection: Connection) -> list[Any]:
        """The answer to each, in order. Raises asyncpg's errors, or UnicodeEncodeError."""
        match self._kind:
            case Kind.ACCEPT:
                rows = [
                    self._arrival(each, again)
                    for deed, again in self._asked
                    for each in deed.arrivals
                ]
                await connection.execute("SELECT relay_accept($1, $2)", _json(rows), self._pieces)
                return [None] * len(self._asked)
            case Kind.SETTLE:
                endings = [self._ending(deed, again) for deed, again in self._asked]
                counted = await connection.fetchval(
                    "SELECT relay_settle($1, $2, $3)", _json(endings), self._pieces, self._node
                )
                return list(counted)
            case Kind.CLAIM:
                wanted = _json([deed.columns for deed, _ in self._asked])
                values = (wanted, self._node, LEASE_SECONDS * 1_000_000, CARRIED_BYTES)
                rows = await connection.fetch("SELECT * FROM relay_claim($1, $2, $3, $4)", *values)
                answers: list[Any] = [[] for _ in self._asked]
                for place, *row in rows:
                    answers[place - 1].append(row)
                return answers

    def _arrival(self, arrival: Arrival, again: bool) -> dict[str, object]:
        columns = {**arrival.columns, "again": again}
        if arrival.piece is not None:
            self._pieces.append(arrival.piece)
            columns["piece"] = len(self._pieces)
        return columns

    def _ending(self, deed: Deed, again: bool) -> dict[str, object]:
        columns = dict(deed.columns)
        if again:
            columns["again"] = True
        if deed.arrivals:
            columns["dsns"] = [self._arrival(each, False) for each in deed.arrivals]
        return columns


def _json(value: object) -> str:
    """Not escaped: a lone surrogate has to fail here, not at the server."""
    return json.dumps(value, ensure_ascii=False)
