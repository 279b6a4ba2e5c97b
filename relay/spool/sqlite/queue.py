"""Messages and who still has to get them, in SQLite: accept, claim, settle."""

import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime

from presets.reply import Reply
from relay.spool.ids import IdSource
from relay.spool.model import (
    Acted,
    Arrivals,
    Claim,
    Found,
    HeldFor,
    History,
    MessageView,
    NewMessage,
    Search,
    Settlement,
    State,
    Statistics,
    Totals,
    Waiting,
)
from relay.spool.protocol import BodyWriter
from relay.spool.sqlite import actions, search, statistics, views
from relay.spool.sqlite.accept import insert_dsn, insert_message
from relay.spool.sqlite.body import SqliteBodyWriter, read_body
from relay.spool.sqlite.claim import LEASE, claim_due, read_claim
from relay.spool.sqlite.reader import Reader
from relay.spool.sqlite.rows import (
    optional_time,
    reply_columns,
    to_micros,
)
from relay.spool.sqlite.settle import finish_if_done, settle
from relay.spool.sqlite.sql import statements
from relay.spool.sqlite.writer import Writer

SQL = statements("queue.sql")


class SqliteQueue:
    """The queue of one SQLite spool; see `relay.spool.protocol.Queue`."""

    def __init__(self, writer: Writer, reader: Reader, clock: Callable[[], datetime]) -> None:
        self._writer = writer
        self._reader = reader
        self._clock = clock
        self._ids = IdSource()
        self._owner = f"pid {os.getpid()}"

    def new_id(self) -> int:
        return self._ids.next()

    def body_writer(self, message: int) -> SqliteBodyWriter:
        return SqliteBodyWriter(self._writer, message)

    async def accept(self, message: NewMessage, body: BodyWriter) -> None:
        if not isinstance(body, SqliteBodyWriter) or body.message != message.id:
            raise TypeError("the body was not written for this message")

        last = body.last_piece()
        await self._writer.run(
            lambda connection: insert_message(connection, message, body.size_bytes, last),
            begins=True,
        )

    async def claim(self, lane: str, limit: int) -> tuple[Claim, ...]:
        now = self._clock()
        return await self._writer.run(
            lambda connection: claim_due(connection, lane, limit, now, self._owner), begins=True
        )

    async def read(self, message: int) -> Claim | None:
        return await self._reader.run(lambda connection: read_claim(connection, message))

    async def hold_expired(self) -> tuple[int, ...]:
        now = to_micros(self._clock())
        return await self._writer.run(lambda connection: actions.hold_expired(connection, now))

    async def hasten(self, latest: datetime) -> int:
        values = (to_micros(latest),)
        return await self._writer.run(
            lambda connection: connection.execute(SQL["hasten"], values).rowcount
        )

    async def unclaim(self, claim: Claim) -> None:
        key = (claim.message, claim.lane, claim.token)
        await self._writer.run(lambda connection: connection.execute(SQL["unclaim"], key))

    async def renew(self, claims: Sequence[Claim]) -> None:
        until = to_micros(self._clock() + LEASE)
        rows = [(until, claim.message, claim.lane, claim.token) for claim in claims]
        await self._writer.run(lambda connection: connection.executemany(SQL["renew"], rows))

    async def settle(self, settlement: Settlement) -> bool:
        return await self._writer.run(lambda connection: settle(connection, settlement))

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
        await self._writer.run(lambda connection: connection.executemany(SQL["hold_for"], rows))

    async def release(self, ids: Sequence[int], held_for: HeldFor | None = None) -> Acted:
        def release(connection: sqlite3.Connection, message: int, now: int) -> bool:
            return actions.release(connection, message, now, held_for)

        return await self._act(release, ids)

    async def delete(self, ids: Sequence[int]) -> Acted:
        return await self._act(actions.delete, ids)

    async def reroute(self, ids: Sequence[int], smarthost: str) -> Acted:
        def reroute(connection: sqlite3.Connection, message: int, now: int) -> bool:
            return actions.reroute(connection, message, now, smarthost)

        return await self._act(reroute, ids)

    async def relane(self, moves: Sequence[tuple[int, int, str]]) -> None:
        await self._writer.run(lambda connection: actions.relane(connection, moves))

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

        def work(connection: sqlite3.Connection) -> None:
            for message, reply, dsn in settlements:
                values = (*reply_columns(reply), now, message)
                if connection.execute(SQL["fail_held"], values).rowcount and dsn is not None:
                    insert_dsn(connection, *dsn)
                finish_if_done(connection, message, now)

        await self._writer.run(work)

    async def purge(self, finished_before: datetime, limit: int) -> int:
        before = to_micros(finished_before)
        return await self._writer.run(lambda connection: actions.purge(connection, before, limit))

    async def _act(
        self, action: Callable[[sqlite3.Connection, int, int], bool], ids: Sequence[int]
    ) -> Acted:
        now = to_micros(self._clock())
        return await self._writer.run(lambda connection: actions.each(connection, action, ids, now))

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
