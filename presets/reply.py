"""An SMTP reply as a value: basic code, enhanced status code, printable text (RFC 5321 section 4.2)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

TEXT_LIMIT = 1000
"""Characters of text that a Reply keeps; RFC 5321 section 4.5.3.1.5 allows 512 a line."""

# Only the first part of a reply is looked at: a hostile server may send megabytes.
_LINES_LIMIT = 100
_INPUT_LIMIT = 20_000

# People paste "535: ..." (programs print it so) as well as what was on the wire.
_CODED_LINE = re.compile(r"([2-5]\d\d)(?:[ \-:]+(.*)|)$", re.DOTALL)
# RFC 3463 section 2; some appliances write "#5.1.0".
_ENHANCED = re.compile(r"#?([245]\.\d{1,3}\.\d{1,3})(?![\d.])[:,;]?\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply of a server. `code` 0 means: text without a reply code (a program's own message).

    Make one with `parse` or `of`; these guarantee text without control characters.
    """

    code: int
    enhanced: str | None
    text: str

    @classmethod
    def parse(cls, text: str | bytes) -> Reply | None:
        """The reply in `text`, as on the wire or pasted; None when it does not start with a code.

        Lines that lack the code (a paste wrapped by a mail program) continue the text.
        """
        lines = _split(text)
        first = _CODED_LINE.match(lines[0]) if lines else None
        if first is None:
            return None
        code = first[1]
        return cls.of(int(code), [_without_code(line, code) for line in lines])

    @classmethod
    def of(cls, code: int, lines: Sequence[str | bytes]) -> Reply:
        """A reply whose lines were already separated from their code.

        The enhanced code is that of the first line that has one; each line's copy is dropped.
        """
        enhanced: str | None = None
        parts: list[str] = []
        room = TEXT_LIMIT
        for line in lines[:_LINES_LIMIT]:
            part = sanitise(line)
            found = _ENHANCED.match(part)
            if found and enhanced in (None, found[1]):
                enhanced = found[1]
                part = part[found.end() :]
            if part:
                parts.append(part)
                room -= len(part) + 1
            if room <= 0:
                break
        return cls(code, enhanced, " ".join(parts)[:TEXT_LIMIT].rstrip())

    @property
    def positive(self) -> bool:
        """True for 2yz: done."""
        return 200 <= self.code <= 299

    @property
    def transient(self) -> bool:
        """True for 4yz: not now."""
        return 400 <= self.code <= 499

    @property
    def permanent(self) -> bool:
        """True for 5yz: refused."""
        return 500 <= self.code <= 599

    def __str__(self) -> str:
        code = str(self.code) if self.code else None
        return " ".join(part for part in (code, self.enhanced, self.text) if part)


def sanitise(text: str | bytes, limit: int = TEXT_LIMIT) -> str:
    """`text` as one printable line of at most `limit` characters.

    Bytes that are not UTF-8 (and the surrogates that stand for them in a str) are read as Latin-1,
    white space and line ends become a space, every other unprintable character becomes U+FFFD:
    such a text can be logged, stored in any database and shown on a terminal.
    """
    if isinstance(text, bytes):
        # Four bytes a character at most; the cut may fall inside a character beyond the limit.
        text = text[: 4 * limit + 4].decode("utf-8", "surrogateescape")
    text = text[: limit + 1]
    if not (text.isascii() and text.isprintable()):
        text = "".join(map(_printable, text))
    return text.strip()[:limit]


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    if "\udc80" <= character <= "\udcff":
        character = chr(ord(character) - 0xDC00)
        if character.isprintable():
            return character
    return " " if character.isspace() else "\ufffd"


def _split(text: str | bytes) -> list[str]:
    if isinstance(text, bytes):
        text = text[:_INPUT_LIMIT].decode("utf-8", "surrogateescape")
    return list(_lines(text[:_INPUT_LIMIT].strip().strip("\"'")))


def _lines(text: str) -> Iterator[str]:
    for line in text.splitlines()[:_LINES_LIMIT]:
        if stripped := line.strip():
            yield stripped


def _without_code(line: str, code: str) -> str:
    """The line's text; a line with another code keeps it, as that is another reply inside this one."""
    found = _CODED_LINE.match(line)
    return (found[2] or "") if found and found[1] == code else line
