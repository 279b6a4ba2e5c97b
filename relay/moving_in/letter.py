"""A message that another program left behind, with the envelope that it leaves with."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from relay.envelope import Envelope
from relay.intake.path import MailCommand, RcptCommand, parse_mail, parse_rcpt
from relay.intake.transaction import Transaction

_PIECE_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Note:
    """Something to tell of what was read: `slug` is the key of its text, `values` its blanks."""

    slug: str
    values: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Letter:
    """A message that can be taken over.

    Attributes:
        source: the file with its bytes, line endings as they are.
        envelope: as MAIL and RCPT would have said it.
        client_address: who sent it, where that is known.
        header: bytes that stand in place of the first `skip_bytes` of the file.
        gave_up: why the other program gave it up; None where it did not.
        notes: what is different from how it stands there.
    """

    source: Path
    envelope: Envelope
    client_address: str | None = None
    header: bytes | None = None
    skip_bytes: int = 0
    gave_up: str | None = None
    notes: tuple[Note, ...] = ()

    def pieces(self) -> Iterator[bytes]:
        """Its bytes. Raises OSError."""
        if self.header is not None:
            yield self.header
        with self.source.open("rb") as file:
            file.seek(self.skip_bytes)
            while piece := file.read(_PIECE_BYTES):
                yield piece

    def digest(self) -> str:
        """The same for the same message to the same people, wherever its file is. Raises OSError."""
        made = hashlib.sha256()
        addresses = (each.address for each in self.envelope.recipients)
        for address in (self.envelope.reverse_path or "", *addresses):
            made.update(address.encode() + b"\0")
        for piece in self.pieces():
            made.update(piece)
        return made.hexdigest()


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file that is not taken over, and why."""

    source: Path
    why: Note


def envelope(sender: str | None, recipients: Iterable[str], *, body_8bit: bool) -> Envelope | str:
    """The envelope, by the grammar that the listener has; else the address that does not fit it."""
    given = (sender or "", *recipients)
    utf8 = "" if all(address.isascii() for address in given) else " SMTPUTF8"
    body = " BODY=8BITMIME" if body_8bit else ""
    mail = parse_mail(
        f" FROM:<{given[0]}>{utf8}{body}".encode(errors="replace"),
        smtputf8_allowed=True,
        lenient=True,
    )
    if not isinstance(mail, MailCommand):
        return given[0]
    transaction = Transaction(mail)
    for address in given[1:]:
        command = parse_rcpt(
            f" TO:<{address}>".encode(errors="replace"), smtputf8_allowed=bool(utf8), lenient=True
        )
        if not isinstance(command, RcptCommand):
            return address
        transaction.add(command)
    return transaction.envelope()


def as_on_the_wire(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes as a client sends them after DATA: dots stuffed, the end marked (RFC 5321 4.5.2).

    One line ending at the end is not doubled, whichever it is.
    """
    before = b"\r\n"  # of what has gone out; a dot behind CRLF is doubled
    held = b""  # the last line ending so far, which may be the end's own
    for piece in pieces:
        data = held + piece
        keep = _ending(data)
        held, data = data[len(data) - keep :], data[: len(data) - keep]
        if data:
            stuffed = (before + data).replace(b"\r\n.", b"\r\n..")
            yield stuffed[len(before) :]
            before = (before + data)[-2:]
    if held == b"\r":  # alone it ends no line
        yield held
    yield b"\r\n.\r\n"


def _ending(data: bytes) -> int:
    if data.endswith(b"\r\n"):
        return 2
    return int(data.endswith((b"\r", b"\n")))
