"""Claims in SQLite: who may attempt what, and what a dead process left behind."""

import json
import sqlite3
from datetime import datetime, timedelta
from typing import Any
from zlib import crc32

from relay.spool.model import Claim, QueuedRecipient, State
from relay.spool.sqlite.rows import from_micros, to_envelope, to_minutes, to_recipient
from relay.spool.sqlite.sql import statements

SQL = statements("queue.sql")

LEASE = timedelta(minutes=60)
"""Of a claim. In this store a lease ends with its process, so the time only bounds a bug."""

CARRIED_BYTES = 256_000
"""A claim carries the bytes of a message up to this size."""


Due = tuple[int, int, str, int, int]
"""What is asked for: the bytes of messages up to a size and below an id, the lane, the time by which
they are due, and how many at most."""


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
    connection: sqlite3.Connection, owner: str, until: int, due: Due
) -> list[tuple[Any, ...]]:
    """Leased messages, as `to_claim` takes them, theirs until `until`; the lease is at once the
    record of an attempt that is under way."""
    _, _, lane, at, _ = due
    rows = []
    for *row, positions in connection.execute(SQL["due"], due).fetchall():
        if positions == "[]":
            connection.execute(SQL["leave_queue"], (row[0], lane))
            continue
        connection.execute(SQL["lease"], (owner, until, at, positions, row[0], lane))
        rows.append(tuple(row))
    return rows


def read_claim(connection: sqlite3.Connection, message: int) -> Claim | None:
    """A message as a claim would give it, without the right to attempt it."""
    row = connection.execute(SQL["claimed_message"], (CARRIED_BYTES, message)).fetchone()
    return None if row is None else to_claim(row, "", 0)


def to_claim(row: tuple[Any, ...], lane: str, token: int) -> Claim:
    """A claim of a row that `claim_due` or `read_claim` found."""
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
