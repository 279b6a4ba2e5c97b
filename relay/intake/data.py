"""DATA: a message read to its end, and the verdict that waits until then.

Whatever goes wrong in between, the client goes on sending; a reply before the final dot would
have the rest of the message taken for commands.
"""

import logging

from relay.intake.connection import Connection
from relay.intake.data_decoder import DataDecoder
from relay.intake.reception import Reception
from relay.intake.trouble import Refused, refused_by
from relay.intake.wire import SessionEnded
from relay.spool.model import NewMessage

log = logging.getLogger(__name__)

_MOST_BYTES_PAST_LIMIT = 2  # times the limit; then the client is cut off


async def take_message(
    connection: Connection, reception: Reception, limit_bytes: int, began: float
) -> NewMessage | Refused:
    """What follows the 354, committed, or the reply that refuses it.

    `began` is when the 354 was said, in the loop's time. Raises SessionEnded when the client left before the final dot, or had to be cut off.
    """
    decoder = DataDecoder()
    try:
        await _read(connection, reception, decoder, limit_bytes, began)
        if not connection.intake.has_room():
            raise Refused("disk-full")
        return await reception.accept(decoder.bare_lf, decoder.bare_cr)
    except SessionEnded:
        await _discard(reception)
        raise
    except Exception as error:  # noqa: BLE001 - the client gets a reply, whatever it is
        await _discard(reception)
        return refused_by(error)


async def _read(
    connection: Connection,
    reception: Reception,
    decoder: DataDecoder,
    limit_bytes: int,
    began: float,
) -> None:
    """Feed DATA to its end; what made it impossible to keep is raised only then."""
    wire_bytes = message_bytes = 0
    trouble: Exception | None = None
    while not decoder.finished:
        data = await connection.read_some()
        wire_bytes += len(data)
        _insist_on_pace(connection, connection.loop.time() - began, wire_bytes)
        piece = decoder.feed(data)
        message_bytes += len(piece)
        if not decoder.finished and wire_bytes > limit_bytes * _MOST_BYTES_PAST_LIMIT:
            ended = _cut_off(connection, "too-big", limit=limit_bytes)
            connection.say("too-many-errors")
            raise ended
        if trouble is None and message_bytes > limit_bytes:
            trouble = Refused("too-big", limit=limit_bytes)
            await _discard(reception)
        if trouble is None:
            trouble = await _feed(reception, piece)
    connection.put_back(decoder.rest)
    if trouble is not None:
        raise trouble


async def _feed(reception: Reception, piece: bytes) -> Exception | None:
    try:
        await reception.feed(piece)
    except Exception as error:  # noqa: BLE001 - raised by the caller, at the end of DATA
        return error
    return None


def _insist_on_pace(connection: Connection, seconds: float, wire_bytes: int) -> None:
    patience = connection.intake.patience
    slow = wire_bytes < seconds * patience.least_bytes_per_second
    if slow and seconds > patience.slow_start_seconds:
        raise _cut_off(connection, "too-slow")


def _cut_off(connection: Connection, slug: str, **details: object) -> SessionEnded:
    """Tell the client, and the log: what is cut off leaves no other trace."""
    connection.say(slug, **details)
    connection.log_refusal(slug, **details)
    return SessionEnded(slug)


async def _discard(reception: Reception) -> None:
    try:
        await reception.discard()
    except Exception:  # orphaned rows are swept at the next start
        log.debug("the rows of a refused message stay until the next start", exc_info=True)
