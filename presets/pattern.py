"""What a text must hold for a regular expression to match it: a cheap test before the dear one."""

from __future__ import annotations

import re
from functools import cache

_BREAK = "\0"
_TIMES = r"(?:[?*+]|\{[^}]*\})?"
_ESCAPES_AND_CLASSES = re.compile(rf"(?:\\.|\[\]?[^\]]*\]){_TIMES}", re.DOTALL)
_INNER_GROUP = re.compile(rf"\([^()]*\){_TIMES}")
_OPTIONAL = re.compile(r".(?:[?*]|\{[^}]*\})|[.^$+]", re.DOTALL)


def required_literals(pattern: str) -> tuple[str, ...]:
    """For each top-level alternative of a regular expression its longest literal, in lower case.

    A text that matches holds one of them; "" where an alternative has none. Escapes, classes and
    groups count as unknown text: the answer may be too weak, never too strict.
    """
    plain = _ESCAPES_AND_CLASSES.sub(_BREAK, pattern)
    groups = 1
    while groups:
        plain, groups = _INNER_GROUP.subn(_BREAK, plain)
    plain = _OPTIONAL.sub(_BREAK, plain).lower()
    return tuple(max(part.split(_BREAK), key=len) for part in plain.split("|"))


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    """The pattern, case-insensitive; compiled at its first use, as most are never needed."""
    return re.compile(pattern, re.IGNORECASE)
