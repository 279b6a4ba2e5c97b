"""What the commands see of the queue in SQLite. Read-only."""

import sqlite3
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from relay.spool.model import State
from relay.spool.rows import optional_time
from relay.spool.sqlite.sql import statements
from relay.spool.statistics import History, Totals
from relay.spool.view import MessageView
from relay.spool.view_rows import WHERE, to_history, to_recipient_view, to_view

SQL = statements("queue.sql")


def page(
    connection: sqlite3.Connection,
    state: State | None,
    limit: int,
    client: str | None,
    now: datetime,
) -> tuple[int, tuple[MessageView, ...]]:
    """How many messages there are in `state`, and the oldest of them."""
    where, values = WHERE[state], []
    if client is not None:
        where += " AND m.client = ?"
        values.append(client)
    total = connection.execute(f"SELECT count(*) FROM message m WHERE {where}", values).fetchone()
    query = f"{SQL['view']} WHERE {where} ORDER BY m.id LIMIT ?"
    return total[0], _views(connection, connection.execute(query, (*values, limit)), now)


def after(
    connection: sqlite3.Connection, message: int, limit: int, now: datetime
) -> tuple[MessageView, ...]:
    """Unfinished messages with an id above `message`, in order of id."""
    query = f"{SQL['view']} WHERE m.finished_at IS NULL AND m.id > ? ORDER BY m.id LIMIT ?"
    return _views(connection, connection.execute(query, (message, limit)), now)


def one(connection: sqlite3.Connection, message: int, now: datetime) -> MessageView | None:
    """One message with its attempts; None if it is not known."""
    row = connection.execute(f"{SQL['view']} WHERE m.id = ?", (message,)).fetchone()
    return None if row is None else _view(connection, row, now, with_attempts=True)


def totals(connection: sqlite3.Connection) -> Totals:
    """Counts over the whole queue."""
    by_lane = dict(connection.execute(SQL["count_by_lane"]).fetchall())
    return Totals(
        queued=sum(by_lane.values()),
        held=connection.execute(SQL["count_held"]).fetchone()[0],
        oldest_queued_at=optional_time(connection.execute(SQL["oldest_queued"]).fetchone()[0]),
        by_lane=by_lane,
    )


def history(connection: sqlite3.Connection, lane: str) -> History:
    """The last attempt of `lane` that delivered, and those after it that did not."""
    delivered = connection.execute(SQL["last_delivered"], (lane,)).fetchone()
    number = delivered[0] if delivered else 0
    failures = connection.execute(SQL["failures_after"], (number, lane)).fetchall()
    return to_history(delivered, failures)


def _views(
    connection: sqlite3.Connection, rows: Iterable[tuple[Any, ...]], now: datetime
) -> tuple[MessageView, ...]:
    return tuple(_view(connection, row, now, with_attempts=False) for row in list(rows))


def _view(
    connection: sqlite3.Connection, row: tuple[Any, ...], now: datetime, *, with_attempts: bool
) -> MessageView:
    message = (row[0],)
    recipients = tuple(
        to_recipient_view(columns)
        for _, *columns in connection.execute(SQL["view_recipients"], message)
    )
    queue = connection.execute(SQL["view_queue"], message).fetchall()
    attempts = connection.execute(SQL["view_attempts"], message).fetchall() if with_attempts else []
    return to_view(row, recipients, queue, now, attempts)
