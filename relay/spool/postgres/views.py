"""What the commands see of the queue in PostgreSQL. Read-only."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

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
from relay.spool.postgres.sql import statements
from relay.spool.sqlite.rows import from_micros, optional_time, to_micros, to_repairs, to_reply
from relay.spool.sqlite.views import ORDER, WHERE, next_attempt_at, waiting_for

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
    number, at, address = delivered or (0, None, None)
    failures = await connection.fetch(SQL["failures_after"], number, lane)
    return History(
        delivered_at=optional_time(at),
        address=address,
        failures=tuple(
            Failure(from_micros(when), Outcome(outcome), phase, to_reply(*reply), where)
            for when, outcome, phase, *reply, where in failures
        ),
    )


async def _views(
    connection: Connection,
    rows: Sequence[Any],
    now: datetime,
    attempts: Sequence[Any] = (),
) -> tuple[MessageView, ...]:
    ids = [row[0] for row in rows]
    recipients = defaultdict(list)
    for message, *columns in await connection.fetch(SQL["view_recipients"], ids):
        recipients[message].append(_recipient(columns))
    queue = await queue_rows(connection, ids)
    return tuple(
        _view(row, tuple(recipients[row[0]]), queue.get(row[0], []), now, attempts) for row in rows
    )


async def queue_rows(connection: Connection, ids: Sequence[int]) -> dict[int, list[Any]]:
    """For each message where it waits: when due, leased by whom, what blocks the lane, until when."""
    found = defaultdict(list)
    for message, *columns in await connection.fetch(SQL["view_queue"], list(ids)):
        found[message].append(tuple(columns))
    return found


def _view(
    row: Sequence[Any],
    recipients: tuple[RecipientView, ...],
    queue: list[Any],
    now: datetime,
    attempts: Sequence[Any],
) -> MessageView:
    state = next(state for state in ORDER if any(each.state is state for each in recipients))
    sandbox = any(each.held_for is HeldFor.SANDBOX for each in recipients)
    return MessageView(
        id=row[0],
        state=state,
        waiting_for=waiting_for(state, sandbox, queue, to_micros(now)),
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
        attempts=tuple(_attempt(each, recipients) for each in attempts),
    )


def _recipient(columns: Sequence[Any]) -> RecipientView:
    address, state, origin, lane, held_for, *reply, pinned = columns
    return RecipientView(
        address=address,
        state=State(state),
        origin=origin,
        lane=lane,
        held_for=HeldFor(held_for) if held_for else None,
        reply=to_reply(*reply),
        pinned=pinned,
    )


def _attempt(row: Sequence[Any], recipients: tuple[RecipientView, ...]) -> AttemptView:
    at, seconds, lane, address, phase, positions, *reply, outcome, in_doubt = row
    return AttemptView(
        at=from_micros(at),
        seconds=seconds,
        smarthost=lane,
        address=address,
        phase=phase,
        recipients=tuple(recipients[position].address for position in json.loads(positions)),
        reply=to_reply(*reply),
        outcome=Outcome(outcome) if outcome else None,
        in_doubt=in_doubt,
    )
