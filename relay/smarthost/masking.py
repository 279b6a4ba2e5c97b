"""A secret out of what a server repeats, whatever stands around it and however it is written:
plain, in base64 (of both alphabets), percent-encoded, quoted-printable, in hex, HTML or JSON."""

from __future__ import annotations

import base64
import html
import json
import re
from functools import lru_cache
from urllib.parse import quote

_MASK = "***"
# Where a line ended, or a control character stood; bounded, or a hostile reply would take for ever.
_GAP = r"(?:=?[\s\ufffd]){0,8}"
_SPACE = r"(?:[%=](?:20|09)|\+|=?[\s\ufffd]){0,99}"  # how white space in a password is written
_LOST = r"[?\ufffd]{1,4}"  # what is left of a letter that came in another character set
_BASE64 = "[A-Za-z0-9+/_-]"
_EITHER_ALPHABET = {"+": "[+-]", "-": "[+-]", "/": "[/_]", "_": "[/_]"}
_URL_ALPHABET = str.maketrans("+/", "-_")
_LEAST_CORE = 4  # shorter ones stand in any word
_LEAST_HEX_BYTES = 4
_PIECE = 16  # characters of a token that are worth hiding


def masked(text: str, secret: str) -> str:
    """`text` with asterisks for each form of `secret`."""
    found = _forms(secret)
    return found.sub(_MASK, text) if found is not None else text


def masked_token(text: str, token: str) -> str:
    """`text` with asterisks for each piece of `token`, of 16 characters or more, in each form.

    A token is longer than what some servers repeat of a line, so that a part of it counts.
    """
    places = [at for at, each in enumerate(text) if not (each.isspace() or each == "\ufffd")]
    packed = "".join(text[at] for at in places)
    hidden = bytearray(len(text))
    for pieces in _pieces(token):
        length = len(next(iter(pieces)))
        for start in range(len(packed) - length + 1):
            if packed[start : start + length] in pieces:
                first, last = places[start], places[start + length - 1]
                hidden[first : last + 1] = b"x" * (last + 1 - first)
    runs = re.finditer(rb"x+", bytes(hidden))
    for run in reversed(list(runs)):
        text = text[: run.start()] + _MASK + text[run.end() :]
    return text


@lru_cache(maxsize=4)
def _pieces(token: str) -> tuple[frozenset[str], ...]:
    """By length, what must not be shown of the token, in each form."""
    coded = [_core(token.encode(), skipped) for skipped in range(3)]
    wholly = "".join(f"%{byte:02X}" for byte in token.encode())
    escaped = [quote(token, safe=""), quote(token, safe="").replace("%", "="), wholly]
    hexadecimal = token.encode().hex()
    forms = {
        token,
        html.escape(token),
        json.dumps(token)[1:-1],
        *coded,
        *(each.translate(_URL_ALPHABET) for each in coded),
    }
    forms |= {*escaped, *map(_lower_escapes, escaped), hexadecimal, hexadecimal.upper()}
    by_length: dict[int, set[str]] = {}
    for form in forms:
        length = min(len(form), _PIECE)
        if length >= _LEAST_CORE:
            starts = range(len(form) - length + 1)
            by_length.setdefault(length, set()).update(form[at : at + length] for at in starts)
    return tuple(frozenset(each) for each in by_length.values())


def _lower_escapes(text: str) -> str:
    return re.sub("[%=][0-9A-F]{2}", lambda found: found[0].lower(), text)


@lru_cache(maxsize=4)
def _forms(secret: str) -> re.Pattern[str] | None:
    data = secret.encode("utf-8", "surrogateescape")
    cores = [core for skipped in range(3) if len(core := _core(data, skipped)) >= _LEAST_CORE]
    # From the beginning of a word on: at each of its letters, a long word would take for ever.
    word = f"(?<!{_BASE64}){_BASE64}*"
    forms = [rf"{word}{_coded_with_gaps(core)}{_BASE64}*=*" for core in cores]
    forms += [re.escape(base64.b64encode(data).decode())]
    if len(data) >= _LEAST_HEX_BYTES:
        forms.append(_GAP.join(_hex_of(byte) for byte in data))
    forms.append(_written_with_gaps(secret))
    return re.compile("|".join(filter(None, forms))) if secret else None


def _core(data: bytes, skipped: int) -> str:
    """The characters of base64 that `data` alone decides, `skipped` bytes (modulo 3) before it:
    those of a PLAIN response too, in which it stands behind the user name (RFC 4616)."""
    coded = base64.b64encode(bytes(skipped) + data).decode()
    first = -(-8 * skipped // 6)
    return coded[first : 8 * (skipped + len(data)) // 6]


def _coded_with_gaps(core: str) -> str:
    return _GAP.join(_EITHER_ALPHABET.get(each, each) for each in core)


def _written_with_gaps(secret: str) -> str:
    """Each character as it is or escaped: as in a URL (RFC 3986), quoted-printable (RFC 2045),
    HTML or JSON."""
    return _SPACE.join(_GAP.join(map(_written, word)) for word in secret.split())


def _written(character: str) -> str:
    data = character.encode("utf-8", "surrogateescape")
    shapes = {html.escape(character), json.dumps(character)[1:-1], character}
    ways = [_GAP.join(map(re.escape, each)) for each in sorted(shapes, key=len, reverse=True)]
    ways.append(_GAP.join(f"[%=]{_GAP}{_hex_of(byte)}" for byte in data))
    if not character.isascii():
        ways.append(_LOST)
    return f"(?:{'|'.join(ways)})"


def _hex_of(byte: int) -> str:
    digits = (f"[{each}{each.upper()}]" if each.isalpha() else each for each in f"{byte:02x}")
    return _GAP.join(digits)
