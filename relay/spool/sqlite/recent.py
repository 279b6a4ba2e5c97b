"""The bytes of the latest messages, kept in memory: most are delivered at once.

They are committed already; what is not here any more is read from the store.
"""

_MOST_BYTES = 16_000_000
_NOTHING_KEPT = (1 << 63) - 1


class Recent:
    """Bytes by message id, the oldest given up first."""

    def __init__(self) -> None:
        self._bodies: dict[int, bytes] = {}
        self._bytes = 0

    @property
    def since(self) -> int:
        """The id from which on the bytes of nearly all messages are here."""
        return next(iter(self._bodies), _NOTHING_KEPT)

    def add(self, message: int, body: bytes) -> None:
        """Keep the bytes of a message that is committed."""
        self._bodies[message] = body
        self._bytes += len(body)
        while self._bytes > _MOST_BYTES:
            self.forget(next(iter(self._bodies)))

    def get(self, message: int) -> bytes | None:
        """The bytes, if they are here."""
        return self._bodies.get(message)

    def forget(self, message: int) -> None:
        """Give them up, if they are here."""
        body = self._bodies.pop(message, None)
        if body is not None:
            self._bytes -= len(body)
