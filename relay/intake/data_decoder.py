"""The DATA reader without its I/O: from the bytes on the wire to the bytes of the message.

Only CRLF.CRLF ends the data (RFC 5321 section 4.1.1.4). Dots are unstuffed (section 4.5.2). A
bare LF becomes CRLF and a bare CR a space, after the end has been found, so that no line ending
of a client's own making can end a message or begin a command for the next server.
"""

import re

_END = b"\r\n.\r\n"
_DOT = re.compile(rb"\r\n\.")  # a regular expression finds it in half of bytes.find's time
_BARE_LF = re.compile(rb"(?<!\r)\n")
_BARE_CR = re.compile(rb"\r(?!\n)")


class DataDecoder:
    """Feed it pieces as they arrive, of any size; it gives the message back piece by piece.

    Attributes:
        finished: the end has been seen; `rest` then holds what came after it.
        bare_lf, bare_cr: how many were repaired.
    """

    def __init__(self) -> None:
        self.finished = False
        self.rest = b""
        self.bare_lf = 0
        self.bare_cr = 0
        # DATA's own CRLF counts as the one before the first line; it is not given back.
        self._carry = b"\r\n"
        self._at_start = True

    def feed(self, data: bytes) -> bytes:
        """The part of the message that is certain by now. Do not call it after `finished`."""
        data = self._carry + data
        dot = _DOT.search(data)
        end = -1 if dot is None else data.find(_END, dot.start())
        if end >= 0:
            self.finished = True
            self.rest = data[end + len(_END) :]
            self._carry = b""
            data = data[: end + 2]
        else:
            keep = _undecided(data)
            self._carry = data[len(data) - keep :]
            data = data[: len(data) - keep]
        stuffed = dot is not None and dot.end() <= len(data)
        if self._at_start and data:
            self._at_start = False
            return self._clean(data, stuffed)[2:]
        return self._clean(data, stuffed)

    def _clean(self, data: bytes, stuffed: bool) -> bytes:
        # A CR never stands at the end of `data` but before LF: `_undecided` keeps it back.
        if stuffed:
            data = data.replace(b"\r\n.", b"\r\n")
        if _number(data, b"\r") == _number(data, b"\n") and _BARE_CR.search(data) is None:
            return data
        lines = data.count(b"\r\n")
        bare_lf = data.count(b"\n") - lines
        bare_cr = data.count(b"\r") - lines
        if bare_cr:
            self.bare_cr += bare_cr
            data = _BARE_CR.sub(b" ", data)
        if bare_lf:
            self.bare_lf += bare_lf
            data = _BARE_LF.sub(b"\r\n", data)
        return data


def _number(data: bytes, byte: bytes) -> int:
    """How often it is there; to delete them is faster than to count them."""
    return len(data) - len(data.replace(byte, b""))


def _undecided(data: bytes) -> int:
    """How many bytes at the end of `data` could be the beginning of the end."""
    for length in range(min(len(_END) - 1, len(data)), 0, -1):
        if _END.startswith(data[-length:]):
            return length
    return 0
