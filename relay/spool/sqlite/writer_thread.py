"""A thread that writes: for commands, which have little to write, and where a process cannot be
started with a socket."""

import asyncio
import logging
import queue
import sqlite3
import threading
from dataclasses import dataclass
from typing import Any, TypeVar

from relay.spool.errors import SpoolError
from relay.spool.sqlite.commit import MEND_SECONDS, MOST_IN_ONE_COMMIT, Committer, Work
from relay.spool.sqlite.writer import Deed, insist_on_room

T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Job:
    work: Work
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]

    def resolve(self) -> None:
        if self.future.cancelled():
            return
        if self.work.error is not None:
            self.future.set_exception(self.work.error)
        else:
            self.future.set_result(self.work.result)


class ThreadWriter:
    """See `relay.spool.sqlite.writer.Writer`; may be asked from several loops."""

    def __init__(self, committer: Committer) -> None:
        self._committer = committer
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._loop, name="spool-writer", daemon=True)
        self._closed = False
        self._thread.start()

    @property
    def trouble(self) -> SpoolError | None:
        return self._committer.trouble

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection that writes."""
        return self._committer.connection

    async def run(self, deed: Deed[T], *values: object, begins: bool = False) -> T:
        if self._closed:
            raise SpoolError("the spool is closed")
        insist_on_room(self.trouble, self._jobs.qsize(), begins=begins)
        loop = asyncio.get_running_loop()
        job = _Job(Work(deed, values, begins), loop, loop.create_future())
        self._jobs.put(job)
        result: T = await job.future
        return result

    async def gone(self) -> None:
        await asyncio.get_running_loop().create_future()

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._jobs.put(None)
            await asyncio.to_thread(self._thread.join)
            await asyncio.to_thread(self.connection.close)

    def _loop(self) -> None:
        last = False
        while not last:
            batch, last = self._next_batch()
            if batch:
                self._committer.commit([job.work for job in batch])
                _deliver(batch)
            if self._committer.trouble is not None and not last:
                self._committer.mend()

    def _next_batch(self) -> tuple[list[_Job], bool]:
        batch: list[_Job] = []
        try:
            job = self._jobs.get(timeout=None if self.trouble is None else MEND_SECONDS)
        except queue.Empty:
            return batch, False
        while job is not None:
            batch.append(job)
            if len(batch) >= MOST_IN_ONE_COMMIT:
                return batch, False
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return batch, False
        return batch, True


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
