"""How a claim ended, in SQLite: recipients, attempts, the next time, the reports."""

import json
import sqlite3
from collections.abc import Sequence
from datetime import datetime, timedelta

from relay.spool.model import AttemptRecord, Settlement, State, Usage
from relay.spool.sqlite.accept import insert_dsn
from relay.spool.sqlite.rows import reply_columns, to_micros, to_minutes
from relay.spool.sqlite.sql import statements

SQL = statements("queue.sql")


def settle(connection: sqlite3.Connection, settlement: Settlement) -> bool:
    claim = settlement.claim
    at = to_micros(settlement.at)
    before = connection.total_changes
    connection.execute(
        SQL["settle"],
        (
            claim.message,
            claim.lane,
            claim.token,
            at,
            *_results(settlement),
            _attempts(settlement),
            None if settlement.due_at is None else to_micros(settlement.due_at),
            settlement.counts,
            sum(record.in_doubt for record in settlement.attempts),
            at if settlement.warned else None,
        ),
    )
    if connection.total_changes == before:
        return False
    if settlement.usage is not None:
        _record_usage(connection, settlement.usage, settlement.at)
    for message, body in settlement.dsns:
        insert_dsn(connection, message, body)
    return True


def _results(settlement: Settlement) -> tuple[str | None, str | None, str | None]:
    """As JSON: who waits no more; who waits on, with a reply; who waits on in another lane."""
    results: list[object] = []
    refusals: list[object] = []
    moves: list[object] = []
    for result in settlement.results:
        reply = reply_columns(result.reply)
        if result.state is not State.QUEUED:
            results.append((result.position, result.state, result.held_for, *reply))
            continue
        if result.reply is not None:
            refusals.append((result.position, *reply))
        if result.lane is not None and result.lane != settlement.claim.lane:
            moves.append((result.position, result.lane))
    return _text(results), _text(refusals), _text(moves)


def _attempts(settlement: Settlement) -> str | None:
    rows = [
        (
            _began(settlement, record) if index else None,
            record.seconds,
            record.address,
            record.phase,
            json.dumps(record.recipients),
            *reply_columns(record.reply),
            record.outcome,
            int(record.in_doubt),
        )
        for index, record in enumerate(settlement.attempts)
    ]
    return _text(rows)


def _began(settlement: Settlement, record: AttemptRecord) -> int:
    return to_micros(settlement.at - timedelta(seconds=record.seconds))


def _text(rows: Sequence[object]) -> str | None:
    """Not escaped: a lone surrogate would get into the database unseen."""
    return json.dumps(rows, ensure_ascii=False) if rows else None


def _record_usage(connection: sqlite3.Connection, usage: Usage, at: datetime) -> None:
    account = (usage.host, usage.username)
    if usage.transactions:
        counts = (usage.messages, usage.recipients, usage.transactions)
        connection.execute(SQL["use"], (*account, to_minutes(at), *counts))
    if usage.arrival_at is not None:
        connection.execute(SQL["arrive"], (*account, to_micros(usage.arrival_at)))


def finish_if_done(connection: sqlite3.Connection, message: int, at: int) -> None:
    """A message that nobody waits for any more loses its body."""
    if not connection.execute(SQL["is_unfinished"], (message,)).fetchone():
        connection.execute(SQL["finish"], (at, message))
        connection.execute(SQL["drop_body"], (message,))
