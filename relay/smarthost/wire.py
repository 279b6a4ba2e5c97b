"""What a transaction puts on the wire: the envelope's commands, and the message."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from relay.envelope import Recipient
from relay.smarthost.capabilities import Capabilities

CHUNK_BYTES = 262_144
"""A message is sent in chunks of at least so much, and of less than this and one stored piece."""


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


def envelope(outgoing: Outgoing, capabilities: Capabilities) -> bytes:
    """MAIL and every RCPT in one piece (RFC 2920)."""
    lines = [mail_line(outgoing, capabilities)]
    lines += [rcpt_line(recipient, capabilities) for recipient in outgoing.recipients]
    return b"\r\n".join(lines) + b"\r\n"


def bdat_last(message: bytes) -> bytes:
    """The message as one last chunk (RFC 3030 section 2): its bytes as they are.

    It ends with CRLF, as by DATA: what arrives is the same.
    """
    if message and not message.endswith(b"\r\n"):
        message += b"\r\n"
    return b"BDAT %d LAST\r\n%b" % (len(message), message)


class Chunks:
    """A message in chunks, each as it is asked for."""

    def __init__(self, body: AsyncIterator[bytes]) -> None:
        self._body = body
        self._held: list[bytes] = []

    async def next(self) -> tuple[bytes, bool]:
        """A chunk, and whether it is the last: told only once `body` has given all it has.

        Not to be asked again after the last, which may be empty.
        """
        held = self._held
        if not await self._read(CHUNK_BYTES):
            return b"".join(held), True
        self._held = [held.pop()]
        return b"".join(held), False

    async def all_of(self, most_bytes: int) -> bytes | None:
        """The whole message, before any chunk of it; None if it is larger. `next` still gives it."""
        if await self._read(most_bytes):
            return None
        message = b"".join(self._held)
        return message if len(message) <= most_bytes else None

    async def _read(self, enough_bytes: int) -> bool:
        """Hold so much and one piece more; False where the message ends before."""
        held_bytes = sum(map(len, self._held[:-1]))
        if held_bytes >= enough_bytes:
            return True
        held_bytes = sum(map(len, self._held))
        async for piece in self._body:
            self._held.append(piece)
            if held_bytes >= enough_bytes:
                return True
            held_bytes += len(piece)
        return False


class DotStuffer:
    """Doubles the dot at the start of a line (RFC 5321 section 4.5.2), across pieces."""

    def __init__(self) -> None:
        self._tail = b"\r\n"

    def feed(self, piece: bytes) -> bytes:
        """The piece as it goes over the wire; the same bytes where no line begins with a dot."""
        tail, self._tail = self._tail, (self._tail + piece[-2:])[-2:]
        stuffed = piece.replace(b"\r\n.", b"\r\n..")
        if tail == b"\r\n" and piece.startswith(b"."):
            return b"." + stuffed
        if tail.endswith(b"\r") and piece.startswith(b"\n."):
            return b"\n." + stuffed[1:]
        return stuffed

    def end(self) -> bytes:
        """The end of data; a message without a last line ending gets one."""
        return b".\r\n" if self._tail == b"\r\n" else b"\r\n.\r\n"
