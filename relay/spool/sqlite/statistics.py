"""The hourly statistics in SQLite: finished messages are added once each, the rest is counted live."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from relay.spool.model import Arrivals, ClientSeen, HourCount, Statistics
from relay.spool.sqlite.rows import clean, from_micros, to_micros
from relay.spool.sqlite.sql import statements

SQL = statements("statistics.sql")

FRESH = timedelta(hours=2)
"""What finished longer ago has been rolled up: a reader does not look for it."""

_MICROS_AN_HOUR = 3_600_000_000
_COUNTS = ("accepted", "delivered", "failed", "bytes", "tls", "refused")


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
    hours = [
        (to_micros(hour) // _MICROS_AN_HOUR, clean(client), tls, refused)
        for (hour, client), (tls, refused) in arrivals.hours.items()
    ]
    connection.executemany(SQL["note_hour"], hours)
    seen = [(clean(client), to_micros(at), tls) for client, (at, tls) in arrivals.seen.items()]
    connection.executemany(SQL["note_seen"], seen)


def forget(connection: sqlite3.Connection, before: int) -> int:
    """Drop the hours before `before`; how many rows there were."""
    return connection.execute(SQL["forget_hours"], (before // _MICROS_AN_HOUR,)).rowcount


def read(connection: sqlite3.Connection, since: datetime, now: datetime) -> Statistics:
    """All hours from that of `since` on, with what is not rolled up yet."""
    tally = _Tally(to_micros(since) // _MICROS_AN_HOUR)
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


@dataclass(slots=True)
class _Tally:
    """Counts by hour, client and smarthost, none before the hour `first`."""

    first: int
    hours: dict[tuple[int, str, str], list[int]] = field(default_factory=dict)
    seen: dict[str, tuple[int, int | None]] = field(default_factory=dict)

    def add(self, key: Sequence[Any], counts: Sequence[int]) -> None:
        hour, client, smarthost = key
        if hour < self.first:
            return
        found = self.hours.setdefault((hour, client, smarthost), [0] * len(_COUNTS))
        for place, number in enumerate(counts):
            found[place] += number

    def add_finished(self, received_at: int, finished_at: int, *rest: Any) -> None:
        client, lane, size_bytes, failed, delivered = rest
        self.add((received_at // _MICROS_AN_HOUR, client, lane), (1, 0, 0, size_bytes, 0, 0))
        outcome = (0, int(delivered and not failed), int(failed), 0, 0, 0)
        if delivered or failed:
            self.add((finished_at // _MICROS_AN_HOUR, client, lane), outcome)
        self.saw(client, received_at)

    def saw(self, client: str, at: int) -> None:
        last_at, tls = self.seen.get(client, (at, None))
        self.seen[client] = (max(at, last_at), tls)

    def statistics(self) -> Statistics:
        return Statistics(
            hours=tuple(
                HourCount(from_micros(hour * _MICROS_AN_HOUR), client, smarthost, *counts)
                for (hour, client, smarthost), counts in sorted(self.hours.items())
            ),
            seen={
                client: ClientSeen(from_micros(at), None if tls is None else bool(tls))
                for client, (at, tls) in self.seen.items()
            },
        )
