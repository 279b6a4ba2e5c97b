"""What one node tells the others at once: a hint, which saves a moment and may be lost.

The truth is in the tables: who follows a topic is also called every few seconds, and then looks.
NOTIFY needs a session of its own; where PgBouncer stands between there is none, and only the
looking is left.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import asyncpg

from relay.spool.errors import SpoolError
from relay.spool.postgres.server import is_direct

if TYPE_CHECKING:
    from relay.spool.postgres.server import Connection, Server

POLL_SECONDS = 5.0
_PAUSE_SECONDS = 0.2  # what is told within it is told once: each NOTIFY holds up all commits
_CHANNEL = "relay"

log = logging.getLogger(__name__)

Heard = Callable[[str | None], None]
"""Called with what another node told, and with None when it is time to look."""


class Hints:
    """Between the nodes of one spool."""

    def __init__(self, server: Server, node: str) -> None:
        self._server = server
        self._node = node
        self._followers: defaultdict[str, list[Heard]] = defaultdict(list)
        self._told: set[tuple[str, str]] = set()
        self._more = asyncio.Event()
        self._connection: Connection | None = None
        self._useless = False

    def follow(self, topic: str, heard: Heard) -> None:
        """Have `heard` called from now on."""
        self._followers[topic].append(heard)

    def tell(self, topic: str, text: str) -> None:
        """Tell the other nodes, soon; without a connection nobody is told."""
        self._told.add((topic, text))
        self._more.set()

    async def run(self) -> None:
        """Until cancelled."""
        try:
            await asyncio.gather(self._poll(), self._speak())
        finally:
            if self._connection is not None:
                self._connection.terminate()

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            await self._listen()
            for topic in list(self._followers):
                self._call(topic, None)

    async def _speak(self) -> None:
        await self._listen()
        while True:
            await self._more.wait()
            self._more.clear()
            told, self._told = self._told, set()
            connection = self._connection
            if connection is not None and not connection.is_closed():
                with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                    await self._notify(connection, told)
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _notify(self, connection: Connection, told: set[tuple[str, str]]) -> None:
        async with connection.transaction():
            # Nothing is lost with it.
            await connection.execute("SET LOCAL synchronous_commit = off")
            for topic, text in sorted(told):
                payload = json.dumps([self._node, topic, text])
                await connection.execute("SELECT pg_notify($1, $2)", _CHANNEL, payload)

    async def _listen(self) -> None:
        if self._useless or (self._connection is not None and not self._connection.is_closed()):
            return
        self._connection = None
        try:
            connection = await self._server.connect()
        except (OSError, SpoolError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            log.debug("no connection for hints: %s", error)
            return
        try:
            if await is_direct(connection):
                await connection.add_listener(_CHANNEL, self._heard)
                self._connection = connection
                return
            self._useless = True
            log.info("a pooler stands before PostgreSQL: other nodes' changes are seen by looking")
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            log.debug("no hints: %s", error)
        connection.terminate()

    def _heard(self, _: Any, __: int, ___: str, payload: object) -> None:
        try:
            node, topic, text = json.loads(str(payload))
        except ValueError:
            return
        if node != self._node:
            self._call(topic, text)

    def _call(self, topic: str, text: str | None) -> None:
        for heard in self._followers.get(topic, ()):
            try:
                heard(text)
            except Exception:
                log.exception("a hint")
