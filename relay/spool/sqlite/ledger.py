"""Lanes, accounts and devices in SQLite: what outlives a restart beside the messages."""

from collections.abc import Sequence
from typing import Any

from relay.spool.sqlite.deeds import adopt, execute, execute_many
from relay.spool.sqlite.reader import Reader
from relay.spool.sqlite.sql import statements
from relay.spool.sqlite.writer import Writer
from relay.spool.table_ledger import TableLedger, storable

SQL = statements("ledger.sql")


class SqliteLedger(TableLedger):
    """The ledger of one SQLite spool; see `relay.spool.protocol.Ledger`."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader

    async def _write(self, statement: str, *values: object) -> int:
        return await self._writer.run(execute, SQL[statement], storable(values))

    async def _write_each(self, statement: str, rows: Sequence[Sequence[object]]) -> None:
        await self._writer.run(execute_many, SQL[statement], [storable(row) for row in rows])

    async def _adopt(self, address: str, *values: object) -> None:
        await self._writer.run(adopt, storable((address, *values)))

    async def _rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        return await self._reader.run(
            lambda connection: connection.execute(SQL[statement], storable(values)).fetchall()
        )
