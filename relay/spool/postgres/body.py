"""The bytes of messages in PostgreSQL: written as they arrive, read piece by piece."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING
from zlib import crc32

from relay.spool.body import ArrivingBody
from relay.spool.errors import BodyDamaged
from relay.spool.ids import id_text
from relay.spool.postgres.sql import statements

if TYPE_CHECKING:
    from relay.spool.postgres.reader import Reader
    from relay.spool.postgres.server import Connection
    from relay.spool.postgres.writer import Writer

SQL = statements("queue.sql")


class PostgresBodyWriter(ArrivingBody):
    """See `relay.spool.protocol.BodyWriter`."""

    def __init__(self, writer: Writer, message: int) -> None:
        super().__init__(message)
        self._writer = writer

    async def _store(self, position: int, piece: bytes) -> None:
        values = (self.message, position, piece, crc32(piece))

        async def insert(connection: Connection) -> None:
            await connection.execute(SQL["add_body"], *values)

        await self._writer.run(insert, begins=True)

    async def _drop(self) -> None:
        async def drop(connection: Connection) -> None:
            await connection.execute(SQL["drop_unaccepted_body"], self.message)

        await self._writer.run(drop)


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
