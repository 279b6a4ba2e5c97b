"""One mail transaction: MAIL, RCPT for each recipient, DATA, the message, the final dot.

With PIPELINING the envelope goes out in one piece (RFC 2920). Every reply is kept; what they
mean is judged elsewhere.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from presets.reply import Reply
from presets.verdict import Phase
from relay.envelope import Recipient
from relay.smarthost.capabilities import Capabilities
from relay.smarthost.connect import STANDARD_TIMEOUTS, Connection, Timeouts
from relay.smarthost.exchange import ExchangeLost

_LEAST_BYTES_PER_SECOND = 10_000  # for the wait after the final dot


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message as it leaves: after route, sender policy and header work."""

    reverse_path: str | None
    recipients: tuple[Recipient, ...]
    size_bytes: int
    body_8bit: bool
    smtputf8: bool
    ret: str | None
    envid: str | None


@dataclass(slots=True)
class Transcript:
    """What the server said, as far as it went.

    `broken` is set when the connection failed before the end; after the final dot the message is
    then in doubt: the server may have taken it.
    """

    phase: Phase = Phase.MAIL
    mail: Reply | None = None
    recipients: list[Reply] = field(default_factory=list)
    data: Reply | None = None
    dot: Reply | None = None
    broken: str | None = None
    parting: Reply | None = None  # said unasked before the connection failed
    out_of_step: bool = False
    """The server said more than it was asked: a refusal in here may be that of another command."""

    @property
    def accepted(self) -> bool:
        """The server took the sender and at least one recipient."""
        if self.mail is None or not self.mail.positive:
            return False
        return any(reply.positive for reply in self.recipients)

    @property
    def never_began(self) -> bool:
        """The server was gone, or leaving, before it answered anything."""
        if self.mail is not None:
            return self.mail.code == 421
        return self.broken is not None

    @property
    def refused_in_body(self) -> bool:
        """Unasked, the server refused the message while it was on its way."""
        under_way = self.phase is Phase.DATA and self.data is not None and self.data.code == 354
        return under_way and self.parting is not None and not self.parting.positive

    @property
    def in_doubt(self) -> bool:
        """The final dot was sent and its reply never came."""
        return self.broken is not None and self.phase is Phase.DOT


async def transact(
    connection: Connection,
    outgoing: Outgoing,
    body: AsyncIterator[bytes],
    timeouts: Timeouts = STANDARD_TIMEOUTS,
) -> Transcript:
    """Play the transaction to its end or to the first thing that stops it.

    When the transcript is broken the connection is cut; else it is ready for the next MAIL.
    Cancelled, or with an error in `body`, it is cut as well: no final dot is sent for a message
    that was not sent whole, and `connection.dot_sent` tells whether one was sent before.
    """
    exchange = connection.exchange
    connection.used += 1
    connection.dot_sent = False
    transcript = Transcript()
    try:
        await _play(connection, outgoing, body, timeouts, transcript)
    except ExchangeLost as error:
        transcript.broken = str(error)
        transcript.parting = exchange.parting_reply
        transcript.out_of_step = exchange.out_of_step and not transcript.refused_in_body
        exchange.abort(str(error))
    except BaseException:
        exchange.abort("given up")
        raise
    else:
        await _clean_up(connection, timeouts, transcript)
    connection.dot_sent = False
    return transcript


async def _play(
    connection: Connection,
    outgoing: Outgoing,
    body: AsyncIterator[bytes],
    timeouts: Timeouts,
    transcript: Transcript,
) -> None:
    if connection.capabilities.pipelining:
        await _envelope_at_once(connection, outgoing, timeouts, transcript)
    else:
        await _envelope_step_by_step(connection, outgoing, timeouts, transcript)
    if transcript.accepted and transcript.data is not None and transcript.data.code == 354:
        await _send_body(connection, body, timeouts, transcript)
        seconds = timeouts.dot + outgoing.size_bytes / _LEAST_BYTES_PER_SECOND
        dot = await connection.exchange.reply(seconds)
        if connection.exchange.contradicts(dot):
            raise ExchangeLost("the server gave more than one reply to the message")
        transcript.dot = dot
    elif connection.exchange.out_of_step:
        raise ExchangeLost("the server sent a reply that nobody asked for")


async def _clean_up(connection: Connection, timeouts: Timeouts, transcript: Transcript) -> None:
    """Make the connection ready for the next MAIL; where that fails it is cut.

    What was answered stands unless this shows that it was out of step. After the final dot nothing is left to reset
    (RFC 5321 section 4.1.1.4).
    """
    exchange = connection.exchange
    if transcript.dot is not None:
        return
    if transcript.data is not None and not (transcript.data.transient or transcript.data.permanent):
        # It goes ahead without any recipient, or is out of step. A dot would end the message (RFC
        # 2920 section 3.1), but what such a server does with it nobody knows.
        exchange.abort("DATA was answered out of order")
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
    exchange, capabilities = connection.exchange, connection.capabilities
    lines = [mail_line(outgoing, capabilities)]
    lines += [rcpt_line(recipient, capabilities) for recipient in outgoing.recipients]
    lines.append(b"DATA")
    exchange.write(b"\r\n".join(lines) + b"\r\n", replies=len(lines))
    transcript.mail = await exchange.reply(timeouts.mail)
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
    connection: Connection, body: AsyncIterator[bytes], timeouts: Timeouts, transcript: Transcript
) -> None:
    """The message with its dots stuffed, and the final dot."""
    exchange = connection.exchange
    stuffer = DotStuffer()
    async for piece in body:
        exchange.write(stuffer.feed(piece))
        await exchange.drain(timeouts.block)
        if exchange.reply_waits:
            # Nothing is owed before the final dot: a refusal in mid-message, or the end.
            raise ExchangeLost("the server broke the message off")
    exchange.write(stuffer.end(), replies=1)
    connection.dot_sent = True
    transcript.phase = Phase.DOT


class DotStuffer:
    """Doubles the dot at the start of a line (RFC 5321 section 4.5.2), across pieces."""

    def __init__(self) -> None:
        self._tail = b"\r\n"

    def feed(self, piece: bytes) -> bytes:
        """The piece as it goes over the wire."""
        joined = self._tail + piece
        stuffed = joined.replace(b"\r\n.", b"\r\n..")
        self._tail, behind = joined[-2:], len(self._tail)
        return stuffed[behind:]

    def end(self) -> bytes:
        """The end of data; a message without a last line ending gets one."""
        return b".\r\n" if self._tail == b"\r\n" else b"\r\n.\r\n"


def mail_line(outgoing: Outgoing, capabilities: Capabilities) -> bytes:
    """MAIL with the parameters that the server understands."""
    words = [f"MAIL FROM:<{outgoing.reverse_path or ''}>"]
    if capabilities.size:
        words.append(f"SIZE={outgoing.size_bytes}")
    if capabilities.eight_bit and outgoing.body_8bit:
        words.append("BODY=8BITMIME")
    if capabilities.smtputf8 and outgoing.smtputf8:
        words.append("SMTPUTF8")
    if capabilities.dsn:
        words += [f"RET={outgoing.ret}"] if outgoing.ret else []
        words += [f"ENVID={outgoing.envid}"] if outgoing.envid else []
    return " ".join(words).encode()


def rcpt_line(recipient: Recipient, capabilities: Capabilities) -> bytes:
    """RCPT, with the delivery reports that were asked for where the server can give them."""
    words = [f"RCPT TO:<{recipient.address}>"]
    if capabilities.dsn:
        if recipient.notify is not None:
            words.append("NOTIFY=" + ",".join(sorted(recipient.notify)))
        if recipient.orcpt is not None:
            words.append(f"ORCPT={recipient.orcpt}")
    return " ".join(words).encode()
