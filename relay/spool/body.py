"""A message while it arrives, the same for every store: a small one in memory, a large one in pieces."""

from abc import ABC, abstractmethod

IN_MEMORY_BYTES = 1_000_000
"""Up to this size a message stays in memory until it is accepted, as one row."""

PIECE_BYTES = 256_000
"""The size of the further rows of a larger message."""


class ArrivingBody(ABC):
    """Collects a message; beyond `IN_MEMORY_BYTES` its pieces are committed as they arrive."""

    def __init__(self, message: int) -> None:
        self.message = message
        self.size_bytes = 0
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._rows = 0

    async def write(self, data: bytes) -> None:
        """Add `data`. Raises SpoolError if a piece cannot be stored."""
        self._held.append(data)
        self._held_bytes += len(data)
        self.size_bytes += len(data)
        # The first row is large, so that the header block lies whole within it.
        limit = PIECE_BYTES if self._rows else IN_MEMORY_BYTES
        if self._held_bytes > limit:
            position, piece = self._rows, self._take()
            self._rows += 1
            await self._store(position, piece)

    async def discard(self) -> None:
        """Forget all of it, committed pieces included."""
        self._take()
        if self._rows:
            self._rows = 0
            await self._drop()

    def last_piece(self) -> tuple[int, bytes]:
        """The position and the bytes of what is still in memory, for the transaction that accepts
        the message."""
        return self._rows, b"".join(self._held)

    def _take(self) -> bytes:
        piece = b"".join(self._held)
        self._held.clear()
        self._held_bytes = 0
        return piece

    @abstractmethod
    async def _store(self, position: int, piece: bytes) -> None:
        """Commit a piece, invisible until the message is accepted."""

    @abstractmethod
    async def _drop(self) -> None:
        """Remove the pieces that were committed."""
