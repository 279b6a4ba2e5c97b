"""The rows of a new message in SQLite."""

import json
import sqlite3
from zlib import crc32

from relay.spool.model import NewMessage, State
from relay.spool.sqlite.rows import clean, recipient_columns, to_micros
from relay.spool.sqlite.sql import statements

SQL = statements("queue.sql")


def insert_message(connection: sqlite3.Connection, message: NewMessage, size_bytes: int) -> None:
    """The rows of a new message but its body, within the caller's transaction."""
    envelope = message.envelope
    received_at = to_micros(message.received_at)
    connection.execute(
        SQL["add_message"],
        (
            message.id,
            received_at,
            to_micros(message.expires_at),
            message.client,
            message.client_address,
            clean(envelope.reverse_path or ""),
            envelope.body_8bit,
            envelope.smtputf8,
            envelope.ret,
            envelope.envid,
            size_bytes,
            clean(message.message_id),
            None if message.subject is None else clean(message.subject),
            message.is_dsn,
            json.dumps(message.repairs),
        ),
    )
    pairs = list(zip(envelope.recipients, message.placements, strict=True))
    connection.executemany(
        SQL["add_recipient"],
        [
            (
                message.id,
                position,
                *recipient_columns(recipient),
                State.HELD if place.held_for else State.QUEUED,
                place.lane,
                place.held_for,
            )
            for position, (recipient, place) in enumerate(pairs)
        ],
    )
    due_at = to_micros(message.due_at or message.received_at)
    for lane in {place.lane for _, place in pairs if place.held_for is None}:
        connection.execute(SQL["add_to_queue"], (message.id, lane, due_at))


def insert_dsn(connection: sqlite3.Connection, message: NewMessage, body: bytes) -> None:
    """A message of our own with its body, within the transaction of what caused it."""
    connection.execute(SQL["add_body"], (message.id, 0, body, crc32(body)))
    insert_message(connection, message, len(body))
