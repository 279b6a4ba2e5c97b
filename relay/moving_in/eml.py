"""Messages as single files: .eml of mail programs, and what `relay queue export` writes.

The envelope is not in them. An exported message has it in the .json beside it, with those who still
had to get it. Else it comes from the header as a mail program would have made it: sender from
Return-Path, Sender or From, recipients from To, Cc and Bcc, or of the Resent- block where one stands
on top (RFC 5322 section 3.6.6). Bcc and Return-Path do not leave.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from relay.message import headers
from relay.message.address_list import addresses
from relay.moving_in.letter import LeftOut, Letter, Note, envelope

SUFFIX = ".eml"
_HEADER_BYTES = 1_000_000
_WAITING = ("queued", "held")
_PRIVATE = (b"Bcc", b"Resent-Bcc", b"Return-Path")
_ANY_LINE_END = re.compile(rb"\r\n|\r|\n")
_MBOX_LINE = re.compile(rb">?From [^\r\n]*(?:\r\n|\r|\n)")
_HEADER_END = re.compile(rb"(?>\r\n|\r|\n)(?=\r|\n|\Z)")  # atomic: the CR of CRLF ends no line


@dataclass(frozen=True, slots=True)
class Said:
    """What is said of the envelope outside the message; it goes before the headers."""

    sender: str | None = None  # "" is the null reverse-path
    recipients: Sequence[str] = ()


def read_eml(place: Path, said: Said) -> Iterator[Letter | LeftOut]:
    """Every message of a folder, those below it too, or the one file; in order of name.

    Raises OSError where the folder cannot be read.
    """
    for path in _files(place):
        try:
            yield _letter(path, said)
        except OSError as error:
            yield LeftOut(path, Note("unreadable", {"reason": error.strerror or error}))


def _files(place: Path) -> list[Path]:
    if not place.is_dir():
        place.stat()
        return [place]
    next(place.iterdir(), None)  # a folder that may not be read looks empty to rglob
    return sorted(path for path in place.rglob("*") if path.suffix.lower() == SUFFIX)


def _letter(path: Path, said: Said) -> Letter | LeftOut:
    with path.open("rb") as file:
        start = file.read(_HEADER_BYTES)
    cut = _cut_header(start)
    if cut is None:
        return LeftOut(path, Note("no-header"))
    skipped, header_bytes = cut
    header = _ANY_LINE_END.sub(b"\r\n", start[skipped:header_bytes])
    resent = "resent-" if headers.first(header, b"Resent-From") else ""
    exported = _exported(path) or Said(_sender(header, resent), _recipients(header, resent))
    sender = exported.sender if said.sender is None else said.sender
    recipients = list(said.recipients or exported.recipients)
    if sender is None:
        return LeftOut(path, Note("no-sender"))
    if not recipients:
        return LeftOut(path, Note("no-recipient"))
    # Whether the text has 8-bit characters shows while it is taken over.
    made = envelope(sender, recipients, body_8bit=False)
    if isinstance(made, str):
        return LeftOut(path, Note("address", {"address": made}))
    kept, notes = header, []
    for name in _PRIVATE:
        if headers.first(kept, name) is not None:
            kept = headers.remove(kept, name)
            notes.append(Note("removed", {"name": name.decode()}))
    return Letter(path, made, header=kept, skip_bytes=header_bytes, notes=tuple(notes))


def _exported(path: Path) -> Said | None:
    """The envelope that `relay queue export` wrote beside the message; None where none is there."""
    try:
        document = json.loads(path.with_suffix(".json").read_bytes())
        if document["schema"] != "relay/1" or document["command"] != "queue show":
            return None
        waiting = [
            str(each["address"]) for each in document["recipients"] if each["state"] in _WAITING
        ]
        return Said(str(document["sender"]), waiting)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _cut_header(start: bytes) -> tuple[int, int] | None:
    """Where the header block begins, behind a mailbox's own line, and where it ends.

    None where no header stands there, or one without end.
    """
    mbox = _MBOX_LINE.match(start)
    skipped = mbox.end() if mbox else 0
    found = _HEADER_END.search(start, skipped)
    if found is None:
        return None
    text = _ANY_LINE_END.sub(b"\r\n", start[skipped : found.end()])
    header, rest = headers.split(text)
    if not header or rest or (found.end() == len(start) == _HEADER_BYTES):
        return None
    return skipped, found.end()


def _sender(header: bytes, resent: str) -> str | None:
    for name in ("return-path", f"{resent}sender", f"{resent}from"):
        field = headers.first(header, name.encode())
        found = addresses(field.value) if field is not None else []
        if found:
            return found[0]
    return None


def _recipients(header: bytes, resent: str) -> list[str]:
    found: dict[str, None] = {}
    for name in ("to", "cc", "bcc"):
        for field in headers.named(header, f"{resent}{name}".encode()):
            found.update(dict.fromkeys(addresses(field.value)))
    return list(found)
