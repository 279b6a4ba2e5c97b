"""Short transactions over a connection of their own, beside the writer's: what nodes share must not
wait for mail to be committed, nor hold up its commit.

What is asked while one transaction is under way becomes the next one, in order of `key`: rows are
locked in the same order by every node, so that none waits for another in a circle.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from relay.spool.errors import SpoolError
from relay.spool.postgres.faults import is_conflict, spool_error
from relay.spool.postgres.server import BEGIN_DURABLE

if TYPE_CHECKING:
    from relay.spool.postgres.server import Connection, Server

T = TypeVar("T")
Work = Callable[["Connection"], Awaitable[T]]

log = logging.getLogger(__name__)

_MOST_IN_ONE_COMMIT = 50
_MOST_TRIES = 5


@dataclass(slots=True)
class _Job:
    key: tuple[str, ...]
    work: Work[Any]
    future: asyncio.Future[Any]
    result: Any = None


class ShortTransactions:
    """Runs work in transactions, each committed when `run` returns. Connects when first asked."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._connection: Connection | None = None
        self._jobs: list[_Job] = []
        self._more = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    async def run(self, key: tuple[str, ...], work: Work[T]) -> T:
        """The result of `work(connection)`, which locks what `key` names. It may be run more than
        once, but is kept once. Raises SpoolError: nobody knows whether it was kept."""
        if self._closed:
            raise SpoolError("the spool is closed")
        if self._task is None:
            self._task = asyncio.create_task(self._loop(), name="spool-short-transactions")
        job = _Job(key, work, asyncio.get_running_loop().create_future())
        self._jobs.append(job)
        self._more.set()
        result: T = await job.future
        return result

    async def close(self) -> None:
        """Break off what is under way, and let the connection go."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        _tell(self._jobs, SpoolError("the spool is closed"))
        self._jobs.clear()
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(Exception):
                await connection.close(timeout=1)

    async def _loop(self) -> None:
        while True:
            while not self._jobs:
                self._more.clear()
                await self._more.wait()
            self._jobs.sort(key=lambda job: job.key)
            batch, self._jobs = self._jobs[:_MOST_IN_ONE_COMMIT], self._jobs[_MOST_IN_ONE_COMMIT:]
            try:
                await self._commit(batch)
            except BaseException as error:
                _tell(batch, error if isinstance(error, SpoolError) else spool_error(error))
                self._drop()
                if not isinstance(error, Exception):
                    raise

    async def _commit(self, batch: list[_Job]) -> None:
        for again in reversed(range(_MOST_TRIES)):
            try:
                await self._transact(batch)
            except Exception as error:
                if not again or not is_conflict(error):
                    raise
                continue
            break
        for job in batch:
            if not job.future.done():
                job.future.set_result(job.result)

    async def _transact(self, batch: list[_Job]) -> None:
        connection = await self._connected()
        try:
            await connection.execute(BEGIN_DURABLE)
            for job in batch:
                job.result = await job.work(connection)
            await connection.execute("COMMIT")
        except Exception:
            # Harmless where it has not begun; a connection that cannot is of no use.
            try:
                await connection.execute("ROLLBACK")
            except Exception:  # noqa: BLE001 - the first error tells more
                self._drop()
            raise

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.is_closed():
            self._connection = await self._server.connect()
        return self._connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()


def _tell(batch: list[_Job], error: Exception) -> None:
    for job in batch:
        if not job.future.done():
            job.future.set_exception(error)
