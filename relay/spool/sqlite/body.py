"""The bytes of messages in SQLite: written as they arrive, read piece by piece."""

import sqlite3
from collections.abc import AsyncIterator
from zlib import crc32

from relay.spool.body import ArrivingBody
from relay.spool.errors import BodyDamaged
from relay.spool.ids import id_text
from relay.spool.sqlite.deeds import execute
from relay.spool.sqlite.reader import Reader
from relay.spool.sqlite.sql import statements
from relay.spool.sqlite.writer import Writer

SQL = statements("queue.sql")


class SqliteBodyWriter(ArrivingBody):
    """See `relay.spool.protocol.BodyWriter`."""

    def __init__(self, writer: Writer, message: int) -> None:
        super().__init__(message)
        self._writer = writer

    async def _store(self, position: int, piece: bytes) -> None:
        row = (self.message, position, piece, crc32(piece))
        await self._writer.run(execute, SQL["add_body"], row, begins=True)

    async def _drop(self) -> None:
        await self._writer.run(execute, SQL["drop_body"], (self.message,))


async def read_body(reader: Reader, message: int) -> AsyncIterator[bytes]:
    """The pieces of a message in order; the header block is whole in the first.

    Raises BodyDamaged.
    """
    position = 0
    while True:
        at = position

        def piece(connection: sqlite3.Connection, at: int = at) -> bytes | None:
            row = connection.execute(SQL["body_piece"], (message, at)).fetchone()
            if row is not None and row[1] not in (None, crc32(row[0])):
                raise BodyDamaged(f"the bytes of {id_text(message)} are not those that came")
            return None if row is None else bytes(row[0])

        data = await reader.run(piece)
        if data is None:
            return
        yield data
        position += 1
