"""How a claim ended, in SQLite: recipients, attempts, the next time, the reports."""

import json
import sqlite3
from collections.abc import Sequence
from datetime import datetime, timedelta

from relay.spool.claim_rows import result_rows
from relay.spool.ledger_entry import Usage
from relay.spool.model import AttemptRecord, Settlement
from relay.spool.rows import reply_columns, to_micros, to_minutes
from relay.spool.sqlite.accept import dsn_row, insert_row
from relay.spool.sqlite.sql import statements

SQL = statements("queue.sql")


Row = tuple[object, ...]


def settlement_rows(settlement: Settlement) -> tuple[Row, Row | None, Row | None, tuple[Row, ...]]:
    """In columns, as `settle` takes it: the deed, what was used, how far the pace came, the DSNs."""
    claim = settlement.claim
    at = to_micros(settlement.at)
    ending = (
        claim.message,
        claim.lane,
        claim.token,
        at,
        *map(_text, result_rows(settlement)),
        _attempts(settlement),
        None if settlement.due_at is None else to_micros(settlement.due_at),
        settlement.counts,
        sum(record.in_doubt for record in settlement.attempts),
        at if settlement.warned else None,
    )
    dsns = tuple(dsn_row(message, body) for message, body in settlement.dsns)
    return ending, *_usage(settlement.usage, settlement.at), dsns


def settle(
    connection: sqlite3.Connection,
    ending: Row,
    used: Row | None,
    arrived: Row | None,
    dsns: tuple[Row, ...],
) -> bool:
    """Record how a claim ended, within the caller's transaction; False if it had been lost."""
    before = connection.total_changes
    connection.execute(SQL["settle"], ending)
    if connection.total_changes == before:
        return False
    if used is not None:
        connection.execute(SQL["use"], used)
    if arrived is not None:
        connection.execute(SQL["arrive"], arrived)
    for row in dsns:
        insert_row(connection, row)
    return True


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


def _usage(usage: Usage | None, at: datetime) -> tuple[Row | None, Row | None]:
    """The columns of what was used, and of how far the pace has come."""
    if usage is None:
        return None, None
    account = (usage.host, usage.username)
    counts = (usage.messages, usage.recipients, usage.transactions)
    used = (*account, to_minutes(at), *counts) if usage.transactions else None
    arrived = None if usage.arrival_at is None else (*account, to_micros(usage.arrival_at))
    return used, arrived
