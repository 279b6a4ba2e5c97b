"""How a claim ended, in SQLite: recipients, attempts, the next time, the reports."""

import json
import sqlite3
from datetime import datetime, timedelta

from relay.spool.model import AttemptRecord, Settlement, State, Usage
from relay.spool.sqlite.accept import insert_dsn
from relay.spool.sqlite.rows import reply_columns, to_micros, to_minutes
from relay.spool.sqlite.sql import statements

SQL = statements("queue.sql")


def settle(connection: sqlite3.Connection, settlement: Settlement) -> bool:
    claim = settlement.claim
    key = (claim.message, claim.lane)
    if not connection.execute(SQL["holds_lease"], (*key, claim.token)).fetchone():
        return False
    at = to_micros(settlement.at)
    moved = _settle_recipients(connection, settlement, at)
    _record_attempts(connection, settlement)
    if settlement.usage is not None:
        _record_usage(connection, settlement.usage, settlement.at)
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


def _record_usage(connection: sqlite3.Connection, usage: Usage, at: datetime) -> None:
    account = (usage.host, usage.username)
    if usage.transactions:
        counts = (usage.messages, usage.recipients, usage.transactions)
        connection.execute(SQL["use"], (*account, to_minutes(at), *counts))
    if usage.arrival_at is not None:
        connection.execute(SQL["arrive"], (*account, to_micros(usage.arrival_at)))


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
