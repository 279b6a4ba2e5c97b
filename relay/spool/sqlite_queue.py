"""Messages and who still has to get them, in SQLite: accept, claim, settle."""

import json
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from presets.reply import Reply
from relay.spool import sqlite_actions, sqlite_views
from relay.spool.ids import IdSource
from relay.spool.model import (
    Acted,
    AttemptRecord,
    Claim,
    HeldFor,
    MessageView,
    NewMessage,
    QueuedRecipient,
    Settlement,
    State,
    Totals,
)
from relay.spool.protocol import BodyWriter
from relay.spool.rows import (
    clean,
    from_micros,
    optional_time,
    recipient_columns,
    reply_columns,
    to_envelope,
    to_micros,
    to_recipient,
)
from relay.spool.sql import statements
from relay.spool.sqlite_body import SqliteBodyWriter, read_body
from relay.spool.writer import Writer

if TYPE_CHECKING:
    from relay.spool.sqlite import Reader

SQL = statements("sqlite_queue.sql")

LEASE = timedelta(minutes=60)
"""Of a claim. In this store a lease ends with its process, so the time only bounds a bug."""


class SqliteQueue:
    """The queue of one SQLite spool; see `relay.spool.protocol.Queue`."""

    def __init__(self, writer: Writer, reader: "Reader", clock: Callable[[], datetime]) -> None:
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

        def work(connection: sqlite3.Connection) -> None:
            body.finish(connection)
            insert_message(connection, message, body.size_bytes)

        await self._writer.run(work)

    async def claim(self, lane: str, limit: int) -> tuple[Claim, ...]:
        now = self._clock()
        return await self._writer.run(
            lambda connection: _claim(connection, lane, limit, now, self._owner)
        )

    async def read(self, message: int) -> Claim | None:
        def query(connection: sqlite3.Connection) -> Claim | None:
            if not connection.execute(SQL["exists"], (message,)).fetchone():
                return None
            return _read_claim(connection, (message, "", 0, 0))

        return await self._reader.run(query)

    async def hold_expired(self) -> tuple[int, ...]:
        now = to_micros(self._clock())
        return await self._writer.run(
            lambda connection: sqlite_actions.hold_expired(connection, now)
        )

    async def renew(self, claims: Sequence[Claim]) -> None:
        until = to_micros(self._clock() + LEASE)
        rows = [(until, claim.message, claim.lane, claim.token) for claim in claims]
        await self._writer.run(lambda connection: connection.executemany(SQL["renew"], rows))

    async def settle(self, settlement: Settlement) -> bool:
        return await self._writer.run(lambda connection: _settle(connection, settlement))

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
        return await self._reader.run(
            lambda connection: sqlite_views.page(connection, state, limit, client, now)
        )

    async def show(self, message: int) -> MessageView | None:
        now = self._clock()
        return await self._reader.run(lambda connection: sqlite_views.one(connection, message, now))

    async def unfinished(self, after: int, limit: int) -> tuple[MessageView, ...]:
        now = self._clock()
        return await self._reader.run(
            lambda connection: sqlite_views.after(connection, after, limit, now)
        )

    async def totals(self) -> Totals:
        return await self._reader.run(sqlite_views.totals)

    async def ids(self, held_for: HeldFor | None = None, address: str | None = None) -> list[int]:
        def query(connection: sqlite3.Connection) -> list[int]:
            if held_for is None:
                rows = connection.execute(SQL["unfinished_ids"])
            else:
                rows = connection.execute(SQL["held_ids"], (held_for.value, address, address))
            return [row[0] for row in rows]

        return await self._reader.run(query)

    async def retry(self, ids: Sequence[int]) -> Acted:
        return await self._act(sqlite_actions.retry, ids)

    async def hold(self, ids: Sequence[int]) -> Acted:
        return await self._act(sqlite_actions.hold, ids)

    async def release(self, ids: Sequence[int]) -> Acted:
        return await self._act(sqlite_actions.release, ids)

    async def delete(self, ids: Sequence[int]) -> Acted:
        return await self._act(sqlite_actions.delete, ids)

    async def reroute(self, ids: Sequence[int], smarthost: str) -> Acted:
        def reroute(connection: sqlite3.Connection, message: int, now: int) -> bool:
            return sqlite_actions.reroute(connection, message, now, smarthost)

        return await self._act(reroute, ids)

    async def relane(self, moves: Sequence[tuple[int, int, str]]) -> None:
        now = to_micros(self._clock())
        await self._writer.run(lambda connection: sqlite_actions.relane(connection, moves, now))

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
        return await self._writer.run(
            lambda connection: sqlite_actions.purge(connection, before, limit)
        )

    async def _act(
        self, action: Callable[[sqlite3.Connection, int, int], bool], ids: Sequence[int]
    ) -> Acted:
        now = to_micros(self._clock())
        return await self._writer.run(
            lambda connection: sqlite_actions.each(connection, action, ids, now)
        )


def insert_message(connection: sqlite3.Connection, message: NewMessage, size_bytes: int) -> None:
    """The rows of a new message but its body, within the caller's transaction."""
    envelope = message.envelope
    received_at = to_micros(message.received_at)
    connection.execute(
        SQL["add_message"],
        (
            message.id,
            received_at,
            to_micros(message.expires_at),
            message.client,
            message.client_address,
            clean(envelope.reverse_path or ""),
            envelope.body_8bit,
            envelope.smtputf8,
            envelope.ret,
            envelope.envid,
            size_bytes,
            clean(message.message_id),
            None if message.subject is None else clean(message.subject),
            message.is_dsn,
            json.dumps(message.repairs),
        ),
    )
    pairs = list(zip(envelope.recipients, message.placements, strict=True))
    connection.executemany(
        SQL["add_recipient"],
        [
            (
                message.id,
                position,
                *recipient_columns(recipient),
                State.HELD if place.held_for else State.QUEUED,
                place.lane,
                place.held_for,
            )
            for position, (recipient, place) in enumerate(pairs)
        ],
    )
    for lane in {place.lane for _, place in pairs if place.held_for is None}:
        connection.execute(SQL["add_to_queue"], (message.id, lane, received_at))


def insert_dsn(connection: sqlite3.Connection, message: NewMessage, body: bytes) -> None:
    """A message of our own with its body, within the transaction of what caused it."""
    connection.execute(SQL["add_body"], (message.id, 0, body))
    insert_message(connection, message, len(body))


def recover(connection: sqlite3.Connection, now: datetime) -> None:
    """After a start: leases of the last process are void, its running attempts in doubt."""
    connection.execute("BEGIN IMMEDIATE")
    interrupted = connection.execute(SQL["interrupted"]).fetchall()
    connection.executemany(SQL["mark_in_doubt"], interrupted)
    connection.execute(SQL["mark_interrupted"])
    connection.execute(SQL["void_leases"])
    connection.execute(SQL["sweep_bodies"])
    connection.execute("COMMIT")


def _claim(
    connection: sqlite3.Connection, lane: str, limit: int, now: datetime, owner: str
) -> tuple[Claim, ...]:
    rows = connection.execute(SQL["due"], (lane, to_micros(now), limit)).fetchall()
    claims = []
    for message, tries, token in rows:
        claim = _read_claim(connection, (message, lane, token + 1, tries))
        if not claim.recipients:
            connection.execute(SQL["leave_queue"], (message, lane))
            continue
        connection.execute(SQL["lease"], (owner, to_micros(now + LEASE), message, lane))
        positions = json.dumps([queued.position for queued in claim.recipients])
        connection.execute(
            SQL["start_attempt"], (message, lane, claim.token, to_micros(now), positions)
        )
        claims.append(claim)
    return tuple(claims)


def _read_claim(connection: sqlite3.Connection, key: tuple[int, str, int, int]) -> Claim:
    message, lane, token, tries = key
    cursor = connection.execute(SQL["claimed_message"], (message,))
    names = [column[0] for column in cursor.description]
    row = dict(zip(names, cursor.fetchone(), strict=True))
    recipients = []
    queued = []
    for position, *columns, state, at, pinned in connection.execute(
        SQL["claimed_recipients"], (message,)
    ):
        recipient = to_recipient(*columns)
        recipients.append(recipient)
        if state == State.QUEUED and at == lane:
            queued.append(QueuedRecipient(position, recipient, pinned))
    return Claim(
        message=message,
        lane=lane,
        token=token,
        tries=tries,
        received_at=from_micros(row["received_at"]),
        expires_at=from_micros(row["expires_at"]),
        client=row["client"],
        client_address=row["client_address"],
        envelope=to_envelope(row, tuple(recipients)),
        recipients=tuple(queued),
        bytes=row["bytes"],
        message_id=row["message_id"],
        is_dsn=bool(row["is_dsn"]),
        in_doubt=bool(row["in_doubt"]),
        warned=row["warned_at"] is not None,
    )


def _settle(connection: sqlite3.Connection, settlement: Settlement) -> bool:
    claim = settlement.claim
    key = (claim.message, claim.lane)
    if not connection.execute(SQL["holds_lease"], (*key, claim.token)).fetchone():
        return False
    at = to_micros(settlement.at)
    moved = _settle_recipients(connection, settlement, at)
    _record_attempts(connection, settlement)
    if settlement.warned:
        connection.execute(SQL["mark_warned"], (at, claim.message))
    due_at = None if settlement.due_at is None else to_micros(settlement.due_at)
    if connection.execute(SQL["is_queued"], key).fetchone():
        connection.execute(SQL["back_to_queue"], (due_at, settlement.counts, *key))
    else:
        connection.execute(SQL["leave_queue"], key)
    for lane in moved:
        connection.execute(SQL["add_to_queue"], (claim.message, lane, due_at or at))
    for message, body in settlement.dsns:
        insert_dsn(connection, message, body)
    finish_if_done(connection, claim.message, at)
    return True


def _settle_recipients(connection: sqlite3.Connection, settlement: Settlement, at: int) -> set[str]:
    """Write each recipient's result; the lanes that some were moved to."""
    message, moved = settlement.claim.message, set()
    for result in settlement.results:
        key = (message, result.position)
        reply = reply_columns(result.reply)
        if result.state is not State.QUEUED:
            held_for = result.held_for.value if result.held_for else None
            values = (result.state.value, held_for, *reply, at)
            connection.execute(SQL["settle_recipient"], (*values, *key))
            continue
        if result.reply is not None:
            connection.execute(SQL["refuse_recipient"], (*reply, *key))
        if result.lane is not None and result.lane != settlement.claim.lane:
            connection.execute(SQL["move_recipient"], (result.lane, *key))
            moved.add(result.lane)
    return moved


def _record_attempts(connection: sqlite3.Connection, settlement: Settlement) -> None:
    claim = settlement.claim
    key = (claim.message, claim.lane, claim.token)
    for index, record in enumerate(settlement.attempts):
        values = _attempt_columns(record)
        if index == 0:
            connection.execute(SQL["end_attempt"], (*values, *key))
        else:
            started = settlement.at - timedelta(seconds=record.seconds)
            connection.execute(SQL["add_attempt"], (*key, to_micros(started), *values))
        if record.in_doubt:
            connection.execute(SQL["mark_in_doubt"], (claim.message,))


def _attempt_columns(record: AttemptRecord) -> tuple[object, ...]:
    return (
        record.seconds,
        record.address,
        record.phase,
        json.dumps(record.recipients),
        *reply_columns(record.reply),
        record.outcome.value,
        record.in_doubt,
    )


def finish_if_done(connection: sqlite3.Connection, message: int, at: int) -> None:
    """A message that nobody waits for any more loses its body."""
    if not connection.execute(SQL["is_unfinished"], (message,)).fetchone():
        connection.execute(SQL["finish"], (at, message))
        connection.execute(SQL["drop_body"], (message,))
