"""Claims in SQLite: who may attempt what, and what a dead process left behind."""

import json
import sqlite3
from datetime import datetime, timedelta
from typing import Any

from relay.spool.claim_rows import to_claim
from relay.spool.model import Claim, NewMessage, QueuedRecipient
from relay.spool.rows import to_micros, to_minutes
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
    """Leased messages, as `claimed` takes them, theirs until `until`; the lease is at once the
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


def lease_of_new(message: NewMessage, now: datetime, owner: str) -> tuple[object, ...]:
    """The columns that claim a message as it is accepted: owner, until, from, for whom."""
    positions = json.dumps(list(range(len(message.placements))))
    return owner, to_micros(now + LEASE), to_micros(now), positions


def claim_of_new(message: NewMessage, body: bytes) -> Claim:
    """The claim of a message whose lane is that of all its placements."""
    envelope = message.envelope
    return Claim(
        message=message.id,
        lane=message.placements[0].lane,
        token=1,
        tries=0,
        received_at=message.received_at,
        expires_at=message.expires_at,
        client=message.client,
        client_address=message.client_address,
        envelope=envelope,
        recipients=tuple(
            map(QueuedRecipient, range(len(envelope.recipients)), envelope.recipients)
        ),
        bytes=len(body),
        message_id=message.message_id,
        is_dsn=message.is_dsn,
        in_doubt=False,
        warned=False,
        body=body,
    )


def read_claim(connection: sqlite3.Connection, message: int) -> Claim | None:
    """A message as a claim would give it, without the right to attempt it."""
    row = connection.execute(SQL["claimed_message"], (CARRIED_BYTES, message)).fetchone()
    return None if row is None else claimed(row, "", 0)


def claimed(row: tuple[Any, ...], lane: str, token: int) -> Claim:
    """A claim of a row that `claim_due` or `read_claim` found."""
    message, tries, _, *columns = row
    return to_claim((message, lane, tries, token, *columns))
