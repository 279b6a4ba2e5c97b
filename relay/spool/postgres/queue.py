"""Messages and who still has to get them, in PostgreSQL: accept, claim, settle."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from presets.reply import Reply
from relay.spool.claim_rows import to_claim
from relay.spool.errors import SpoolError
from relay.spool.ids import IdSource
from relay.spool.model import Claim, HeldFor, NewMessage, Settlement, State, Waiting
from relay.spool.postgres import actions, search, statistics, views
from relay.spool.postgres.body import PostgresBodyWriter, read_body
from relay.spool.postgres.columns import arrival, ending, wanting
from relay.spool.postgres.deeds import CARRIED_BYTES, Deed, Kind
from relay.spool.postgres.leases import Leases
from relay.spool.postgres.sql import statements
from relay.spool.protocol import BodyWriter
from relay.spool.rows import optional_time, to_micros
from relay.spool.search import Found, Search
from relay.spool.statistics import Arrivals, History, Statistics, Totals
from relay.spool.view import Acted, MessageView

if TYPE_CHECKING:
    from relay.spool.postgres.reader import Reader
    from relay.spool.postgres.server import Connection
    from relay.spool.postgres.writer import Writer

SQL = statements("queue.sql")


class Writers:
    """Mail that comes, and all else: neither waits for the other's commits."""

    def __init__(self, intake: Writer, delivery: Writer) -> None:
        self.intake = intake
        self.delivery = delivery


class PostgresQueue:
    """The queue of one PostgreSQL spool; see `relay.spool.protocol.Queue`.

    `tell` is called with the lanes that got something to do: other nodes may take part.
    """

    def __init__(
        self,
        writers: Writers,
        reader: Reader,
        leases: Leases,
        clock: Callable[[], datetime],
        tell: Callable[[Collection[str]], None],
    ) -> None:
        self._intake = writers.intake
        self._writer = writers.delivery
        self._reader = reader
        self._leases = leases
        self._clock = clock
        self._tell = tell
        self._ids = IdSource()
        self._unsure: set[tuple[int, str, int]] = set()  # settled perhaps

    def new_id(self) -> int:
        return self._ids.next()

    def body_writer(self, message: int) -> PostgresBodyWriter:
        return PostgresBodyWriter(self._intake, message)

    async def accept(
        self, message: NewMessage, body: BodyWriter, *, claim: bool = False
    ) -> Claim | None:
        if not isinstance(body, PostgresBodyWriter) or body.message != message.id:
            raise TypeError("the body was not written for this message")
        columns = arrival(message, body.size_bytes, body.last_piece())
        await self._intake.do(Deed(Kind.ACCEPT, {}, (columns,)))
        self._tell({place.lane for place in message.placements if place.held_for is None})
        return None  # any node may have it

    async def claim(self, lane: str, limit: int) -> tuple[Claim, ...]:
        def taken(rows: list[Any]) -> tuple[Claim, ...]:
            claims = tuple(map(to_claim, rows))
            self._leases.take(claims)
            return claims

        claims: tuple[Claim, ...] = await self._writer.do(
            wanting(lane, limit, self._clock(), taken)
        )
        return claims

    async def read(self, message: int) -> Claim | None:
        row = await self._reader.run(
            lambda connection: connection.fetchrow(SQL["read"], message, CARRIED_BYTES)
        )
        return None if row is None else to_claim(row)

    async def hold_expired(self) -> tuple[int, ...]:
        now = to_micros(self._clock())
        return await self._writer.run(lambda connection: actions.hold_expired(connection, now))

    async def hasten(self, latest: datetime) -> int:
        async def hasten(connection: Connection) -> int:
            status = await connection.execute(SQL["hasten"], to_micros(latest))
            return int(status.rpartition(" ")[2])

        return await self._writer.run(hasten)

    async def unclaim(self, claim: Claim) -> None:
        async def unclaim(connection: Connection) -> None:
            values = (claim.message, claim.lane, claim.token, self._leases.node)
            await connection.execute(SQL["unclaim"], *values)

        await self._writer.run(unclaim)
        self._leases.drop(claim)

    async def renew(self, claims: Sequence[Claim]) -> None:
        """The heartbeat renews all claims of this node."""
        await self._leases.renew()

    async def settle(self, settlement: Settlement) -> bool:
        claim = settlement.claim
        key = (claim.message, claim.lane, claim.token)
        deed = ending(settlement)
        if key in self._unsure:
            deed.columns["again"] = True
        try:
            counted: bool = await self._writer.do(deed)
        except SpoolError:
            self._unsure.add(key)
            raise
        self._unsure.discard(key)
        self._leases.drop(claim)
        self._tell({each.lane for each in settlement.results if each.lane is not None})
        return counted

    async def next_due(self, lane: str) -> datetime | None:
        return optional_time(
            await self._reader.run(lambda connection: connection.fetchval(SQL["next_due"], lane))
        )

    async def lanes_waiting(self) -> tuple[str, ...]:
        rows = await self._reader.run(lambda connection: connection.fetch(SQL["lanes_waiting"]))
        return tuple(row[0] for row in rows)

    def body(self, message: int) -> AsyncIterator[bytes]:
        return read_body(self._reader, message)

    async def page(
        self, state: State | None, limit: int, client: str | None = None
    ) -> tuple[int, tuple[MessageView, ...]]:
        now = self._clock()
        return await self._reader.survey(
            lambda connection: views.page(connection, state, limit, client, now)
        )

    async def show(self, message: int) -> MessageView | None:
        now = self._clock()
        return await self._reader.survey(lambda connection: views.one(connection, message, now))

    async def unfinished(self, after: int, limit: int) -> tuple[MessageView, ...]:
        now = self._clock()
        return await self._reader.survey(
            lambda connection: views.after(connection, after, limit, now)
        )

    async def totals(self) -> Totals:
        return await self._reader.survey(views.totals)

    async def history(self, lane: str) -> History:
        return await self._reader.survey(lambda connection: views.history(connection, lane))

    async def ids(self, held_for: HeldFor | None = None, address: str | None = None) -> list[int]:
        async def ids(connection: Connection) -> list[int]:
            if held_for is None:
                rows = await connection.fetch(SQL["unfinished_ids"])
            else:
                rows = await connection.fetch(SQL["held_ids"], held_for.value, address)
            return [row[0] for row in rows]

        return await self._reader.survey(ids)

    async def retry(self, ids: Sequence[int]) -> Acted:
        return await self._act("make_due", ids, to_micros(self._clock()))

    async def hold(self, ids: Sequence[int]) -> Acted:
        return await self._act("hold", ids)

    async def hold_for(self, ids: Sequence[int], reason: HeldFor) -> None:
        async def hold_for(connection: Connection) -> None:
            known = await actions.lock(connection, ids)
            await connection.execute(SQL["hold_for"], known, reason.value)

        await self._writer.run(hold_for)

    async def release(self, ids: Sequence[int], held_for: HeldFor | None = None) -> Acted:
        return await self._act("release", ids, None if held_for is None else held_for.value)

    async def delete(self, ids: Sequence[int]) -> Acted:
        return await self._act("delete", ids, to_micros(self._clock()))

    async def reroute(self, ids: Sequence[int], smarthost: str) -> Acted:
        return await self._act("pin", ids, smarthost)

    async def relane(self, moves: Sequence[tuple[int, int, str]]) -> None:
        await self._writer.run(lambda connection: actions.relane(connection, moves))
        self._tell({lane for _, _, lane in moves})

    async def waiting(
        self, lane: str | None, after: int, limit: int
    ) -> tuple[tuple[Waiting, ...], int | None]:
        return await self._reader.run(
            lambda connection: actions.waiting(connection, lane, after, limit)
        )

    async def fail(
        self, settlements: Sequence[tuple[int, Reply, tuple[NewMessage, bytes] | None]]
    ) -> None:
        now = to_micros(self._clock())
        await self._writer.run(lambda connection: actions.fail(connection, settlements, now))

    async def purge(self, finished_before: datetime, limit: int) -> int:
        before = to_micros(finished_before)
        return await self._writer.run(lambda connection: actions.purge(connection, before, limit))

    async def _act(self, statement: str, ids: Sequence[int], *values: object) -> Acted:
        now = to_micros(self._clock())
        acted = await self._writer.run(
            lambda connection: actions.act(connection, statement, ids, now, *values)
        )
        self._tell(())
        return acted

    async def search(self, wanted: Search, before: int | None, limit: int) -> Found:
        now = self._clock()
        return await self._reader.survey(
            lambda connection: search.search(connection, wanted, before, limit, now)
        )

    async def roll_up(self, since: datetime, limit: int) -> datetime | None:
        rows = await self._reader.survey(
            lambda connection: statistics.uncounted(connection, to_micros(since), limit)
        )
        ids = [message for message, _ in rows]
        if ids:
            await self._writer.run(
                lambda connection: statistics.count(connection, ids), begins=True
            )
        return optional_time(rows[-1][1]) if len(rows) == limit else None

    async def note_arrivals(self, arrivals: Arrivals) -> None:
        await self._writer.run(
            lambda connection: statistics.note(connection, arrivals), begins=True
        )

    async def statistics(self, since: datetime) -> Statistics:
        now = self._clock()
        return await self._reader.survey(lambda connection: statistics.read(connection, since, now))

    async def forget_statistics(self, before: datetime) -> None:
        await self._writer.run(lambda connection: statistics.forget(connection, to_micros(before)))
