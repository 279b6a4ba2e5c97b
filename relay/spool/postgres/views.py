"""What the commands see of the queue in PostgreSQL. Read-only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from relay.spool.model import State
from relay.spool.postgres.sql import statements
from relay.spool.rows import optional_time
from relay.spool.statistics import History, Totals
from relay.spool.view import MessageView
from relay.spool.view_rows import WHERE, to_history, to_recipient_view, to_view

if TYPE_CHECKING:
    from relay.spool.postgres.server import Connection

SQL = statements("queue.sql")


async def page(
    connection: Connection, state: State | None, limit: int, client: str | None, now: datetime
) -> tuple[int, tuple[MessageView, ...]]:
    """How many messages there are in `state`, and the oldest of them."""
    where, values = WHERE[state], list[object]()
    if client is not None:
        where += " AND m.client = $1"
        values.append(client)
    total = await connection.fetchval(f"SELECT count(*) FROM message m WHERE {where}", *values)
    query = f"{SQL['view']} WHERE {where} ORDER BY m.id LIMIT ${len(values) + 1}"
    return total, await _views(connection, await connection.fetch(query, *values, limit), now)


async def after(
    connection: Connection, message: int, limit: int, now: datetime
) -> tuple[MessageView, ...]:
    """Unfinished messages with an id above `message`, in order of id."""
    query = f"{SQL['view']} WHERE m.finished_at IS NULL AND m.id > $1 ORDER BY m.id LIMIT $2"
    return await _views(connection, await connection.fetch(query, message, limit), now)


async def one(connection: Connection, message: int, now: datetime) -> MessageView | None:
    """One message with its attempts; None if it is not known."""
    rows = await connection.fetch(f"{SQL['view']} WHERE m.id = $1", message)
    attempts = await connection.fetch(SQL["view_attempts"], message) if rows else []
    views = await _views(connection, rows, now, attempts)
    return views[0] if views else None


async def totals(connection: Connection) -> Totals:
    """Counts over the whole queue."""
    by_lane = {row[0]: row[1] for row in await connection.fetch(SQL["count_by_lane"])}
    return Totals(
        queued=sum(by_lane.values()),
        held=await connection.fetchval(SQL["count_held"]),
        oldest_queued_at=optional_time(await connection.fetchval(SQL["oldest_queued"])),
        by_lane=by_lane,
    )


async def history(connection: Connection, lane: str) -> History:
    """The last attempt of `lane` that delivered, and those after it that did not."""
    delivered = await connection.fetchrow(SQL["last_delivered"], lane)
    number = delivered[0] if delivered else 0
    failures = await connection.fetch(SQL["failures_after"], number, lane)
    return to_history(delivered, failures)


async def _views(
    connection: Connection,
    rows: Sequence[Any],
    now: datetime,
    attempts: Sequence[Any] = (),
) -> tuple[MessageView, ...]:
    ids = [row[0] for row in rows]
    recipients = defaultdict(list)
    for message, *columns in await connection.fetch(SQL["view_recipients"], ids):
        recipients[message].append(to_recipient_view(columns))
    queue = await queue_rows(connection, ids)
    return tuple(
        to_view(row, tuple(recipients[row[0]]), queue.get(row[0], []), now, attempts)
        for row in rows
    )


async def queue_rows(connection: Connection, ids: Sequence[int]) -> dict[int, list[Any]]:
    """For each message where it waits: when due, leased by whom, what blocks the lane, until when."""
    found = defaultdict(list)
    for message, *columns in await connection.fetch(SQL["view_queue"], list(ids)):
        found[message].append(tuple(columns))
    return found
