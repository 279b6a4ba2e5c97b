"""A new message in SQLite."""

import json
import sqlite3
from zlib import crc32

from relay.spool.model import NewMessage, State
from relay.spool.sqlite.rows import clean, recipient_columns, to_micros
from relay.spool.sqlite.sql import statements

SQL = statements("queue.sql")


def insert_message(
    connection: sqlite3.Connection, message: NewMessage, size_bytes: int, last: tuple[int, bytes]
) -> None:
    """The rows of a new message, within the caller's transaction.

    `last` is the position and the bytes of the piece that is not in the store yet; empty where a
    piece is there already: all of them are.
    """
    envelope = message.envelope
    position, piece = last
    wanting = bool(piece) or position == 0
    connection.execute(
        SQL["accept"],
        (
            message.id,
            to_micros(message.received_at),
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
            _recipients(message),
            to_micros(message.due_at or message.received_at),
            position,
            piece if wanting else None,
            crc32(piece),
        ),
    )


def insert_dsn(connection: sqlite3.Connection, message: NewMessage, body: bytes) -> None:
    """A message of our own with its body, within the transaction of what caused it."""
    insert_message(connection, message, len(body), (0, body))


def _recipients(message: NewMessage) -> str:
    pairs = zip(message.envelope.recipients, message.placements, strict=True)
    rows = [
        (
            *recipient_columns(recipient),
            State.HELD if place.held_for else State.QUEUED,
            place.lane,
            place.held_for,
        )
        for recipient, place in pairs
    ]
    # As text of the database: an escaped lone surrogate would get into it unseen.
    return json.dumps(rows, ensure_ascii=False)
