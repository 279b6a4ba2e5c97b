"""Lanes, accounts and devices in PostgreSQL: what all nodes share beside the messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from relay.spool.postgres.sql import statements
from relay.spool.table_ledger import TableLedger, storable

if TYPE_CHECKING:
    from relay.spool.postgres.reader import Reader
    from relay.spool.postgres.server import Connection
    from relay.spool.postgres.writer import Writer

SQL = statements("ledger.sql")


class PostgresLedger(TableLedger):
    """The ledger of one PostgreSQL spool; see `relay.spool.protocol.Ledger`."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader

    async def _write(self, statement: str, *values: object) -> int:
        async def work(connection: Connection) -> int:
            status = await connection.execute(SQL[statement], *storable(values))
            return int(status.rpartition(" ")[2])

        return await self._writer.run(work)

    async def _write_each(self, statement: str, rows: Sequence[Sequence[object]]) -> None:
        # In an order that all nodes share: none waits for another in a circle.
        values = sorted(map(storable, rows), key=lambda row: str(row[0]))

        async def work(connection: Connection) -> None:
            await connection.executemany(SQL[statement], values)

        await self._writer.run(work)

    async def _adopt(self, address: str, *values: object) -> None:
        device = storable((address, *values))

        async def work(connection: Connection) -> None:
            await connection.execute(SQL["adopt"], *device)
            await connection.execute(SQL["no_longer_refused"], device[0])

        await self._writer.run(work)

    async def _rows(self, statement: str, *values: object) -> list[Any]:
        return await self._reader.run(
            lambda connection: connection.fetch(SQL[statement], *storable(values))
        )
