"""Claims in SQLite: who may attempt what, and what a dead process left behind."""

import json
import sqlite3
from datetime import datetime, timedelta
from typing import Any
from zlib import crc32

from relay.spool.model import Claim, QueuedRecipient, State
from relay.spool.sqlite.rows import from_micros, to_envelope, to_micros, to_minutes, to_recipient
from relay.spool.sqlite.sql import statements

SQL = statements("queue.sql")

LEASE = timedelta(minutes=60)
"""Of a claim. In this store a lease ends with its process, so the time only bounds a bug."""

CARRIED_BYTES = 256_000
"""A claim carries the bytes of a message up to this size."""


def recover(connection: sqlite3.Connection, now: datetime) -> None:
    """After a start: leases of the last process are void, its running attempts in doubt."""
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(SQL["interrupted"])
    connection.execute(SQL["doubt_interrupted"])
    # Nobody knows what of it the server took: it counts as used.
    connection.execute(SQL["use_interrupted"], (to_minutes(now),))
    connection.execute(SQL["void_leases"])
    connection.execute(SQL["sweep_bodies"])
    connection.execute("COMMIT")


def claim_due(
    connection: sqlite3.Connection, lane: str, limit: int, now: datetime, owner: str
) -> tuple[Claim, ...]:
    """Leased messages; the lease is at once the record of an attempt that is under way."""
    at, until = to_micros(now), to_micros(now + LEASE)
    rows = connection.execute(SQL["due"], (CARRIED_BYTES, lane, at, limit)).fetchall()
    claims = []
    for row in rows:
        found = _claim(row, lane, row[2] + 1)
        if not found.recipients:
            connection.execute(SQL["leave_queue"], (found.message, lane))
            continue
        positions = json.dumps([queued.position for queued in found.recipients])
        connection.execute(SQL["lease"], (owner, until, at, positions, found.message, lane))
        claims.append(found)
    return tuple(claims)


def read_claim(connection: sqlite3.Connection, message: int) -> Claim | None:
    """A message as a claim would give it, without the right to attempt it."""
    row = connection.execute(SQL["claimed_message"], (CARRIED_BYTES, message)).fetchone()
    return None if row is None else _claim(row, "", 0)


def _claim(row: tuple[Any, ...], lane: str, token: int) -> Claim:
    message, tries, _, received_at, expires_at, client, client_address, *envelope_columns = row[:12]
    size_bytes, message_id, is_dsn, in_doubt, warned_at, recipient_rows, body, crc = row[12:]
    recipients = []
    queued = []
    for position, *columns, state, at, pinned in json.loads(recipient_rows):
        recipient = to_recipient(*columns)
        recipients.append(recipient)
        if state == State.QUEUED and at == lane:
            queued.append(QueuedRecipient(position, recipient, pinned))
    whole = body is not None and len(body) == size_bytes and crc == crc32(body)
    return Claim(
        message=message,
        lane=lane,
        token=token,
        tries=tries,
        received_at=from_micros(received_at),
        expires_at=from_micros(expires_at),
        client=client,
        client_address=client_address,
        envelope=to_envelope(envelope_columns, tuple(recipients)),
        recipients=tuple(queued),
        bytes=size_bytes,
        message_id=message_id,
        is_dsn=bool(is_dsn),
        in_doubt=bool(in_doubt),
        warned=warned_at is not None,
        body=body if whole else None,
    )
