"""What passes between a relay and the process that writes for it: pickles with their length."""

import pickle
import struct
from collections.abc import Callable, Iterator
from typing import Any

from relay.spool.errors import SpoolError

_LENGTH = struct.Struct("!Q")


Order = tuple[Callable[..., Any], tuple[Any, ...], bool]
"""A deed, its values, and whether it begins something: see `relay.spool.sqlite.writer.Writer.run`."""

Report = tuple[list[tuple[Any, BaseException | None]], SpoolError | None, list[tuple[int, str]]]
"""What a commit came to: results and errors in the order of the orders, the trouble of the disk,
and lines for the log with their levels. Plain tuples, as they pickle in half the time."""


def to_frame(value: object) -> tuple[bytes, bytes]:
    """The length and the pickle."""
    data = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(data)), data


class Frames:
    """The values in a stream of bytes."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Any]:
        """Those that are whole with `data`."""
        self._buffer += data
        at = 0
        while (start := at + _LENGTH.size) <= len(self._buffer):
            (size,) = _LENGTH.unpack_from(self._buffer, at)
            if start + size > len(self._buffer):
                break
            at = start + size
            with memoryview(self._buffer) as view:
                value = pickle.loads(view[start:at])
            yield value
        del self._buffer[:at]
