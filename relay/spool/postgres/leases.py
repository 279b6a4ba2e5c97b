"""The leases of this node: kept alive while its workers hold them, and those of dead nodes ended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from datetime import datetime
from typing import TYPE_CHECKING

from relay.spool.errors import SpoolError
from relay.spool.model import Claim
from relay.spool.postgres.deeds import LEASE_SECONDS
from relay.spool.postgres.sql import statements
from relay.spool.rows import to_minutes

if TYPE_CHECKING:
    from relay.spool.postgres.server import Connection
    from relay.spool.postgres.writer import Writer

SQL = statements("queue.sql")

HEARTBEAT_SECONDS = 10.0
_LOOK_SECONDS = 5.0
"""Between two looks for leases that ran out: a dead node's mail waits no longer than a lease and this."""

log = logging.getLogger(__name__)


class Leases:
    """`free` is called with the lanes of what others may claim again; None: with any."""

    def __init__(
        self,
        writer: Writer,
        node: str,
        clock: Callable[[], datetime],
        free: Callable[[Collection[str] | None], None],
    ) -> None:
        self._writer = writer
        self.node = node
        self._clock = clock
        self._free = free
        self._held: dict[tuple[int, str], int] = {}

    def take(self, claims: Collection[Claim]) -> None:
        """Workers of this node have these claims."""
        for claim in claims:
            self._held[claim.message, claim.lane] = claim.token

    def drop(self, claim: Claim) -> None:
        """The claim has ended."""
        key = (claim.message, claim.lane)
        if self._held.get(key) == claim.token:
            del self._held[key]

    async def run(self) -> None:
        """Until cancelled."""
        looks_a_beat = round(HEARTBEAT_SECONDS / _LOOK_SECONDS)
        look = 0
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            look += 1
            try:
                if look % looks_a_beat == 0:
                    await self.renew()
                await self.expire()
            except SpoolError as error:
                log.debug("no heartbeat: %s", error)
            except Exception:
                log.exception("heartbeat")

    async def renew(self) -> None:
        """Extend what is held; what is not, though it is leased to this node, is given back."""
        lanes = await self._writer.run(self._renew)
        if lanes:
            self._free(lanes)

    async def expire(self) -> int:
        """End the leases that ran out, whoever held them; how many there were."""
        number = await self._writer.run(self._expire)
        if number:
            log.warning("%s leases ran out: their attempts are in doubt", number)
            self._free(None)
        return number

    async def _renew(self, connection: Connection) -> set[str]:
        # In the order of this writer: what earlier transactions claimed is among `_held` by now.
        messages = [message for message, _ in self._held]
        lanes = [lane for _, lane in self._held]
        values = (messages, lanes, LEASE_SECONDS * 1_000_000, self.node)
        await connection.execute(SQL["renew"], *values)
        rows = await connection.fetch(SQL["give_back"], messages, lanes, self.node)
        return {row[0] for row in rows}

    async def _expire(self, connection: Connection) -> int:
        minute = to_minutes(self._clock())
        number: int = await connection.fetchval(SQL["expire"], minute, self.node)
        return number
