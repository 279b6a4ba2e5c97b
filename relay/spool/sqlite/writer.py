"""The one thread that writes: transactions of many callers committed together.

Whatever waits while a commit syncs becomes the next commit, so the cost of a sync is shared by
all callers of that moment. Each caller's work stands in a savepoint of its own: one that fails
does not spoil the others.
"""

import asyncio
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from relay.spool.errors import SpoolBusy, SpoolDamaged, SpoolError, SpoolFull

T = TypeVar("T")

_MOST_IN_ONE_COMMIT = 500
_MOST_WAITING = 5000

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Job:
    work: Callable[[sqlite3.Connection], Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None

    def resolve(self) -> None:
        if self.future.cancelled():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class Writer:
    """Runs work on the writing connection; `run` returns once it is committed and synced."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._loop, name="spool-writer", daemon=True)
        self._thread.start()
        self._closed = False

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """The result of `work(connection)`, durable.

        A caller that is cancelled does not stop the commit. Raises SpoolError, or what `work`
        raised; then nothing of this work is kept.
        """
        if self._closed:
            raise SpoolError("the spool is closed")
        if self._jobs.qsize() > _MOST_WAITING:
            raise SpoolBusy("too many commits are waiting")
        loop = asyncio.get_running_loop()
        job = _Job(work, loop, loop.create_future())
        self._jobs.put(job)
        result: T = await job.future
        return result

    async def close(self) -> None:
        """Commit what waits, then end the thread."""
        if not self._closed:
            self._closed = True
            self._jobs.put(None)
            await asyncio.to_thread(self._thread.join)

    def _loop(self) -> None:
        while True:
            batch, last = self._next_batch()
            if batch:
                self._commit(batch)
                _deliver(batch)
            if last:
                return

    def _next_batch(self) -> tuple[list[_Job], bool]:
        batch: list[_Job] = []
        job = self._jobs.get()
        while job is not None:
            batch.append(job)
            if len(batch) >= _MOST_IN_ONE_COMMIT:
                return batch, False
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return batch, False
        return batch, True

    def _commit(self, batch: list[_Job]) -> None:
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            for job in batch:
                self._work(job)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            log.exception("spool commit failed")
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            failure = spool_error(error)
            for job in batch:
                job.error = job.error or failure

    def _work(self, job: _Job) -> None:
        connection = self._connection
        connection.execute("SAVEPOINT job")
        try:
            job.result = job.work(connection)
        except Exception as error:
            if not connection.in_transaction:
                # SQLite gave up the whole transaction (disk full, I/O error), not only this job.
                raise sqlite3.OperationalError(str(error)) from error
            connection.execute("ROLLBACK TO job")
            job.error = spool_error(error) if isinstance(error, sqlite3.Error) else error
        connection.execute("RELEASE job")


def _deliver(batch: list[_Job]) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
    for job in batch:
        by_loop.setdefault(job.loop, []).append(job)
    for loop, jobs in by_loop.items():

        def resolve(jobs: list[_Job] = jobs) -> None:
            for job in jobs:
                job.resolve()

        try:
            loop.call_soon_threadsafe(resolve)
        except RuntimeError:  # the loop has ended, and with it whoever waited
            log.debug("a commit's caller is gone")


def spool_error(error: sqlite3.Error) -> SpoolError:
    """SQLite's error in the spool's words."""
    text = str(error)
    if getattr(error, "sqlite_errorname", "") == "SQLITE_FULL" or "full" in text:
        return SpoolFull(text)
    if isinstance(error, sqlite3.DatabaseError) and (
        "malformed" in text or "not a database" in text
    ):
        return SpoolDamaged(text)
    return SpoolError(text)
