"""Claims in SQLite: who may attempt what, and what a dead process left behind."""

import json
import sqlite3
from datetime import datetime, timedelta

from relay.spool.model import Claim, QueuedRecipient, State
from relay.spool.sqlite.rows import from_micros, to_envelope, to_micros, to_minutes, to_recipient
from relay.spool.sqlite.sql import statements

SQL = statements("queue.sql")

LEASE = timedelta(minutes=60)
"""Of a claim. In this store a lease ends with its process, so the time only bounds a bug."""


def recover(connection: sqlite3.Connection, now: datetime) -> None:
    """After a start: leases of the last process are void, its running attempts in doubt."""
    connection.execute("BEGIN IMMEDIATE")
    interrupted = connection.execute(SQL["interrupted"]).fetchall()
    connection.executemany(SQL["mark_in_doubt"], interrupted)
    # Nobody knows what of it the server took: it counts as used.
    connection.execute(SQL["use_interrupted"], (to_minutes(now),))
    connection.execute(SQL["mark_interrupted"])
    connection.execute(SQL["void_leases"])
    connection.execute(SQL["sweep_bodies"])
    connection.execute("COMMIT")


def claim_due(
    connection: sqlite3.Connection, lane: str, limit: int, now: datetime, owner: str
) -> tuple[Claim, ...]:
    rows = connection.execute(SQL["due"], (lane, to_micros(now), limit)).fetchall()
    claims = []
    for message, tries, token in rows:
        found = read_claim(connection, (message, lane, token + 1, tries))
        if not found.recipients:
            connection.execute(SQL["leave_queue"], (message, lane))
            continue
        connection.execute(SQL["lease"], (owner, to_micros(now + LEASE), message, lane))
        positions = json.dumps([queued.position for queued in found.recipients])
        connection.execute(
            SQL["start_attempt"], (message, lane, found.token, to_micros(now), positions)
        )
        claims.append(found)
    return tuple(claims)


def read_claim(connection: sqlite3.Connection, key: tuple[int, str, int, int]) -> Claim:
    message, lane, token, tries = key
    cursor = connection.execute(SQL["claimed_message"], (message,))
    names = [column[0] for column in cursor.description]
    row = dict(zip(names, cursor.fetchone(), strict=True))
    recipients = []
    queued = []
    for position, *columns, state, at, pinned in connection.execute(
        SQL["claimed_recipients"], (message,)
    ):
        recipient = to_recipient(*columns)
        recipients.append(recipient)
        if state == State.QUEUED and at == lane:
            queued.append(QueuedRecipient(position, recipient, pinned))
    return Claim(
        message=message,
        lane=lane,
        token=token,
        tries=tries,
        received_at=from_micros(row["received_at"]),
        expires_at=from_micros(row["expires_at"]),
        client=row["client"],
        client_address=row["client_address"],
        envelope=to_envelope(row, tuple(recipients)),
        recipients=tuple(queued),
        bytes=row["bytes"],
        message_id=row["message_id"],
        is_dsn=bool(row["is_dsn"]),
        in_doubt=bool(row["in_doubt"]),
        warned=row["warned_at"] is not None,
    )
