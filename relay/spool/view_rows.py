"""A message as commands and pages see it, out of the columns of tables."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from relay.spool.model import HeldFor, Outcome, State
from relay.spool.rows import from_micros, optional_time, to_micros, to_repairs, to_reply
from relay.spool.statistics import Failure, History
from relay.spool.view import AttemptView, MessageView, RecipientView

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


def to_history(delivered: Sequence[Any] | None, failures: Iterable[Sequence[Any]]) -> History:
    """The history of a lane out of the row of its last delivery and those of its failures since."""
    _, at, address = delivered or (0, None, None)
    return History(
        delivered_at=optional_time(at),
        address=address,
        failures=tuple(
            Failure(from_micros(when), Outcome(outcome), phase, to_reply(*reply), where)
            for when, outcome, phase, *reply, where in failures
        ),
    )


def to_view(
    row: Sequence[Any],
    recipients: tuple[RecipientView, ...],
    queue: list[Any],
    now: datetime,
    attempts: Sequence[Any],
) -> MessageView:
    """A message out of its row, its recipients, its rows of `view_queue` and of its attempts."""
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
        attempts=tuple(to_attempt_view(each, recipients) for each in attempts),
    )


def to_recipient_view(columns: Sequence[Any]) -> RecipientView:
    """A recipient out of a row of `view_recipients`, without its message."""
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


def to_attempt_view(row: Sequence[Any], recipients: tuple[RecipientView, ...]) -> AttemptView:
    """An attempt out of a row of `view_attempts`."""
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
        in_doubt=bool(in_doubt),
    )


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
