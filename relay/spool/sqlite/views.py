"""What the commands see of the queue in SQLite. Read-only."""

import json
import sqlite3
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from relay.spool.model import (
    AttemptView,
    Failure,
    HeldFor,
    History,
    MessageView,
    Outcome,
    RecipientView,
    State,
    Totals,
)
from relay.spool.sqlite.rows import from_micros, optional_time, to_micros, to_repairs, to_reply
from relay.spool.sqlite.sql import statements

SQL = statements("queue.sql")

_WITH = "EXISTS (SELECT 1 FROM recipient r WHERE r.message = m.id AND r.state = '{}')"
_HELD, _QUEUED, _FAILED, _DELIVERED, _DELETED = (_WITH.format(state.value) for state in State)

# A message's state is the first of held, queued, failed, delivered among its recipients'.
WHERE = {
    None: "m.finished_at IS NULL",
    State.HELD: f"m.finished_at IS NULL AND {_HELD}",
    State.QUEUED: f"m.finished_at IS NULL AND NOT {_HELD} AND {_QUEUED}",
    State.FAILED: f"m.finished_at IS NOT NULL AND {_FAILED}",
    State.DELIVERED: f"m.finished_at IS NOT NULL AND NOT {_FAILED} AND {_DELIVERED}",
    State.DELETED: f"m.finished_at IS NOT NULL AND NOT {_FAILED} AND NOT {_DELIVERED} "
    f"AND {_DELETED}",
}
ORDER = (State.HELD, State.QUEUED, State.FAILED, State.DELIVERED, State.DELETED)


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
    number, at, address = delivered or (0, None, None)
    failures = connection.execute(SQL["failures_after"], (number, lane)).fetchall()
    return History(
        delivered_at=optional_time(at),
        address=address,
        failures=tuple(
            Failure(from_micros(when), Outcome(outcome), phase, to_reply(*reply), where)
            for when, outcome, phase, *reply, where in failures
        ),
    )


def _views(
    connection: sqlite3.Connection, rows: Iterable[tuple[Any, ...]], now: datetime
) -> tuple[MessageView, ...]:
    return tuple(_view(connection, row, now, with_attempts=False) for row in list(rows))


def _view(
    connection: sqlite3.Connection, row: tuple[Any, ...], now: datetime, *, with_attempts: bool
) -> MessageView:
    message = row[0]
    recipients = _recipients(connection, message)
    state = next(state for state in ORDER if any(each.state is state for each in recipients))
    queue = connection.execute(SQL["view_queue"], (message,)).fetchall()
    return MessageView(
        id=message,
        state=state,
        waiting_for=waiting_for(state, _in_sandbox(recipients), queue, to_micros(now)),
        in_doubt=row[9] > 0,
        leased=any(lease_owner is not None for _, lease_owner, _, _ in queue),
        received_at=from_micros(row[1]),
        client=row[2],
        client_address=row[3],
        sender=row[4],
        bytes=row[5],
        subject=row[6],
        message_id=row[7],
        next_attempt_at=next_attempt_at(queue),
        recipients=recipients,
        repairs=to_repairs(row[8]),
        attempts=_attempts(connection, message, recipients) if with_attempts else (),
    )


def _recipients(connection: sqlite3.Connection, message: int) -> tuple[RecipientView, ...]:
    return tuple(
        RecipientView(
            address=address,
            state=State(state),
            origin=origin,
            lane=lane,
            held_for=HeldFor(held_for) if held_for else None,
            reply=to_reply(*reply),
            pinned=pinned,
        )
        for _, address, state, origin, lane, held_for, *reply, pinned in connection.execute(
            SQL["view_recipients"], (message,)
        )
    )


def _in_sandbox(recipients: tuple[RecipientView, ...]) -> bool:
    return any(each.held_for is HeldFor.SANDBOX for each in recipients)


def waiting_for(state: State, sandbox: bool, queue: list[Any], now: int) -> str | None:
    """The slug of what a message waits for, by its rows of `view_queue`."""
    if state is State.HELD:
        return "sandbox" if sandbox else "hold"
    for due_at, lease_owner, blocked_by, blocked_until in queue:
        if lease_owner is not None:
            return None
        if blocked_by and (blocked_until is None or blocked_until > now):
            return str(blocked_by)
        if due_at > now:
            return "schedule"
    return None


def next_attempt_at(queue: list[Any]) -> datetime | None:
    """The earliest time at which a lane of the message may try it; None while none may."""
    times = [
        due_at if not blocked_by else None if blocked_until is None else max(due_at, blocked_until)
        for due_at, _, blocked_by, blocked_until in queue
    ]
    known = [time for time in times if time is not None]
    return from_micros(min(known)) if known else None


def _attempts(
    connection: sqlite3.Connection, message: int, recipients: tuple[RecipientView, ...]
) -> tuple[AttemptView, ...]:
    return tuple(
        AttemptView(
            at=from_micros(at),
            seconds=seconds,
            smarthost=lane,
            address=address,
            phase=phase,
            recipients=tuple(recipients[position].address for position in json.loads(positions)),
            reply=to_reply(*reply),
            outcome=Outcome(outcome) if outcome else None,
            in_doubt=bool(in_doubt),
        )
        for at, seconds, lane, address, phase, positions, *reply, outcome, in_doubt in (
            connection.execute(SQL["view_attempts"], (message,)).fetchall()
        )
    )
