"""A claim out of the columns of a table, and the results of its settlement into them."""

import json
from collections.abc import Sequence
from typing import Any
from zlib import crc32

from relay.spool.model import Claim, QueuedRecipient, Settlement, State
from relay.spool.rows import from_micros, reply_columns, to_envelope, to_recipient


def to_claim(row: Sequence[Any]) -> Claim:
    """A claim of message, lane, tries, token and what a store's query tells of the message."""
    message, lane, tries, token, received_at, expires_at, client, client_address, *rest = row
    *envelope_columns, size_bytes, message_id, is_dsn, in_doubt, warned_at = rest[:10]
    recipient_rows, body, crc = rest[10:]
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


def result_rows(settlement: Settlement) -> tuple[list[object], list[object], list[object]]:
    """Who waits no more; who waits on, with a reply; who waits on in another lane."""
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
    return results, refusals, moves
