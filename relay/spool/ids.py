"""Message ids: time-ordered integers inside, opaque short strings outside."""

import os
import threading
import time

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford: no I, L, O, U to misread
_DIGITS = 13  # 13 x 5 bits hold the 63 bits of an SQLite or PostgreSQL integer
_RANDOM_BITS = 21  # below 42 bits of milliseconds: 63 in all, enough until the year 2109

_VALUES = {character: value for value, character in enumerate(_ALPHABET)}
_PAIRS = tuple(high + low for high in _ALPHABET for low in _ALPHABET)
_POOL_BYTES = 3 * 256  # the system is not asked for randomness at each id


class IdSource:
    """Hands out ids that rise within one process and, by their random part, differ between two."""

    def __init__(self) -> None:
        self._last = 0
        self._pool = b""
        self._lock = threading.Lock()

    def next(self) -> int:
        """The next id, larger than each before it even if the clock steps back."""
        milliseconds = time.time_ns() // 1_000_000
        with self._lock:
            random = int.from_bytes(self._three_bytes()) >> 24 - _RANDOM_BITS
            self._last = max(self._last + 1, milliseconds << _RANDOM_BITS | random)
            return self._last

    def _three_bytes(self) -> bytes:
        if not self._pool:
            self._pool = os.urandom(_POOL_BYTES)
        three, self._pool = self._pool[:3], self._pool[3:]
        return three


def id_text(number: int) -> str:
    """The id as commands, logs and Received fields show it: 13 characters."""
    pairs = (_PAIRS[number >> 10 * place & 1023] for place in (5, 4, 3, 2, 1, 0))
    return _ALPHABET[number >> 60 & 31] + "".join(pairs)


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
