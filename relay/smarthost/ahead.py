"""The next envelope, sent along with the end of the message before (RFC 2920 section 3.1): one
round trip a message for a server without CHUNKING.

Over a connection that has just carried some mail step by step. That shows that the server gives one
reply to each command: with more under way, a reply too many would be taken for the next one's. What
was begun so is either taken up or cut off: a server that waits for a message takes every line, QUIT
too, for a part of it.
"""

from collections.abc import Awaitable, Callable

from presets.verdict import Phase
from relay.smarthost.connect import Connection, Timeouts
from relay.smarthost.exchange import ExchangeLost
from relay.smarthost.transcript import Transcript
from relay.smarthost.wire import Outgoing, envelope

Following = Callable[[], Awaitable[Outgoing | None]]
"""Asked when the end of a message leaves: what follows it for certain over this connection. It may
take a part of a round trip to find out."""

_TRIALS = 2  # transactions of a connection that begin when the one before has ended
_WORTH_SECONDS = 0.005  # of a round trip: nearer by, getting ready costs more than it gains
_LONGEST_SECONDS = 60.0  # a server that has dropped what came along says nothing at all


def bears(connection: Connection) -> bool:
    """The next envelope may go along with the running transaction, and it is worth it."""
    offered = connection.capabilities
    if not offered.pipelining or offered.chunking or connection.used <= _TRIALS:
        return False
    return connection.round_trip_seconds >= _WORTH_SECONDS


def patience_seconds(connection: Connection) -> float:
    """How long to wait for the next message to be ready: it still gains half a round trip then."""
    return connection.round_trip_seconds / 2


async def lines_ahead(connection: Connection, following: Following | None) -> tuple[bytes, int]:
    """What to send along, and how many replies the server owes for it; empty if nothing follows."""
    if following is None or not bears(connection):
        return b"", 0
    connection.begun = outgoing = await following()
    if outgoing is None:
        return b"", 0
    lines = envelope(outgoing, connection.capabilities) + b"DATA\r\n"
    return lines, len(outgoing.recipients) + 2


async def take_up(
    connection: Connection, outgoing: Outgoing, timeouts: Timeouts, transcript: Transcript
) -> None:
    """The replies to an envelope that was sent before. Raises ExchangeLost."""
    exchange, begun, connection.begun = connection.exchange, connection.begun, None
    if begun != outgoing:
        raise ExchangeLost("another message was begun")
    exchange.take_up()
    transcript.ahead = True
    seconds = min(timeouts.mail, _LONGEST_SECONDS)
    transcript.mail = await exchange.reply(seconds)
    transcript.phase = Phase.RCPT
    for _ in outgoing.recipients:
        transcript.recipients.append(await exchange.reply(timeouts.mail))
    transcript.phase = Phase.DATA
    transcript.data = await exchange.reply(timeouts.data)
