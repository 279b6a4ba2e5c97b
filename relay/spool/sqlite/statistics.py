"""The hourly statistics in SQLite: finished messages are added once each, the rest is counted live."""

import json
import sqlite3
from collections.abc import Sequence
from datetime import datetime

from relay.spool.hour_tally import FRESH, MICROS_AN_HOUR, HourTally, arrival_rows
from relay.spool.rows import to_micros
from relay.spool.sqlite.sql import statements
from relay.spool.statistics import Arrivals, Statistics

SQL = statements("statistics.sql")


def uncounted(connection: sqlite3.Connection, since: int, limit: int) -> list[tuple[int, int]]:
    """Ids, with when each was finished, of up to `limit` messages that were not counted yet."""
    return connection.execute(SQL["uncounted"], (since, limit)).fetchall()


def count(connection: sqlite3.Connection, ids: Sequence[int]) -> None:
    """Add finished messages to their hours, each only once however often it is asked for."""
    values = (json.dumps(ids),)
    for statement in ("count_accepted", "count_finished", "count_seen", "mark_counted"):
        connection.execute(SQL[statement], values)


def note(connection: sqlite3.Connection, arrivals: Arrivals) -> None:
    """Add what only intake knows: TLS, and what it did not take."""
    hours, seen = arrival_rows(arrivals)
    connection.executemany(SQL["note_hour"], hours)
    connection.executemany(SQL["note_seen"], seen)


def forget(connection: sqlite3.Connection, before: int) -> int:
    """Drop the hours before `before`; how many rows there were."""
    return connection.execute(SQL["forget_hours"], (before // MICROS_AN_HOUR,)).rowcount


def read(connection: sqlite3.Connection, since: datetime, now: datetime) -> Statistics:
    """All hours from that of `since` on, with what is not rolled up yet."""
    tally = HourTally(to_micros(since) // MICROS_AN_HOUR)
    connection.execute("BEGIN")  # all of it of one moment: nothing is counted twice, or not at all
    try:
        for client, last_at, tls in connection.execute(SQL["seen"]):
            tally.seen[client] = (last_at, tls)
        for *key, accepted, delivered, failed, size_bytes, tls, refused in connection.execute(
            SQL["hours"], (tally.first,)
        ):
            tally.add(key, (accepted, delivered, failed, size_bytes, tls, refused))
        for *key, number, size_bytes, last_at in connection.execute(SQL["unfinished"]):
            tally.add(key, (number, 0, 0, size_bytes, 0, 0))
            tally.saw(key[1], last_at)
        for row in connection.execute(SQL["fresh"], (to_micros(now - FRESH),)):
            tally.add_finished(*row)
    finally:
        connection.execute("COMMIT")
    return tally.statistics()
