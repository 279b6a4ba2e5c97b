"""The addresses in a From value, and the same value with another address (RFC 5322 section 3.4).

Display names, quoted strings, comments and encoded words stay the bytes that they are. What is
malformed is read as far as it goes: every address that a mail program might show is listed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto


class _Kind(Enum):
    BLANK = auto()
    COMMENT = auto()
    MARK = auto()  # < > , ; :
    WORD = auto()  # atoms, quoted strings, domain literals


_TOKEN = re.compile(
    rb"""(?P<blank>[ \t\r\n]+) | (?P<mark>[<>,;:]) | "(?:[^"\\]|\\.)*" | \[[0-9A-Za-z.:]*\]
    | [^ \t\r\n<>,;:"(\[]+""",
    re.VERBOSE | re.DOTALL,
)
# Behind a quote, comment or literal that never closes, every program reads on in its own way:
# such marks count as blanks there, so that no address hides in them.
_LOOSE_TOKEN = re.compile(
    rb"""(?P<blank>[ \t\r\n"()\[\]]+)|(?P<mark>[<>,;:])|[^ \t\r\n<>,;:"()\[\]]+"""
)
_COMMENT_STEP = re.compile(rb"\\.|[()]", re.DOTALL)
_QUOTED_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One entry of an address list.

    Attributes:
        address: the addr-spec without blanks, comments or source route; bytes that are not
            UTF-8 become U+FFFD.
        display_name: as written, quotes and encoded words included; empty when there is none.
        comment: the first comment with its parentheses, where old programs put the name.
    """

    address: str
    display_name: bytes
    comment: bytes


def mailboxes(value: bytes) -> list[Mailbox]:
    """Every entry with an ``@`` in it, groups opened (RFC 5322 section 3.4)."""
    found: list[Mailbox] = []
    entry = _Entry()
    for kind, text in _tokens(value):
        ends = kind is _Kind.MARK and (
            text == b";"
            or (text == b"," and not entry.in_source_route)
            or (text == b"<" and entry.has_brackets)
        )
        if ends:
            found.append(entry.mailbox())
            entry = _Entry()
        entry.add(kind, text)
    found.append(entry.mailbox())
    return [mailbox for mailbox in found if "@" in mailbox.address]


def addresses(value: bytes) -> list[str]:
    """The addr-spec of every entry; empty when there is none."""
    return [mailbox.address for mailbox in mailboxes(value)]


def with_address(value: bytes, address: str) -> bytes:
    """A From value of that one address, under the display name that ``value`` began with.

    A name that only a comment held stays a comment. One line, no controls.
    """
    spec = address.encode()
    entry = next(iter(mailboxes(value)), None)
    if entry is None:
        return spec
    name, comment = (_one_line(part) for part in (entry.display_name, entry.comment))
    if name:
        return _safe_phrase(name) + b" <" + spec + b">"
    return spec + b" " + comment if comment else spec


class _Entry:
    """The tokens of one mailbox, collected until its comma."""

    def __init__(self) -> None:
        self.before: list[bytes] = []  # words and blanks before the brackets
        self.words: list[bytes] = []  # the words among them
        self.inside: list[bytes] = []
        self.comment = b""
        self.has_brackets = False
        self.is_open = False

    @property
    def in_source_route(self) -> bool:
        return self.is_open and self.inside[:1] != [] and self.inside[0].startswith(b"@")

    def add(self, kind: _Kind, text: bytes) -> None:
        if kind is _Kind.COMMENT:
            self.comment = self.comment or text
        elif kind is _Kind.MARK:
            self._mark(text)
        elif self.is_open:
            if kind is _Kind.WORD:
                self.inside.append(text)
        elif not self.has_brackets:
            self.before.append(text)
            if kind is _Kind.WORD:
                self.words.append(text)

    def _mark(self, text: bytes) -> None:
        if text == b"<":
            self.has_brackets = self.is_open = True
        elif text == b">":
            self.is_open = False
        elif text == b":" and self.is_open:
            self.inside = []  # what stood before was a source route
        elif text == b":":
            self.before, self.words = [], []  # what stood before was the name of a group

    def mailbox(self) -> Mailbox:
        words = self.inside if self.has_brackets else self.words
        name = b"".join(self.before).strip() if self.has_brackets else b""
        return Mailbox(b"".join(words).decode(errors="replace"), name, self.comment)


def _tokens(value: bytes) -> Iterator[tuple[_Kind, bytes]]:
    pattern = _TOKEN
    at = 0
    while at < len(value):
        if pattern is _TOKEN and value[at : at + 1] == b"(":
            end = _comment_end(value, at)
            if end is not None:
                yield _Kind.COMMENT, value[at:end]
                at = end
                continue
        found = pattern.match(value, at)
        if found is None:
            pattern = _LOOSE_TOKEN
            continue
        kind = {"blank": _Kind.BLANK, "mark": _Kind.MARK}.get(found.lastgroup or "", _Kind.WORD)
        yield kind, found[0]
        at = found.end()


def _comment_end(value: bytes, start: int) -> int | None:
    depth = 0
    for step in _COMMENT_STEP.finditer(value, start):
        depth += {b"(": 1, b")": -1}.get(step[0], 0)
        if depth == 0:
            return step.end()
    return None


def _one_line(text: bytes) -> bytes:
    return re.sub(rb"[\x00-\x1f\x7f]+", b" ", text)


def _safe_phrase(name: bytes) -> bytes:
    outside_quotes = _QUOTED_STRING.sub(b"", name)
    if re.search(rb'[@\[\]"\\]', outside_quotes) is None:
        return name
    return b'"' + re.sub(rb'["\\]', b"", name) + b'"'
