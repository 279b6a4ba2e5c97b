"""Messages and who still has to get them, in SQLite: accept, claim, settle."""

import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from presets.reply import Reply
from relay.spool.ids import IdSource
from relay.spool.model import Claim, HeldFor, NewMessage, Settlement, State, Waiting
from relay.spool.protocol import BodyWriter
from relay.spool.rows import (
    optional_time,
    reply_columns,
    to_micros,
)
from relay.spool.search import Found, Search
from relay.spool.sqlite import actions, search, statistics, views
from relay.spool.sqlite.accept import dsn_row, insert_row, message_row
from relay.spool.sqlite.body import SqliteBodyWriter, read_body
from relay.spool.sqlite.claim import (
    CARRIED_BYTES,
    LEASE,
    claim_due,
    claim_of_new,
    claimed,
    lease_of_new,
    read_claim,
)
from relay.spool.sqlite.deeds import execute, execute_many
from relay.spool.sqlite.reader import Reader
from relay.spool.sqlite.recent import Recent
from relay.spool.sqlite.settle import settle, settlement_rows
from relay.spool.sqlite.sql import statements
from relay.spool.sqlite.writer import Writer
from relay.spool.statistics import Arrivals, History, Statistics, Totals
from relay.spool.view import Acted, MessageView

SQL = statements("queue.sql")


class SqliteQueue:
    """The queue of one SQLite spool; see `relay.spool.protocol.Queue`."""

    def __init__(self, writer: Writer, reader: Reader, clock: Callable[[], datetime]) -> None:
        self._writer = writer
        self._reader = reader
        self._clock = clock
        self._ids = IdSource()
        self._recent = Recent()
        self._owner = f"pid {os.getpid()}"

    def new_id(self) -> int:
        return self._ids.next()

    def body_writer(self, message: int) -> SqliteBodyWriter:
        return SqliteBodyWriter(self._writer, message)

    async def accept(
        self, message: NewMessage, body: BodyWriter, *, claim: bool = False
    ) -> Claim | None:
        if not isinstance(body, SqliteBodyWriter) or body.message != message.id:
            raise TypeError("the body was not written for this message")

        position, piece = body.last_piece()
        row = message_row(message, body.size_bytes, (position, piece))
        carried = position == 0 and len(piece) <= CARRIED_BYTES
        if claim and carried:
            lease = lease_of_new(message, self._clock(), self._owner)
            await self._writer.run(insert_row, row, lease, begins=True)
            return claim_of_new(message, piece)
        await self._writer.run(insert_row, row, begins=True)
        if carried:
            self._recent.add(message.id, piece)
        return None

    async def claim(self, lane: str, limit: int) -> tuple[Claim, ...]:
        now = self._clock()
        due = (CARRIED_BYTES, self._recent.since, lane, to_micros(now), limit)
        until = to_micros(now + LEASE)
        rows = await self._writer.run(claim_due, self._owner, until, due, begins=True)
        return tuple(self._claim(row, lane) for row in rows)

    def _claim(self, row: tuple[Any, ...], lane: str) -> Claim:
        claim = claimed(row, lane, row[2] + 1)
        return replace(claim, body=self._recent.get(claim.message)) if claim.body is None else claim

    async def read(self, message: int) -> Claim | None:
        return await self._reader.run(lambda connection: read_claim(connection, message))

    async def hold_expired(self) -> tuple[int, ...]:
        now = to_micros(self._clock())
        return await self._writer.run(actions.hold_expired, now)

    async def hasten(self, latest: datetime) -> int:
        values = (to_micros(latest),)
        return await self._writer.run(execute, SQL["hasten"], values)

    async def unclaim(self, claim: Claim) -> None:
        key = (claim.message, claim.lane, claim.token)
        await self._writer.run(execute, SQL["unclaim"], key)

    async def renew(self, claims: Sequence[Claim]) -> None:
        until = to_micros(self._clock() + LEASE)
        rows = [(until, claim.message, claim.lane, claim.token) for claim in claims]
        await self._writer.run(execute_many, SQL["renew"], rows)

    async def settle(self, settlement: Settlement) -> bool:
        self._recent.forget(settlement.claim.message)
        return await self._writer.run(settle, *settlement_rows(settlement))

    async def next_due(self, lane: str) -> datetime | None:
        def query(connection: sqlite3.Connection) -> datetime | None:
            return optional_time(connection.execute(SQL["next_due"], (lane,)).fetchone()[0])

        return await self._reader.run(query)

    async def lanes_waiting(self) -> tuple[str, ...]:
        def query(connection: sqlite3.Connection) -> tuple[str, ...]:
            return tuple(row[0] for row in connection.execute(SQL["lanes_waiting"]))

        return await self._reader.run(query)

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
        def query(connection: sqlite3.Connection) -> list[int]:
            if held_for is None:
                rows = connection.execute(SQL["unfinished_ids"])
            else:
                rows = connection.execute(SQL["held_ids"], (held_for.value, address, address))
            return [row[0] for row in rows]

        return await self._reader.survey(query)

    async def retry(self, ids: Sequence[int]) -> Acted:
        return await self._act(actions.retry, ids)

    async def hold(self, ids: Sequence[int]) -> Acted:
        return await self._act(actions.hold, ids)

    async def hold_for(self, ids: Sequence[int], reason: HeldFor) -> None:
        rows = [(reason.value, message) for message in ids]
        await self._writer.run(execute_many, SQL["hold_for"], rows)

    async def release(self, ids: Sequence[int], held_for: HeldFor | None = None) -> Acted:
        return await self._act(actions.release, ids, held_for)

    async def delete(self, ids: Sequence[int]) -> Acted:
        return await self._act(actions.delete, ids)

    async def reroute(self, ids: Sequence[int], smarthost: str) -> Acted:
        return await self._act(actions.reroute, ids, smarthost)

    async def relane(self, moves: Sequence[tuple[int, int, str]]) -> None:
        await self._writer.run(actions.relane, moves)

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

        rows = [
            (message, reply_columns(reply), None if dsn is None else dsn_row(*dsn))
            for message, reply, dsn in settlements
        ]
        await self._writer.run(actions.fail_held, rows, now)

    async def purge(self, finished_before: datetime, limit: int) -> int:
        before = to_micros(finished_before)
        return await self._writer.run(actions.purge, before, limit)

    async def _act(self, action: Callable[..., bool], ids: Sequence[int], *values: object) -> Acted:
        now = to_micros(self._clock())
        return await self._writer.run(actions.each, action, ids, now, *values)

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
            # It can wait: on a full disk the ballast is for outcomes.
            await self._writer.run(statistics.count, ids, begins=True)
        return optional_time(rows[-1][1]) if len(rows) == limit else None

    async def note_arrivals(self, arrivals: Arrivals) -> None:
        await self._writer.run(statistics.note, arrivals, begins=True)

    async def statistics(self, since: datetime) -> Statistics:
        now = self._clock()
        return await self._reader.survey(lambda connection: statistics.read(connection, since, now))

    async def forget_statistics(self, before: datetime) -> None:
        await self._writer.run(statistics.forget, to_micros(before))
