"""The processes that share a PostgreSQL: who lives, and what one of them changed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from relay.spool.node import this_node
from relay.spool.postgres.shares import SQL, PostgresShares
from relay.spool.postgres.short_transactions import ShortTransactions
from relay.spool.sharing import NodeView, Topic, Vitals

if TYPE_CHECKING:
    from relay.spool.postgres.server import Connection

CHANGE = "change"
"""The topic of hints that something was changed; see `relay_changed`."""

_KEY = ("~nodes",)  # after every account: hosts hold no such letter


class PostgresNodes:
    """See `relay.spool.sharing.Nodes`."""

    shared = True

    def __init__(self, short: ShortTransactions, shares: PostgresShares, node: str) -> None:
        self.id = node
        self._short = short
        self._shares = shares
        self._seen: dict[str, int] = {}
        self._hint = asyncio.Event()
        self._joined = False
        self._wakes: list[Callable[[Collection[str] | None], None]] = []

    def hint(self, _: str | None = None) -> None:
        """Something may have been changed."""
        self._hint.set()

    async def beat(self, vitals: Vitals) -> None:
        process = this_node()
        about = json.dumps(
            {
                "id": self.id,
                "host": process.host,
                "boot_id": process.boot_id,
                "pid": process.pid,
                "version": vitals.version,
                "configuration": vitals.configuration,
                "started_at": vitals.started_at.isoformat(),
            }
        )

        async def work(connection: Connection) -> None:
            held = [[*key, count] for key, count in self._shares.connections.items() if count]
            permits = list(self._shares.permits)
            await connection.execute(SQL["beat"], about, json.dumps(held), permits)

        await self._short.run(_KEY, work)
        self._joined = True
        await self._short.run(_KEY, lambda c: c.execute(SQL["bury"]))

    async def changed(self) -> frozenset[Topic]:
        rows = await self._short.run(_KEY, lambda c: c.fetch(SQL["changes"]))
        found = {row["topic"]: row["version"] for row in rows}
        known = {each.value for each in Topic}
        topics = {each for each in found.keys() & known if found[each] != self._seen.get(each)}
        self._seen = found
        return frozenset(Topic(each) for each in topics)

    async def wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._hint.wait()
        except TimeoutError:
            pass
        self._hint.clear()

    def on_mail(self, wake: Callable[[Collection[str] | None], None]) -> None:
        self._wakes.append(wake)

    def mail(self, lanes: Collection[str] | None) -> None:
        """Mail may have become due."""
        for wake in self._wakes:
            wake(lanes)

    async def leave(self) -> None:
        if self._joined:
            await self._short.run(_KEY, lambda c: c.execute(SQL["leave"], self.id))

    async def listed(self) -> tuple[NodeView, ...]:
        rows: list[Any] = await self._short.run(_KEY, lambda c: c.fetch(SQL["nodes"]))
        return tuple(NodeView(**row) for row in rows)
