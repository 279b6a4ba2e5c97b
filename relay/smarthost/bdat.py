"""A small message by BDAT (RFC 3030), its envelope in front of it: one round trip for all.

So goes what follows other mail over a connection that has just carried some by DATA. That shows
what cannot be told any more with everything under way at once: the server gives one reply to each
command (354 can be the reply to nothing but DATA), is open, and does not close the connection after
each message, or when nothing has come for a while. Lost with the message on its way, a message is
in doubt.

By DATA goes also what is larger: it takes only one round trip more, and a refused envelope does
not cost the message's bytes.
"""

import asyncio

from presets.verdict import Phase
from relay.smarthost.connect import Connection, Timeouts
from relay.smarthost.transcript import Transcript
from relay.smarthost.wire import Outgoing, bdat_last, envelope

MOST_BYTES = 262_144
_TRIALS = 2  # transactions of a connection that go by DATA
_WARM_SECONDS = 1.0


def is_warm(connection: Connection) -> bool:
    """The running transaction, which `used` counts, may go at once, if the message is small."""
    offered = connection.capabilities
    if not (offered.pipelining and offered.chunking) or connection.used <= _TRIALS:
        return False
    return asyncio.get_running_loop().time() - connection.answered_at < _WARM_SECONDS


async def send_at_once(
    connection: Connection,
    outgoing: Outgoing,
    message: bytes,
    timeouts: Timeouts,
    transcript: Transcript,
) -> None:
    """All but the wait for the reply to the message. Raises ExchangeLost."""
    exchange = connection.exchange
    lines = envelope(outgoing, connection.capabilities)
    exchange.write(lines + bdat_last(message), replies=len(outgoing.recipients) + 2)
    connection.dot_sent = transcript.whole = transcript.by_bdat = True
    # A server may keep back what it says to the envelope until it has dealt with the message.
    seconds = timeouts.message(outgoing.size_bytes)
    transcript.mail = await exchange.reply(seconds)
    transcript.phase = Phase.RCPT
    for _ in outgoing.recipients:
        transcript.recipients.append(await exchange.reply(seconds))
    transcript.phase = Phase.DOT
    connection.dot_sent = transcript.accepted
