"""A new message in SQLite."""

import json
import sqlite3
from zlib import crc32

from relay.spool.model import NewMessage, State
from relay.spool.rows import clean, recipient_columns, to_micros
from relay.spool.sqlite.sql import statements

SQL = statements("queue.sql")

_UNLEASED = (None, None, None, None)


def message_row(
    message: NewMessage, size_bytes: int, last: tuple[int, bytes]
) -> tuple[object, ...]:
    """The columns of a new message.

    `last` is the position and the bytes of the piece that is not in the store yet; empty where a
    piece is there already: all of them are.
    """
    envelope = message.envelope
    position, piece = last
    wanting = bool(piece) or position == 0
    return (
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
    )


def dsn_row(message: NewMessage, body: bytes) -> tuple[object, ...]:
    """The columns of a message of our own with its body."""
    return message_row(message, len(body), (0, body))


def insert_row(
    connection: sqlite3.Connection, row: tuple[object, ...], lease: tuple[object, ...] = _UNLEASED
) -> None:
    """The rows of a new message, within the caller's transaction; with a lease it is claimed."""
    # The checksum here, as the process that writes has more time than the loop.
    connection.execute(SQL["accept"], (*row, crc32(row[-1] or b""), *lease))  # type: ignore[arg-type]


def _recipients(message: NewMessage) -> str:
    pairs = zip(message.envelope.recipients, message.placements, strict=True)
    rows = [
        (
            *recipient_columns(recipient),
            (State.HELD if place.held_for else State.QUEUED),
            place.lane,
            place.held_for,
        )
        for recipient, place in pairs
    ]
    # As text of the database: an escaped lone surrogate would get into it unseen.
    return json.dumps(rows, ensure_ascii=False)
