"""Between the values of `model.py` and what the functions of `0002_deeds.sql` take and give."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from zlib import crc32

from relay.spool.claim_rows import result_rows
from relay.spool.ledger_entry import Usage
from relay.spool.model import AttemptRecord, Claim, NewMessage, Settlement, State
from relay.spool.postgres.deeds import Arrival, Deed, Kind
from relay.spool.rows import (
    clean,
    recipient_columns,
    reply_columns,
    to_micros,
    to_minutes,
)


def arrival(message: NewMessage, size_bytes: int, last: tuple[int, bytes]) -> Arrival:
    """A new message. `last` is the position and the bytes of the piece that is not in the store
    yet; empty where a piece is there already: all of them are."""
    envelope = message.envelope
    position, piece = last
    wanting = bool(piece) or position == 0
    columns: dict[str, object] = {
        "id": message.id,
        "received_at": to_micros(message.received_at),
        "expires_at": to_micros(message.expires_at),
        "client": message.client,
        "client_address": message.client_address,
        "reverse_path": clean(envelope.reverse_path or ""),
        "body_8bit": envelope.body_8bit,
        "smtputf8": envelope.smtputf8,
        "ret": envelope.ret,
        "envid": envelope.envid,
        "bytes": size_bytes,
        "message_id": clean(message.message_id),
        "subject": None if message.subject is None else clean(message.subject),
        "is_dsn": message.is_dsn,
        "repairs": json.dumps(message.repairs),
        "recipients": _recipients(message),
        "due_at": to_micros(message.due_at or message.received_at),
        "position": position,
        "crc": crc32(piece),
    }
    return Arrival(columns, piece if wanting else None)


def report(message: NewMessage, body: bytes) -> Arrival:
    """A message of our own with its body."""
    return arrival(message, len(body), (0, body))


def ending(settlement: Settlement) -> Deed:
    """How a claim ended."""
    claim, at = settlement.claim, to_micros(settlement.at)
    results, refusals, moves = result_rows(settlement)
    columns: dict[str, object] = {
        "message": claim.message,
        "lane": claim.lane,
        "token": claim.token,
        "at": at,
        "results": results,
        "refusals": refusals or None,
        "moves": moves or None,
        "attempts": [
            _attempt(settlement, record, first=index == 0)
            for index, record in enumerate(settlement.attempts)
        ],
        "due_at": None if settlement.due_at is None else to_micros(settlement.due_at),
        "counts": int(settlement.counts),
        "doubts": sum(record.in_doubt for record in settlement.attempts),
        "warned_at": at if settlement.warned else None,
        "usage": _usage(settlement.usage, settlement.at),
    }
    reports = tuple(report(message, body) for message, body in settlement.dsns)
    return Deed(Kind.SETTLE, columns, reports)


def wanting(
    lane: str, most: int, now: datetime, result: Callable[[Any], tuple[Claim, ...]]
) -> Deed:
    """Up to `most` messages of a lane."""
    columns: dict[str, object] = {"lane": lane, "most": most, "at": to_micros(now)}
    return Deed(Kind.CLAIM, columns, result=result)


def _recipients(message: NewMessage) -> list[tuple[object, ...]]:
    pairs = zip(message.envelope.recipients, message.placements, strict=True)
    return [
        (
            *recipient_columns(recipient),
            State.HELD if place.held_for else State.QUEUED,
            place.lane,
            place.held_for,
        )
        for recipient, place in pairs
    ]


def _attempt(settlement: Settlement, record: AttemptRecord, *, first: bool) -> list[object]:
    began = to_micros(settlement.at - timedelta(seconds=record.seconds))
    return [
        None if first else began,
        record.seconds,
        record.address,
        record.phase,
        json.dumps(record.recipients),
        *reply_columns(record.reply),
        record.outcome,
        record.in_doubt,
    ]


def _usage(usage: Usage | None, at: datetime) -> list[object] | None:
    if usage is None:
        return None
    arrival_at = None if usage.arrival_at is None else to_micros(usage.arrival_at)
    counts = (usage.messages, usage.recipients, usage.transactions)
    return [usage.host, usage.username, to_minutes(at), *counts, arrival_at]
