"""The two encodings that carry an address through an SMTP parameter.

xtext (RFC 3461 section 4) writes a byte as ``+HH``; utf-8-addr-xtext (RFC 6533 section 3)
writes a character as ``\\x{HEX}``.
"""

from __future__ import annotations

import re

_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*")
_HEXCHAR = re.compile(r"\+([0-9A-F]{2})")
_UNICODE_XTEXT_CHAR = re.compile(r"[!-*,-<>-\[\]-~]")


def decode(text: str) -> str | None:
    """The text behind an xtext; None when it is no xtext or hides anything but printable ASCII.

    RFC 3461 sections 4.2 and 4.4 allow printable US-ASCII (space included) only, which also
    keeps ``+0D+0A`` out of every header line that is built from it.
    """
    if _XTEXT.fullmatch(text) is None:
        return None
    plain = _HEXCHAR.sub(lambda match: chr(int(match[1], 16)), text)
    return plain if plain.isascii() and plain.isprintable() else None


def encode_unicode(address: str) -> str:
    """``address`` as utf-8-addr-xtext, which is pure ASCII (RFC 6533 section 3)."""
    return "".join(
        char if _UNICODE_XTEXT_CHAR.fullmatch(char) else f"\\x{{{ord(char):02X}}}"
        for char in address
    )
