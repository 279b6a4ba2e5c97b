"""The hourly statistics in PostgreSQL: finished messages are added once each, by whichever node
comes first; the rest is counted live."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from relay.spool.hour_tally import FRESH, MICROS_AN_HOUR, HourTally, arrival_rows
from relay.spool.postgres.sql import statements
from relay.spool.rows import to_micros
from relay.spool.statistics import Arrivals, Statistics

if TYPE_CHECKING:
    from relay.spool.postgres.server import Connection

SQL = statements("statistics.sql")
LOCK = statements("queue.sql")["lock"]


async def uncounted(connection: Connection, since: int, limit: int) -> list[tuple[int, int]]:
    """Ids, with when each was finished, of up to `limit` messages that were not counted yet."""
    return [(row[0], row[1]) for row in await connection.fetch(SQL["uncounted"], since, limit)]


async def count(connection: Connection, ids: Sequence[int]) -> None:
    """Add finished messages to their hours, each only once however many nodes ask for it."""
    if not ids:
        return
    await connection.fetch(LOCK, list(ids))
    for statement in ("count_accepted", "count_finished", "count_seen", "mark_counted"):
        await connection.execute(SQL[statement], list(ids))


async def note(connection: Connection, arrivals: Arrivals) -> None:
    """Add what only intake knows: TLS, and what it did not take."""
    hours, seen = arrival_rows(arrivals)
    await connection.executemany(SQL["note_hour"], sorted(hours))
    await connection.executemany(SQL["note_seen"], sorted(seen))


async def forget(connection: Connection, before: int) -> None:
    """Drop the hours before `before`."""
    await connection.execute(SQL["forget_hours"], before // MICROS_AN_HOUR)


async def read(connection: Connection, since: datetime, now: datetime) -> Statistics:
    """All hours from that of `since` on, with what is not rolled up yet; of one moment."""
    tally = HourTally(to_micros(since) // MICROS_AN_HOUR)
    for client, last_at, tls in await connection.fetch(SQL["seen"]):
        tally.seen[client] = (last_at, tls)
    for *key, accepted, delivered, failed, size_bytes, tls, refused in await connection.fetch(
        SQL["hours"], tally.first
    ):
        tally.add(key, (accepted, delivered, failed, size_bytes, tls, refused))
    for *key, number, size_bytes, last_at in await connection.fetch(SQL["unfinished"]):
        tally.add(key, (number, 0, 0, size_bytes, 0, 0))
        tally.saw(key[1], last_at)
    for row in await connection.fetch(SQL["fresh"], to_micros(now - FRESH)):
        tally.add_finished(*row)
    return tally.statistics()
