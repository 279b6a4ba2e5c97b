"""What an operator, or a new configuration, does to messages in SQLite.

Each action works on one message within the caller's transaction and says whether it changed
anything.
"""

import json
import sqlite3
from collections.abc import Callable, Sequence

from relay.spool.model import Waiting
from relay.spool.sqlite import statistics
from relay.spool.sqlite.accept import insert_row
from relay.spool.sqlite.sql import statements
from relay.spool.view import Acted

SQL = statements("queue.sql")

_OF_A_MESSAGE = (
    ("recipient", "message"),
    ("attempt", "message"),
    ("counted", "message"),
    ("message", "id"),
)


def each(
    connection: sqlite3.Connection,
    action: Callable[..., bool],
    ids: Sequence[int],
    now: int,
    *values: object,
) -> Acted:
    """Do `action` to each message and tell what became of the ids."""
    changed, unchanged, unknown = [], [], []
    for message in dict.fromkeys(ids):
        if not connection.execute(SQL["exists"], (message,)).fetchone():
            unknown.append(message)
        elif action(connection, message, now, *values):
            changed.append(message)
        else:
            unchanged.append(message)
    return Acted(tuple(changed), tuple(unchanged), tuple(unknown))


def retry(connection: sqlite3.Connection, message: int, now: int) -> bool:
    return connection.execute(SQL["make_due"], (now, message)).rowcount > 0


def hold(connection: sqlite3.Connection, message: int, now: int) -> bool:
    changed = connection.execute(SQL["hold_recipients"], (message,)).rowcount > 0
    align_queue(connection, message, now)
    return changed


def release(connection: sqlite3.Connection, message: int, now: int, held_for: str | None) -> bool:
    changed = connection.execute(SQL["release_recipients"], (message, held_for)).rowcount > 0
    align_queue(connection, message, now)
    return changed


def delete(connection: sqlite3.Connection, message: int, now: int) -> bool:
    changed = connection.execute(SQL["delete_recipients"], (now, message)).rowcount > 0
    align_queue(connection, message, now)
    if changed:
        finish_if_done(connection, message, now)
    return changed


def reroute(connection: sqlite3.Connection, message: int, now: int, smarthost: str) -> bool:
    values = (smarthost, smarthost, message)
    changed = connection.execute(SQL["pin_recipients"], values).rowcount > 0
    align_queue(connection, message, now)
    return changed


def relane(connection: sqlite3.Connection, moves: Sequence[tuple[int, int, str]]) -> None:
    """Give recipients, as (message, position, lane), their new lane; due times stay.

    What is under way stays: its worker settles it. A few statements for any number of moves.
    """
    rows = [(lane, message, position) for message, position, lane in moves]
    connection.executemany(SQL["move_waiting"], rows)
    messages = json.dumps(sorted({message for message, _, _ in moves}))
    connection.execute(SQL["queue_moved"], (messages,))
    connection.execute(SQL["unqueue_moved"], (messages,))


def waiting(
    connection: sqlite3.Connection, lane: str | None, after: int, limit: int
) -> tuple[tuple[Waiting, ...], int | None]:
    """Who waits, of a page of messages, and the id to go on after."""
    if lane is None:
        found = connection.execute(SQL["ids_unfinished"], (after, limit)).fetchall()
        ids = [row[0] for row in found]
        rows = connection.execute(SQL["waiting_anywhere"], (json.dumps(ids),))
    else:
        found = connection.execute(SQL["ids_in_lane"], (after, lane, limit)).fetchall()
        ids = [row[0] for row in found]
        rows = connection.execute(SQL["waiting_in_lane"], (json.dumps(ids), lane))
    return tuple(Waiting(*row) for row in rows), ids[-1] if len(ids) == limit else None


def align_queue(connection: sqlite3.Connection, message: int, now: int) -> None:
    """Make the queue rows of a message those of its recipients' lanes.

    A leased row stays: its worker settles it. A new row takes the earliest due time of the rows
    that were there, so that moving a message neither hurries nor delays it.
    """
    rows = connection.execute(SQL["queue_rows"], (message,)).fetchall()
    wanted = {row[0] for row in connection.execute(SQL["queued_lanes"], (message,))}
    due_at = min((row[1] for row in rows), default=now)
    for lane, _, lease_owner in rows:
        if lane not in wanted and lease_owner is None:
            connection.execute(SQL["leave_queue"], (message, lane))
    for lane in wanted - {row[0] for row in rows}:
        connection.execute(SQL["add_to_queue"], (message, lane, due_at))


def hold_expired(connection: sqlite3.Connection, now: int) -> tuple[int, ...]:
    """Hold unleased messages past their lifetime whose lane is blocked."""
    rows = connection.execute(SQL["expired"], (now, now)).fetchall()
    for message, lane in rows:
        connection.execute(SQL["hold_for_lifetime"], (message, lane))
        align_queue(connection, message, now)
    return tuple(dict.fromkeys(message for message, _ in rows))


def fail_held(
    connection: sqlite3.Connection,
    rows: Sequence[tuple[int, tuple[object, ...], tuple[object, ...] | None]],
    now: int,
) -> None:
    """Give held messages up, each with the columns of its reply and the row of its DSN."""
    for message, reply, dsn in rows:
        if connection.execute(SQL["fail_held"], (*reply, now, message)).rowcount and dsn:
            insert_row(connection, dsn)
        finish_if_done(connection, message, now)


def finish_if_done(connection: sqlite3.Connection, message: int, at: int) -> None:
    """A message that nobody waits for any more loses its body."""
    if not connection.execute(SQL["is_unfinished"], (message,)).fetchone():
        connection.execute(SQL["finish"], (at, message))
        connection.execute(SQL["drop_body"], (message,))


def purge(connection: sqlite3.Connection, before: int, limit: int) -> int:
    """Forget finished messages with their recipients and attempts; the statistics keep them."""
    rows = connection.execute(SQL["purgeable"], (before, limit)).fetchall()
    statistics.count(connection, [message for (message,) in rows])
    for table, column in _OF_A_MESSAGE:
        connection.executemany(f"DELETE FROM {table} WHERE {column} = ?", rows)
    return len(rows)
