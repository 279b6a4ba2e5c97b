"""The spool of several machines: one PostgreSQL database, any number of nodes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection
from datetime import datetime
from typing import TYPE_CHECKING

from relay.config.secret import SecretRef
from relay.spool.errors import SpoolError
from relay.spool.node import node_name
from relay.spool.postgres.faults import spool_error
from relay.spool.postgres.hints import Hints
from relay.spool.postgres.leases import Leases
from relay.spool.postgres.ledger import PostgresLedger
from relay.spool.postgres.migrate import migrate, refuse_newer, schema_of
from relay.spool.postgres.nodes import CHANGE, PostgresNodes
from relay.spool.postgres.queue import PostgresQueue, Writers
from relay.spool.postgres.reader import Reader
from relay.spool.postgres.server import Server
from relay.spool.postgres.shares import PostgresShares
from relay.spool.postgres.short_transactions import ShortTransactions
from relay.spool.postgres.sql import statements
from relay.spool.postgres.vault import PostgresVault
from relay.spool.postgres.writer import Writer
from relay.spool.protocol import Vault

if TYPE_CHECKING:
    from relay.spool.postgres.server import Connection

SQL = statements("queue.sql")

MAIL = "mail"
"""The topic of lanes that got something to do."""

_ORPHANED_MICROS = 24 * 3600 * 1_000_000  # no DATA takes a day


class PostgresSpool:
    """A store that other nodes may have open too. Open it with `open_spool`."""

    def __init__(
        self,
        server: Server,
        connections: tuple[Connection, Connection],
        clock: Callable[[], datetime],
        secret_key: SecretRef | None,
        node: str,
    ) -> None:
        self.node = node
        self.server = server
        self.reader = Reader(server)
        """For tables of others."""
        self.writers = Writers(*(Writer(server, each, node) for each in connections))
        self.hints = Hints(server, node)
        self.leases = Leases(self.writers.delivery, node, clock, self._freed)
        self.queue = PostgresQueue(self.writers, self.reader, self.leases, clock, self._tell)
        self.ledger = PostgresLedger(self.writers.delivery, self.reader)
        self.vault: Vault = PostgresVault(self.writers.delivery, self.reader, secret_key, clock)
        self._short = ShortTransactions(server)
        self.shares = PostgresShares(self._short, node)
        self.nodes = PostgresNodes(self._short, self.shares, node)
        self.hints.follow(CHANGE, self.nodes.hint)
        self._tasks: list[asyncio.Task[None]] = []
        self.hints.follow(MAIL, self._heard)

    @property
    def trouble(self) -> SpoolError | None:
        """Why nothing new is taken at the moment; None while all works."""
        return self.writers.intake.trouble or self.writers.delivery.trouble

    def free_bytes(self) -> int | None:
        """The server does not tell how much room its disk has."""
        return None

    def serve(self) -> None:
        """Take part: leases are kept alive, those of dead nodes ended, and other nodes heard."""
        if not self._tasks:
            self._tasks = [
                asyncio.create_task(self.leases.run(), name="leases"),
                asyncio.create_task(self.hints.run(), name="hints"),
            ]

    async def gone(self) -> None:
        """Never returns: a lost server is dialled again."""
        await asyncio.get_running_loop().create_future()

    async def close(self) -> None:
        """Let pending commits end, and all connections go."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.shares.close()
        await self._short.close()
        await self.writers.intake.close()
        await self.writers.delivery.close()
        await self.reader.close()

    def _tell(self, lanes: Collection[str]) -> None:
        for lane in lanes:
            self.hints.tell(MAIL, lane)

    def _heard(self, lane: str | None) -> None:
        self._freed(None if lane is None else (lane,))

    def _freed(self, lanes: Collection[str] | None) -> None:
        self.nodes.mail(lanes)


async def open_store(
    server: Server,
    clock: Callable[[], datetime],
    secret_key: SecretRef | None,
    *,
    serving: bool,
    node: str | None = None,
) -> PostgresSpool:
    """See `relay.spool.postgres.open_spool`."""
    connections: list[Connection] = []
    try:
        connections.append(await server.connect())
        await migrate(connections[0])
        connections.append(await server.connect())
    except BaseException as error:
        for each in connections:
            each.terminate()
        if isinstance(error, Exception) and not isinstance(error, SpoolError):
            raise spool_error(error) from error
        raise
    intake, delivery = connections
    name = node or node_name()
    spool = PostgresSpool(server, (intake, delivery), clock, secret_key, name)
    if serving:
        try:
            await spool.leases.expire()
            await sweep(spool, clock())
        except BaseException:
            await spool.close()
            raise
        spool.serve()
    return spool


async def sweep(spool: PostgresSpool, now: datetime) -> None:
    """Forget the bytes of messages whose DATA was interrupted."""
    oldest = (int(now.timestamp() * 1_000_000) - _ORPHANED_MICROS) // 1000 << 21

    async def sweep(connection: Connection) -> None:
        await connection.execute(SQL["sweep_bodies"], oldest)

    with contextlib.suppress(SpoolError):
        await spool.writers.intake.run(sweep)


async def schema_at(server: Server) -> int:
    """See `relay.spool.postgres.examine`."""
    try:
        connection = await server.connect()
        try:
            found = await schema_of(connection)
        finally:
            connection.terminate()
    except Exception as error:
        raise spool_error(error) from error
    refuse_newer(found)
    return max((int(name[:4]) for name in found), default=0)
