"""The one thread that writes: transactions of many callers committed together.

Whatever waits while a commit syncs becomes the next commit, so the cost of a sync is shared by
all callers of that moment. Where one's work fails, all of it is undone and done again with each
in a savepoint of its own: one that fails does not spoil the others.

A disk that is full, or fails, is trouble of all callers. Until it has passed nothing new begins.
On a full one what is under way is still recorded, in the room that a ballast gives free. After a
failed read, write or sync the connection is not trusted any more: it is replaced, and the file
checked, before anything else is promised.
"""

import asyncio
import contextlib
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from relay.spool.errors import SpoolBusy, SpoolDamaged, SpoolError, SpoolFailing, SpoolFull
from relay.spool.sqlite.ballast import Ballast
from relay.spool.sqlite.opening import connect, prepare, prove, try_write

T = TypeVar("T")

_MOST_IN_ONE_COMMIT = 500
_MOST_WAITING = 5000
_MEND_SECONDS = 1.0  # between two looks at a disk in trouble

DISK_TROUBLE = (SpoolFull, SpoolFailing, SpoolDamaged)
"""Errors that are not of one piece of work: the disk has to be looked at first."""

_FAILING = ("SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Job:
    work: Callable[[sqlite3.Connection], Any]
    begins: bool
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

    def __init__(self, path: Path, connection: sqlite3.Connection, ballast: Ballast | None) -> None:
        self.connection = connection
        self.trouble: SpoolError | None = None
        """Why the disk takes nothing new at the moment."""
        self._path = path
        self._identity = _identity(path)
        self._ballast = ballast
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._loop, name="spool-writer", daemon=True)
        self._closed = False
        self._thread.start()

    async def run(self, work: Callable[[sqlite3.Connection], T], *, begins: bool = False) -> T:
        """The result of `work(connection)`, durable.

        What `begins` something, a message or an attempt, is refused while the disk is full; the
        rest has the ballast's room. A caller that is cancelled does not stop the commit. Raises
        SpoolError, or what `work` raised; then nothing of this work is kept.
        """
        if self._closed:
            raise SpoolError("the spool is closed")
        self._refuse_in_trouble(begins)
        if self._jobs.qsize() > _MOST_WAITING:
            raise SpoolBusy("too many commits are waiting")
        loop = asyncio.get_running_loop()
        job = _Job(work, begins, loop, loop.create_future())
        self._jobs.put(job)
        result: T = await job.future
        return result

    async def close(self) -> None:
        """Commit what waits, then end the thread."""
        if not self._closed:
            self._closed = True
            self._jobs.put(None)
            await asyncio.to_thread(self._thread.join)

    def _refuse_in_trouble(self, begins: bool) -> None:
        trouble = self.trouble
        if trouble is not None and (begins or not isinstance(trouble, SpoolFull)):
            raise type(trouble)(*trouble.args)

    def _loop(self) -> None:
        last = False
        while not last:
            batch, last = self._next_batch()
            if batch:
                self._commit(batch)
                _deliver(batch)
            if self.trouble is not None and not last:
                self._mend()

    def _next_batch(self) -> tuple[list[_Job], bool]:
        batch: list[_Job] = []
        try:
            job = self._jobs.get(timeout=None if self.trouble is None else _MEND_SECONDS)
        except queue.Empty:
            return batch, False
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
        """Commit the batch; on a full disk what ends something, if need be in the ballast's room."""
        failure = self._try(batch)
        if not isinstance(failure, SpoolFull):
            return
        ending = [job for job in batch if not job.begins]
        again: SpoolError | None = failure
        if ending and len(ending) < len(batch):
            again = self._try(ending)
        if ending and isinstance(again, SpoolFull) and self._ballast and self._ballast.free():
            self._try(ending)

    def _try(self, batch: list[_Job]) -> SpoolError | None:
        """One transaction; why it failed, or None."""
        try:
            self._insist_on_the_file()
            self.connection.execute("BEGIN IMMEDIATE")
            if not self._work_through(batch):
                self.connection.execute("ROLLBACK")
                self.connection.execute("BEGIN IMMEDIATE")
                for job in batch:
                    self._work(job)
            self.connection.execute("COMMIT")
        except (sqlite3.Error, SpoolError) as error:
            failure = spool_error(error) if isinstance(error, sqlite3.Error) else error
            log.log(
                logging.DEBUG if self.trouble else logging.ERROR,
                "spool commit failed: %s %s",
                getattr(error, "sqlite_errorname", ""),
                error,
            )
            with contextlib.suppress(sqlite3.Error):
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
            if isinstance(failure, DISK_TROUBLE):
                self.trouble = failure
            for job in batch:
                job.error = job.error or failure
            return failure
        return None

    def _work_through(self, batch: list[_Job]) -> bool:
        """All in a row, as hardly ever any fails; False where one did."""
        for job in batch:
            self._attempt(job)
            if job.error is not None:
                return False
        return True

    def _work(self, job: _Job) -> None:
        """One that may fail without harm to the others."""
        self.connection.execute("SAVEPOINT job")
        self._attempt(job)
        if job.error is not None:
            self.connection.execute("ROLLBACK TO job")
        self.connection.execute("RELEASE job")

    def _attempt(self, job: _Job) -> None:
        """Result or error of one; raises SpoolError where the whole transaction is in doubt."""
        job.error = None
        try:
            job.result = job.work(self.connection)
        except Exception as error:
            failure = spool_error(error) if isinstance(error, sqlite3.Error) else error
            if isinstance(failure, DISK_TROUBLE) or not self.connection.in_transaction:
                raise (
                    failure if isinstance(failure, SpoolError) else SpoolError(str(error))
                ) from error
            job.error = failure

    def _insist_on_the_file(self) -> None:
        """SQLite would go on writing into a file that somebody deleted or replaced."""
        if _identity(self._path) != self._identity:
            raise SpoolFailing(f"{self._path} was moved, deleted or replaced")

    def _mend(self) -> None:
        """See whether the trouble has passed."""
        try:
            if isinstance(self.trouble, SpoolFull):
                self._mend_full(self.trouble)
            else:
                self._replace_connection()
        except (sqlite3.Error, SpoolError, OSError) as error:
            log.debug("the spool's disk is still in trouble: %s", error)
        else:
            log.warning("the spool's disk works again")
            self.trouble = None

    def _mend_full(self, trouble: SpoolFull) -> None:
        self.connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        if self._ballast is not None and not self._ballast.make():
            raise trouble
        try_write(self.connection)

    def _replace_connection(self) -> None:
        self._insist_on_the_file()
        with contextlib.suppress(sqlite3.Error):
            self.connection.close()
        connection = connect(self._path, make=False)
        try:
            prove(connection)
            prepare(connection)
        except BaseException:
            connection.close()
            raise
        self.connection = connection


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        about = path.stat()
    except OSError:
        return None
    return about.st_dev, about.st_ino


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
    text, name = str(error), getattr(error, "sqlite_errorname", "")
    # The WAL's index could not grow: it stands on the same disk.
    if name in ("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE"):
        return SpoolFull(text)
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return SpoolDamaged(text)
    if name.startswith(_FAILING):
        return SpoolFailing(text)
    return SpoolError(text)
