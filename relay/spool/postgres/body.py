"""The bytes of messages in PostgreSQL: written as they arrive, read piece by piece."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING
from zlib import crc32

from relay.spool.errors import BodyDamaged
from relay.spool.ids import id_text
from relay.spool.postgres.sql import statements

if TYPE_CHECKING:
    from relay.spool.postgres.reader import Reader
    from relay.spool.postgres.server import Connection
    from relay.spool.postgres.writer import Writer

SQL = statements("queue.sql")

IN_MEMORY_BYTES = 1_000_000
"""Up to this size a message stays in memory until it is accepted, as one row."""

PIECE_BYTES = 256_000
"""The size of the further rows of a larger message."""


class PostgresBodyWriter:
    """Collects a message; beyond `IN_MEMORY_BYTES` its pieces are committed as they arrive."""

    def __init__(self, writer: Writer, message: int) -> None:
        self.message = message
        self.size_bytes = 0
        self._writer = writer
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
            values = (self.message, self._rows, piece := self._take(), crc32(piece))
            self._rows += 1

            async def insert(connection: Connection) -> None:
                await connection.execute(SQL["add_body"], *values)

            await self._writer.run(insert, begins=True)

    async def discard(self) -> None:
        """Forget all of it, committed pieces included."""
        self._take()
        if self._rows:
            self._rows = 0

            async def drop(connection: Connection) -> None:
                await connection.execute(SQL["drop_unaccepted_body"], self.message)

            await self._writer.run(drop)

    def last_piece(self) -> tuple[int, bytes]:
        """The position and the bytes of what is still in memory, for the transaction that accepts
        the message."""
        return self._rows, b"".join(self._held)

    def _take(self) -> bytes:
        piece = b"".join(self._held)
        self._held.clear()
        self._held_bytes = 0
        return piece


async def read_body(reader: Reader, message: int) -> AsyncIterator[bytes]:
    """The pieces of a message in order; the header block is whole in the first.

    Raises BodyDamaged.
    """
    position = 0
    while True:
        at = position

        async def piece(connection: Connection, at: int = at) -> bytes | None:
            row = await connection.fetchrow(SQL["body_piece"], message, at)
            if row is not None and row["crc"] != crc32(row["bytes"]):
                raise BodyDamaged(f"the bytes of {id_text(message)} are not those that came")
            return None if row is None else bytes(row["bytes"])

        data = await reader.run(piece)
        if data is None:
            return
        yield data
        position += 1
