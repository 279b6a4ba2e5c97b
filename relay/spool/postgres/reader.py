"""Reading beside the writers: each query sees one moment, and can change nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import asyncpg

from relay.spool.errors import SpoolFailing
from relay.spool.postgres.faults import is_lost, of_the_store, spool_error
from relay.spool.postgres.server import reading, verify

if TYPE_CHECKING:
    from relay.spool.postgres.server import Connection, Server

T = TypeVar("T")
Query = Callable[["Connection"], Awaitable[T]]

_MOST_CONNECTIONS = 3  # one of them for what operators ask
_WAIT_SECONDS = 5.0


class Reader:
    """Runs read-only queries over a few connections, which come back by themselves."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._pool: asyncpg.Pool[Any] | None = None
        self._opening = asyncio.Lock()
        self._survey = asyncio.Semaphore(1)

    async def run(self, query: Query[T]) -> T:
        """The result of `query(connection)`. Raises SpoolError."""
        try:
            return await self._read(query)
        except Exception as error:
            # A connection may have gone while it stood idle.
            if not is_lost(error):
                raise _told(error) from error
        try:
            return await self._read(query)
        except Exception as error:
            raise _told(error) from error

    async def survey(self, query: Query[T]) -> T:
        """As `run`, for a query over the whole queue: one at a time."""
        async with self._survey:
            return await self.run(query)

    async def close(self) -> None:
        """Let the connections go."""
        if self._pool is not None:
            self._pool.terminate()

    async def _read(self, query: Query[T]) -> T:
        pool = await self._opened()
        try:
            connection = await pool.acquire(timeout=_WAIT_SECONDS)
        except TimeoutError:
            raise SpoolFailing("PostgreSQL gave no connection in time") from None
        try:
            async with reading(connection):
                return await query(connection)
        finally:
            await pool.release(connection, timeout=1)

    async def _opened(self) -> asyncpg.Pool[Any]:
        async with self._opening:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    **self._server.arguments(),
                    min_size=0,
                    max_size=_MOST_CONNECTIONS,
                    init=verify,
                    reset=_as_it_is,
                )
            return self._pool


def _told(error: Exception) -> Exception:
    return spool_error(error) if of_the_store(error) else error


async def _as_it_is(connection: object) -> None:
    """A transaction leaves nothing behind, and a pooler may give the reset to another session."""
