"""What was carried, counted and summed up, to compare what was read with what can be read back."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from typing import Any
from zlib import crc32

from relay.spool.transfer.tables import Table

Row = tuple[Any, ...]


@dataclass(slots=True)
class Tally:
    """Of the messages: how many, and one sum over every value and every byte in order."""

    messages: int = 0
    unfinished: int = 0
    recipients: int = 0
    attempts: int = 0
    body_bytes: int = 0
    checksum: int = 0

    def note(self, table: Table, row: Row) -> None:
        """Counts a row; rows come table by table, in their order."""
        match table.name:
            case "message":
                self.messages += 1
                self.unfinished += row[-1] is None
            case "recipient":
                self.recipients += 1
            case "attempt":
                self.attempts += 1
            case "body":
                message, position, data, stored = row
                self.body_bytes += len(data)
                self.checksum = crc32(data, self.checksum)
                row = (message, position, len(data), stored)
        self.checksum = crc32(repr(row).encode("utf-8", "surrogatepass"), self.checksum)

    def text(self) -> str:
        """For a store to keep."""
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, text: str) -> Tally:
        """The tally of `text`."""
        return cls(**json.loads(text))


async def counted(table: Table, rows: AsyncIterator[Row], tally: Tally) -> AsyncIterator[Row]:
    """The rows, each counted on its way."""
    async for row in rows:
        tally.note(table, row)
        yield row
