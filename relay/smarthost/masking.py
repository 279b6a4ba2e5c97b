"""A password out of what a server repeats: as it is, or in base64, whatever stands around it."""

from __future__ import annotations

import base64
import re
from functools import lru_cache

_MASK = "***"
_GAP = r"[\s\ufffd]*"  # where a line ended, or a control character stood
_LOST = r"[?\ufffd]{1,4}"  # what is left of a letter that came in another character set
_BASE64 = "[A-Za-z0-9+/]"
_LEAST_CORE = 4  # shorter ones stand in any word


def masked(text: str, secret: str) -> str:
    """`text` with asterisks for each form of `secret`."""
    found = _forms(secret)
    return found.sub(_MASK, text) if found is not None else text


@lru_cache(maxsize=4)
def _forms(secret: str) -> re.Pattern[str] | None:
    data = secret.encode("utf-8", "surrogateescape")
    whole = base64.b64encode(data).decode()
    cores = [core for skipped in range(3) if len(core := _core(data, skipped)) >= _LEAST_CORE]
    forms = [rf"{_BASE64}*{_with_gaps(core)}{_BASE64}*=*" for core in cores]
    forms += [re.escape(whole), _with_gaps("".join(secret.split()))]
    return re.compile("|".join(filter(None, forms))) if secret else None


def _core(data: bytes, skipped: int) -> str:
    """The characters of base64 that `data` alone decides, `skipped` bytes (modulo 3) before it:
    those of a PLAIN response too, in which it stands behind the user name (RFC 4616)."""
    coded = base64.b64encode(bytes(skipped) + data).decode()
    first = -(-8 * skipped // 6)
    return coded[first : 8 * (skipped + len(data)) // 6]


def _with_gaps(characters: str) -> str:
    return _GAP.join(
        re.escape(each) if each.isascii() else rf"(?:{re.escape(each)}|{_LOST})"
        for each in characters
    )
