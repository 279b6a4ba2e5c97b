"""A message as a reader sees it: headers, text, HTML and attachments, from bytes that anybody made.

Parsing is bounded in bytes, lines, parts and time. What goes beyond gives its headers alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.errors import HeaderParseError, MessageError
from email.feedparser import BytesFeedParser
from email.header import decode_header
from email.message import Message
from email.parser import BytesHeaderParser
from typing import Any

MOST_BYTES = 30_000_000
MOST_LINES = 500_000
MOST_PARTS = 100
MOST_SECONDS = 5.0
MOST_TEXT_BYTES = 1_000_000
MOST_HTML_BYTES = 1_000_000
MOST_HEADERS = 200
MOST_HEADER_BYTES = 200_000
MOST_VALUE_CHARACTERS = 5_000

_PIECE = 65_536
_MOST_STRUCTURE_CHARACTERS = 2_000

# What the library is known to raise over bytes that it did not expect.
_BROKEN = (MessageError, ValueError, LookupError, RecursionError, TypeError, AttributeError)

# C0 but tab and line feed, DEL, C1; and what turns the direction of writing, so that a name
# seems to end in another suffix (Unicode TR36, section 3.4).
_HARMFUL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


class _Bounded(Message):
    """A part whose headers are short to those who take them apart: the library's time for the
    parameters of one grows with the square of their number."""

    def get(self, name: str, failobj: Any = None) -> Any:
        value = super().get(name, failobj)
        return value if value is failobj else str(value)[:_MOST_STRUCTURE_CHARACTERS]


class TooMuch(Exception):
    """A message beyond what is taken apart."""


@dataclass(frozen=True, slots=True)
class Part:
    """A leaf of the message, its content decoded. `content_id` is what HTML calls it by."""

    type: str
    filename: str | None
    content: bytes
    content_id: str | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """`attachments` are all leaves but the one that is `text` and the one that is `html`."""

    headers: tuple[tuple[str, str], ...]
    text: str | None
    html: str | None
    attachments: tuple[Part, ...]


def harmless(text: str) -> str:
    """`text` with every control character, and what turns the direction of writing, replaced."""
    return _HARMFUL.sub("\ufffd", text)


def read_headers(block: bytes) -> tuple[tuple[str, str], ...]:
    """The headers at the begin of `block`, decoded (RFC 2047), the first `MOST_HEADERS`."""
    try:
        parsed = BytesHeaderParser().parsebytes(block[:MOST_HEADER_BYTES])
    except (MessageError, ValueError, RecursionError):
        return ()
    return tuple((harmless(name), _decoded(value)) for name, value in parsed.raw_items())[
        :MOST_HEADERS
    ]


def read_message(data: bytes, clock: Callable[[], float]) -> Reading:
    """The parts of a message. Takes seconds at most, so call it in a thread. Raises TooMuch."""
    if len(data) > MOST_BYTES or data.count(b"\n") > MOST_LINES:
        raise TooMuch
    try:
        return _read(data, clock)
    except _BROKEN as error:
        raise TooMuch from error


def _read(data: bytes, clock: Callable[[], float]) -> Reading:
    leaves = list(_leaves(_parse(data, clock)))
    plain = next((each for each in leaves if _is_body(each, "text/plain")), None)
    html = next((each for each in leaves if _is_body(each, "text/html")), None)
    parts = [_part(each) for each in leaves if each is not plain and each is not html]
    return Reading(
        headers=read_headers(data),
        text=None if plain is None else harmless(_text(plain, MOST_TEXT_BYTES)),
        html=None if html is None else _text(html, MOST_HTML_BYTES),
        attachments=tuple(parts),
    )


def _parse(data: bytes, clock: Callable[[], float]) -> Message:
    started, made = clock(), 0

    def new_message(*_: object, **__: object) -> Message:
        nonlocal made
        made += 1
        if made > MOST_PARTS:  # depth too: each level is a part
            raise TooMuch
        return _Bounded()

    parser = BytesFeedParser(new_message)
    for start in range(0, len(data), _PIECE):
        if clock() - started > MOST_SECONDS:
            raise TooMuch
        parser.feed(data[start : start + _PIECE])
    return parser.close()


def _leaves(message: Message) -> Iterator[Message]:
    """The parts without parts; a message within the message is one, whatever is in it."""
    if message.get_content_type() == "message/rfc822" or not message.is_multipart():
        yield message
        return
    for part in message.get_payload():
        if isinstance(part, Message):
            yield from _leaves(part)


def _is_body(part: Message, type_: str) -> bool:
    """Whether a part is there to be read, not to be kept."""
    disposition = part.get_content_disposition()
    return part.get_content_type() == type_ and disposition != "attachment"


def _part(part: Message) -> Part:
    content_id = part.get("Content-ID")
    return Part(
        type=harmless(part.get_content_type())[:100],
        filename=_filename(part),
        content=_content(part),
        content_id=None if content_id is None else str(content_id).strip().strip("<>"),
    )


def _content(part: Message) -> bytes:
    if part.is_multipart():
        inner = part.get_payload(0)
        return inner.as_bytes() if isinstance(inner, Message) else b""
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _text(part: Message, most_bytes: int) -> str:
    charset = part.get_content_charset("utf-8")
    content = _content(part)[:most_bytes]
    try:
        return content.decode(charset, "replace").replace("\r\n", "\n")
    except (LookupError, ValueError):  # no charset that Python knows, or no text encoding at all
        return content.decode("utf-8", "replace").replace("\r\n", "\n")


def _filename(part: Message) -> str | None:
    """A name to keep the part under: no path, no control character, of a fitting length."""
    try:
        name = part.get_filename()
    except (ValueError, LookupError, TypeError):
        return None
    if not name:
        return None
    plain = re.split(r"[/\\]", _decoded(name))[-1].strip().lstrip(".")
    plain = re.sub(r'[:*?"<>|\n\t]', "_", plain)
    return plain[-100:] or None


def _decoded(value: object) -> str:
    """A header's value as text, its encoded words decoded where they can be (RFC 2047)."""
    raw = str(value).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    raw = re.sub(r"\r?\n(?=[ \t])", "", raw)[:MOST_VALUE_CHARACTERS]
    try:
        pieces = [
            each.decode(charset or "utf-8", "replace") if isinstance(each, bytes) else each
            for each, charset in decode_header(raw)
        ]
    except (HeaderParseError, LookupError, ValueError):
        pieces = [raw]
    return harmless("".join(pieces)).replace("\n", "\ufffd")[:MOST_VALUE_CHARACTERS]
