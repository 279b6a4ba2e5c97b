"""The header block as bytes: found, read and edited field by field (RFC 5322 section 2.2).

Only CRLF ends a line. A field that is not edited keeps every byte. No input raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

# Blanks before the colon are obsolete but legal to read (RFC 5322 section 4.5).
_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:")
_CRLF = b"\r\n"
_NAMES = re.compile(rb"\r\n([!-9;-~]+)[ \t]*:")
_CONTROLS = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]+")
_WORD = re.compile(rb"[ \t]{0,60}[^ \t]{1,900}")  # a line may have 998 octets
_MAX_LINE_BYTES = 78  # RFC 5322 section 2.1.1


@dataclass(frozen=True, slots=True)
class Field:
    """One header field as it stands in the message.

    Attributes:
        name: as written; empty for lines that are no field.
        raw: all its lines, folding and last CRLF included.
    """

    name: bytes
    raw: bytes

    @property
    def value(self) -> bytes:
        """What stands after the colon, unfolded and without the blanks at its ends."""
        return self.raw[self.raw.find(b":") + 1 :].replace(_CRLF, b"").strip(b" \t")

    def renamed(self, name: bytes) -> bytes:
        """The same field under another name, its value byte for byte, ending in CRLF."""
        after = self.raw[self.raw.find(b":") + 1 :]
        return name + b":" + after + (b"" if after.endswith(_CRLF) else _CRLF)


def split(message: bytes) -> tuple[bytes, bytes]:
    """The header block with its final CRLF, and the rest from the empty line on.

    The two together are ``message`` again. The header ends before the first line that is
    neither a field nor a continuation. It is empty when the message does not begin with a
    field; then whoever prepends one must end it with an empty line, unless the rest begins
    with CRLF. ``message`` may be only the beginning of a message.
    """
    position = 0
    while position < len(message):
        continues = position > 0 and message[position] in b" \t"
        if not continues and _FIELD.match(message, position) is None:
            break
        position = _line_end(message, position)
    return message[:position], message[position:]


def fields(header: bytes) -> Iterator[Field]:
    """Each field in order; their raw bytes together are ``header`` again."""
    start = 0
    while start < len(header):
        end = _line_end(header, start)
        while end < len(header) and header[end] in b" \t":
            end = _line_end(header, end)
        found = _FIELD.match(header, start, end)
        yield Field(found[1] if found else b"", header[start:end])
        start = end


def named(header: bytes, name: bytes) -> list[Field]:
    """All fields of that name, which is compared without regard to case."""
    return list(_of_that_name(header, name))


def first(header: bytes, name: bytes) -> Field | None:
    """The topmost field of that name."""
    return next(_of_that_name(header, name), None)


def names(header: bytes) -> set[bytes]:
    """The names of all fields, in small letters."""
    return {name.lower() for name in _NAMES.findall(_CRLF + header)}


def replace(header: bytes, name: bytes, lines: bytes) -> bytes:
    """``lines`` where the first field of that name stood, the others of that name gone.

    ``lines`` is one or more whole fields, each ending in CRLF. Without such a field they are
    prepended.
    """
    wanted = name.lower()
    kept: list[bytes] = []
    done = False
    for field in fields(header):
        if field.name.lower() != wanted:
            kept.append(field.raw)
        elif not done:
            kept.append(lines)
            done = True
    return b"".join(kept) if done else lines + header


def remove(header: bytes, name: bytes) -> bytes:
    """The header without its fields of that name."""
    wanted = name.lower()
    return b"".join(field.raw for field in fields(header) if field.name.lower() != wanted)


def build(name: bytes, value: bytes) -> bytes:
    """A field of our own: folded at blanks to 78 octets, ending in CRLF.

    Controls, line ends above all, become one blank, so no value can begin a second field. No
    line reaches 998 octets: a word of more than 900 is cut, a run of more than 60 blanks
    shortened. Otherwise unfolding gives ``value`` back.
    """
    start = name + b":"
    lines, line = [], start
    for word in _WORD.findall(b" " + _CONTROLS.sub(b" ", value).strip()):
        blank_and_word = word if word[:1] in (b" ", b"\t") else b" " + word
        if line != start and len(line) + len(blank_and_word) > _MAX_LINE_BYTES:
            lines.append(line)
            line = b""
        line += blank_and_word
    return _CRLF.join([*lines, line]) + _CRLF


def _of_that_name(header: bytes, name: bytes) -> Iterator[Field]:
    # One search by the regular expression engine, not a look at each line.
    text = _CRLF + header
    for found in _start_of(name).finditer(text):
        end = _line_end(text, found.end())
        while end < len(text) and text[end] in b" \t":
            end = _line_end(text, end)
        yield Field(found[1], text[found.start(1) : end])


@lru_cache(maxsize=64)
def _start_of(name: bytes) -> re.Pattern[bytes]:
    return re.compile(rb"\r\n(" + re.escape(name) + rb")[ \t]*:", re.IGNORECASE)


def _line_end(text: bytes, start: int) -> int:
    found = text.find(_CRLF, start)
    return len(text) if found < 0 else found + len(_CRLF)
