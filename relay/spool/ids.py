"""Message ids: time-ordered integers inside, opaque short strings outside."""

import secrets
import threading
import time

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford: no I, L, O, U to misread
_DIGITS = 13  # 13 x 5 bits hold the 63 bits of an SQLite or PostgreSQL integer
_RANDOM_BITS = 21  # below 42 bits of milliseconds: 63 in all, enough until the year 2109

_VALUES = {character: value for value, character in enumerate(_ALPHABET)}


class IdSource:
    """Hands out ids that rise within one process and, by their random part, differ between two."""

    def __init__(self) -> None:
        self._last = 0
        self._lock = threading.Lock()

    def next(self) -> int:
        """The next id, larger than each before it even if the clock steps back."""
        now = time.time_ns() // 1_000_000 << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
        with self._lock:
            self._last = max(self._last + 1, now)
            return self._last


def id_text(number: int) -> str:
    """The id as commands, logs and Received fields show it: 13 characters."""
    return "".join(_ALPHABET[number >> 5 * place & 31] for place in reversed(range(_DIGITS)))


def id_number(text: str) -> int | None:
    """The integer of an id as shown, in either case; None if `text` cannot be one."""
    if len(text) != _DIGITS:
        return None
    number = 0
    for character in text.upper():
        value = _VALUES.get(character)
        if value is None:
            return None
        number = number << 5 | value
    return number if number < 1 << 63 else None
