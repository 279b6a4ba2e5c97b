"""One mail transaction: MAIL, RCPT for each recipient, the message.

With PIPELINING the envelope goes out in one piece (RFC 2920), also along with the end of the message
before (see `ahead`); with CHUNKING a small message may go along with it (see `bdat`). Every reply is kept; what they mean is judged elsewhere.
"""

import asyncio
from collections.abc import AsyncIterator

from presets.verdict import Phase
from relay.smarthost import ahead, bdat
from relay.smarthost.ahead import Following
from relay.smarthost.connect import STANDARD_TIMEOUTS, Connection, Timeouts
from relay.smarthost.exchange import ExchangeLost
from relay.smarthost.transcript import Transcript
from relay.smarthost.wire import Chunks, DotStuffer, Outgoing, envelope, mail_line, rcpt_line

_ONE_WRITE_BYTES = 65_536  # the end of a message of this size leaves with it


async def transact(
    connection: Connection,
    outgoing: Outgoing,
    body: AsyncIterator[bytes],
    timeouts: Timeouts = STANDARD_TIMEOUTS,
    following: Following | None = None,
) -> Transcript:
    """Send `body` to the recipients; ends with the connection ready for the next or aborted.

    The next may have begun by then: `following`, if it gave one, has to be the next transaction.

    Cancelled, or with an exception of `body`, the connection is aborted: no final dot and no BDAT
    LAST is sent for a message that was not sent whole, and `connection.dot_sent` tells whether one
    was sent before.
    """
    exchange = connection.exchange
    connection.used += 1
    connection.dot_sent = False
    transcript = Transcript()
    try:
        await _begin(connection, outgoing, chunks := Chunks(body), timeouts, transcript)
        if transcript.may_be_sent:
            await _send_body(connection, chunks, following, timeouts, transcript)
        await _end(connection, outgoing, timeouts, transcript)
    except ExchangeLost as error:
        transcript.broken = str(error)
        transcript.parting = exchange.parting_reply
        transcript.silent = exchange.silent
        transcript.out_of_step |= exchange.out_of_step and not transcript.refused_in_body
        exchange.abort(str(error))
    except BaseException:
        exchange.abort("given up")
        raise
    else:
        await _clean_up(connection, timeouts, transcript)
    connection.dot_sent = False
    connection.chunking_failed |= transcript.chunking_failed
    connection.ahead_failed |= transcript.ahead_failed
    connection.answered_at = asyncio.get_running_loop().time()
    return transcript


async def _begin(
    connection: Connection,
    outgoing: Outgoing,
    chunks: Chunks,
    timeouts: Timeouts,
    transcript: Transcript,
) -> None:
    """The envelope, and in one case the message with it."""
    if connection.begun is not None:
        await ahead.take_up(connection, outgoing, timeouts, transcript)
        return
    message = await chunks.all_of(bdat.MOST_BYTES) if bdat.is_warm(connection) else None
    if message is not None:
        await bdat.send_at_once(connection, outgoing, message, timeouts, transcript)
    elif connection.capabilities.pipelining:
        await _envelope_at_once(connection, outgoing, timeouts, transcript)
    else:
        await _envelope_step_by_step(connection, outgoing, timeouts, transcript)


async def _end(
    connection: Connection, outgoing: Outgoing, timeouts: Timeouts, transcript: Transcript
) -> None:
    """The reply to the message, if it has left."""
    exchange = connection.exchange
    if transcript.whole:
        dot = await exchange.reply(timeouts.message(outgoing.size_bytes))
        if exchange.contradicts(dot):
            raise ExchangeLost("the server gave more than one reply to the message")
        transcript.dot = dot
    elif exchange.out_of_step:
        raise ExchangeLost("the server sent a reply that nobody asked for")


async def _clean_up(connection: Connection, timeouts: Timeouts, transcript: Transcript) -> None:
    """Make the connection ready for the next MAIL; where that fails it is cut.

    What was answered stands unless this shows that it was out of step. After the final dot nothing
    is left to reset (RFC 5321 section 4.1.1.4), but after BDAT without a recipient there is.
    """
    exchange, last = connection.exchange, transcript.dot or transcript.data
    if transcript.taken_against_its_word:
        exchange.abort("the server took a message that it had refused")
        return
    if transcript.dot is not None and (transcript.dot.positive or not transcript.by_bdat):
        return
    if last is not None and not (last.transient or last.permanent):
        # It goes ahead without any recipient, or is out of step. A dot would end the message (RFC
        # 2920 section 3.1), but what such a server does with it nobody knows.
        exchange.abort("the message was answered out of order")
        return
    if transcript.mail is None or not transcript.mail.positive:
        return
    try:
        reset = await exchange.command(b"RSET", timeouts.command)
    except ExchangeLost as error:
        exchange.abort(str(error))
    else:
        if not reset.positive:
            # 354 is the answer to DATA: what was taken for that belonged to another command.
            transcript.out_of_step = reset.code == 354
            exchange.abort("RSET was refused")


async def _envelope_at_once(
    connection: Connection, outgoing: Outgoing, timeouts: Timeouts, transcript: Transcript
) -> None:
    """MAIL, all RCPT and DATA in one piece."""
    exchange = connection.exchange
    lines = envelope(outgoing, connection.capabilities) + b"DATA\r\n"
    exchange.write(lines, replies=len(outgoing.recipients) + 2)
    loop = asyncio.get_running_loop()
    began = loop.time()
    transcript.mail = await exchange.reply(timeouts.mail)
    connection.round_trip_seconds = loop.time() - began
    transcript.phase = Phase.RCPT
    for _ in outgoing.recipients:
        transcript.recipients.append(await exchange.reply(timeouts.mail))
    transcript.phase = Phase.DATA
    transcript.data = await exchange.reply(timeouts.data)


async def _envelope_step_by_step(
    connection: Connection, outgoing: Outgoing, timeouts: Timeouts, transcript: Transcript
) -> None:
    """Each command after the reply to the one before, as far as that makes sense."""
    exchange, capabilities = connection.exchange, connection.capabilities
    transcript.mail = await exchange.command(mail_line(outgoing, capabilities), timeouts.mail)
    if not transcript.mail.positive:
        return
    transcript.phase = Phase.RCPT
    for recipient in outgoing.recipients:
        reply = await exchange.command(rcpt_line(recipient, capabilities), timeouts.mail)
        transcript.recipients.append(reply)
    if transcript.accepted:
        transcript.phase = Phase.DATA
        transcript.data = await exchange.command(b"DATA", timeouts.data)


async def _send_body(
    connection: Connection,
    chunks: Chunks,
    following: Following | None,
    timeouts: Timeouts,
    transcript: Transcript,
) -> None:
    """The message with its dots stuffed, and the final dot; what follows goes along."""
    exchange, stuffer, last = connection.exchange, DotStuffer(), False
    end = b""
    while not last:
        chunk, last = await chunks.next()
        end = stuffer.feed(chunk)
        if last and len(end) <= _ONE_WRITE_BYTES:
            break
        exchange.write(end)
        await exchange.drain(timeouts.block)
        if exchange.reply_waits:
            # Nothing is owed before the final dot: a refusal in mid-message, or the end.
            raise ExchangeLost("the server broke the message off")
        end = b""
    more, owed = await ahead.lines_ahead(connection, following)
    exchange.write(end + stuffer.end() + more, replies=1, ahead=owed)
    connection.dot_sent = transcript.whole = True
    transcript.phase = Phase.DOT
