"""What old programs leave out of a message, added with a receipt (RFC 5321 section 6.4)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from relay.envelope import Envelope
from relay.message import headers
from relay.message.trace import date_text


class RepairKind(StrEnum):
    """Everything that the relay repairs in a message; the first two are the DATA reader's."""

    BARE_LF = "bare-lf"
    """A lone LF became CRLF; the detail is how many."""
    BARE_CR = "bare-cr"
    """A lone CR became a blank; the detail is how many."""
    ADDED_DATE = "added-date"
    ADDED_MESSAGE_ID = "added-message-id"
    ADDED_FROM = "added-from"
    BLANK_LINE_INSERTED = "blank-line-inserted"
    """The message began with text instead of a header."""


@dataclass(frozen=True, slots=True)
class Repair:
    """One repair; ``detail`` is the value added, or a count."""

    kind: RepairKind
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Repaired:
    """What goes before the message, below the Received field, and the receipt for it."""

    prepend: bytes
    repairs: tuple[Repair, ...]


_NEEDED = {b"date", b"from", b"message-id"}
_COMPLETE = Repaired(b"", ())


def repair(
    message: tuple[bytes, bytes],
    *,
    envelope: Envelope,
    now: datetime,
    hostname: str,
    message_id: str,
) -> Repaired:
    """The fields that a message lacks: Date, Message-ID and From.

    ``prepend`` ends in an empty line when the message has no header, so everything prepended
    stays apart from its text. Nothing in the message itself changes.

    Args:
        message: header block and rest as `headers.split` cut them; the end may be missing.
        envelope: its reverse-path becomes the From; with a null one it is postmaster@hostname.
        now: becomes the Date.
        hostname: of this relay.
        message_id: becomes the Message-ID; brackets are added where they lack.
    """
    header, rest = message
    present = headers.names(header)
    if present >= _NEEDED:
        return _COMPLETE
    author = envelope.reverse_path or f"postmaster@{hostname}"
    wanted = (
        (RepairKind.ADDED_DATE, b"Date", date_text(now.replace(microsecond=0))),
        (RepairKind.ADDED_FROM, b"From", author),
        (RepairKind.ADDED_MESSAGE_ID, b"Message-ID", f"<{message_id.strip('<>')}>"),
    )
    added = [entry for entry in wanted if entry[1].lower() not in present]
    prepend = b"".join(headers.build(name, value.encode()) for _, name, value in added)
    repairs = [Repair(kind, value) for kind, _, value in added]
    if not header and rest and not rest.startswith(b"\r\n"):
        prepend += b"\r\n"
        repairs.append(Repair(RepairKind.BLANK_LINE_INSERTED))
    return Repaired(prepend, tuple(repairs))
