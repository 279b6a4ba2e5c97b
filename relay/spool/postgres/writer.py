"""Changes of many callers committed together, over one connection.

Whatever waits while a transaction is under way becomes the next one. Where one's work fails, all of
it is undone and done again with each behind a savepoint of its own: one that fails does not spoil
the others.

Where the connection goes, what was under way is done again at once over a new one: nothing of it
was kept, unless it went while the server committed. Then nobody knows, and only what does no harm
twice is repeated; the rest is told that it failed. While there is no connection everything new is
refused, and tried every second.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import asyncpg

from relay.spool.errors import SpoolBusy, SpoolError, SpoolFailing, SpoolFull
from relay.spool.postgres.deeds import Call, Deed, Kind
from relay.spool.postgres.faults import is_conflict, is_lost, of_the_store, spool_error
from relay.spool.postgres.server import BEGIN_DURABLE, CONNECT_SECONDS

if TYPE_CHECKING:
    from relay.spool.postgres.server import Connection, Server

T = TypeVar("T")
Work = Callable[["Connection"], Awaitable[T]]

_MOST_IN_ONE_COMMIT = 500
_MOST_BYTES = 8_000_000  # of bodies in one commit: others wait for it
_MOST_WAITING = 5000
_MOST_TRIES = 5
_MEND_SECONDS = 1.0  # between two looks at a server in trouble
_DOUBT_SECONDS = 20.0
"""For a connection to come back, where a commit's answer was lost: longer no client waits."""

_CLOSE_SECONDS = 3.0

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Job:
    work: Work[Any] | Deed
    begins: bool
    future: asyncio.Future[Any]
    again: bool = False  # it may have been done, by a commit whose answer was lost
    result: Any = None
    error: Exception | None = None

    @property
    def bytes(self) -> int:
        return self.work.bytes if isinstance(self.work, Deed) else 0

    @property
    def repeatable(self) -> bool:
        return isinstance(self.work, Deed) and self.work.repeatable

    def resolve(self) -> None:
        if self.future.cancelled():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
            return
        answer = self.result
        try:
            result = self.work.result(answer) if isinstance(self.work, Deed) else answer
        except Exception as error:  # noqa: BLE001 - of one answer; the others have theirs
            self.future.set_exception(SpoolError(f"an answer that makes no sense: {error!r}"))
        else:
            self.future.set_result(result)


class _Lost(Exception):
    """The connection went; `committing`: while the server was told to commit."""

    def __init__(self, error: Exception, committing: bool) -> None:
        super().__init__(str(error))
        self.error = error
        self.committing = committing


class Writer:
    """Runs work in transactions; `run` and `do` return once it is committed and synced."""

    def __init__(self, server: Server, connection: Connection, node: str) -> None:
        self.trouble: SpoolError | None = None
        """Why nothing new is taken at the moment."""
        self._server = server
        self._connection: Connection | None = connection
        self._node = node
        self._jobs: deque[_Job] = deque()
        self._more = asyncio.Event()
        self._closing = False
        self._task = asyncio.create_task(self._loop(), name="spool-writer")

    async def run(self, work: Work[T], *, begins: bool = False) -> T:
        """The result of `work(connection)`, durable.

        What `begins` something, a message or an attempt, is refused while the server's disk is
        full. A caller that is cancelled does not stop the commit. Raises SpoolError, or what `work`
        raised; then nothing of this work is kept, unless the error says that it is not known.
        """
        result: T = await self._ask(work, begins)
        return result

    async def do(self, deed: Deed) -> Any:
        """The deed's result, durable. Raises SpoolError."""
        return await self._ask(deed, deed.kind is not Kind.SETTLE)

    async def close(self) -> None:
        """Commit what waits, then let the connection go."""
        if self._closing:
            return
        self._closing = True
        self._more.set()
        await asyncio.wait([self._task], timeout=_CLOSE_SECONDS)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        for job in self._jobs:
            job.error = SpoolError("the spool is closed")
            job.resolve()
        self._jobs.clear()
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(Exception):
                await connection.close(timeout=1)

    async def _ask(self, work: Work[Any] | Deed, begins: bool) -> Any:
        if self._closing or self._task.done():
            raise SpoolError("the spool is closed")
        trouble = self.trouble
        if trouble is not None and (begins or not isinstance(trouble, SpoolFull)):
            raise type(trouble)(*trouble.args)
        if len(self._jobs) > _MOST_WAITING:
            raise SpoolBusy("too many commits are waiting")
        job = _Job(work, begins, asyncio.get_running_loop().create_future())
        self._jobs.append(job)
        self._more.set()
        return await job.future

    async def _loop(self) -> None:
        while True:
            if not self._jobs and self._closing:
                return
            if not self._jobs and self.trouble is None:
                self._more.clear()
                await self._more.wait()
            batch = self._next_batch()
            try:
                if batch:
                    await self._commit(batch)
            except BaseException as error:
                for job in batch:
                    job.error = SpoolError(f"the commit was broken off: {error!r}")
                raise
            finally:
                for job in batch:
                    job.resolve()
            if self.trouble is not None:
                await self._mend()

    def _next_batch(self) -> list[_Job]:
        batch: list[_Job] = []
        size = 0
        while self._jobs and len(batch) < _MOST_IN_ONE_COMMIT:
            size += self._jobs[0].bytes
            if batch and size > _MOST_BYTES:
                break
            batch.append(self._jobs.popleft())
        return batch

    async def _commit(self, batch: list[_Job]) -> None:
        """Bring all of it to an end, good or bad."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _DOUBT_SECONDS
        waiting, separately, tries = batch, False, 0
        while waiting:
            tries += 1
            try:
                await self._transact(waiting, separately)
                return
            except _Lost as lost:
                if lost.committing:
                    waiting = _still_open(waiting, lost)
                patient = loop.time() < deadline and any(job.again for job in waiting)
                # The first loss may be of a connection that stood idle for long.
                if tries > 1:
                    self.trouble = spool_error(lost.error)
                    waiting = _give_up(waiting, self.trouble, keep_doubtful=patient)
                    if waiting:
                        await asyncio.sleep(_MEND_SECONDS)
            except Exception as error:  # noqa: BLE001  whatever a caller's work raised, the caller gets
                if is_conflict(error) and tries < _MOST_TRIES:
                    continue
                if not separately and len(waiting) > 1:
                    separately = True
                    continue
                failure = spool_error(error) if of_the_store(error) else error
                self._note(failure)
                for job in waiting:
                    job.error = failure
                return

    async def _transact(self, batch: list[_Job], separately: bool) -> None:
        """One transaction. Raises _Lost, or what the work raised."""
        committing = False
        try:
            connection = await self._connected()
            await connection.execute(BEGIN_DURABLE, timeout=CONNECT_SECONDS)
            if separately:
                for job in batch:
                    await self._behind_savepoint(connection, job)
            else:
                await self._together(connection, batch)
            committing = True
            if await connection.execute("COMMIT") != "COMMIT":
                raise SpoolError("PostgreSQL rolled the transaction back")
        except BaseException as error:
            # A time-out says nothing of what the server did, and will do.
            if is_lost(error) or not isinstance(error, Exception):
                self._drop()
                if isinstance(error, Exception):
                    raise _Lost(error, committing) from error
                raise
            await self._roll_back()
            raise

    async def _together(self, connection: Connection, batch: list[_Job]) -> None:
        """All in a row, as hardly ever any fails."""
        for job in batch:
            if not isinstance(job.work, Deed):
                job.result = await job.work(connection)
        for kind in Kind:
            jobs = [job for job in batch if isinstance(job.work, Deed) and job.work.kind is kind]
            if jobs:
                asked = [(job.work, job.again) for job in jobs if isinstance(job.work, Deed)]
                answers = await Call(kind, asked, self._node).run(connection)
                for job, answer in zip(jobs, answers, strict=True):
                    job.result = answer

    async def _behind_savepoint(self, connection: Connection, job: _Job) -> None:
        """One that may fail without harm to the others. Raises what is trouble of all."""
        job.error = None
        await connection.execute("SAVEPOINT job")
        try:
            await self._together(connection, [job])
        except Exception as error:
            if is_lost(error) or is_conflict(error):
                raise
            await connection.execute("ROLLBACK TO SAVEPOINT job")
            job.error = spool_error(error) if of_the_store(error) else error
            self._note(job.error)
        await connection.execute("RELEASE SAVEPOINT job")

    def _note(self, failure: Exception) -> None:
        if isinstance(failure, (SpoolFull, SpoolFailing)):
            self.trouble = failure
            log.error("spool commit failed: %s", failure)

    async def _connected(self) -> Connection:
        if self._connection is not None and self._connection.is_closed():
            self._connection = None
        if self._connection is None:
            self._connection = await self._server.connect()
        return self._connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def _roll_back(self) -> None:
        if self._connection is None:
            return
        try:
            await self._connection.execute("ROLLBACK")
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            self._drop()

    async def _mend(self) -> None:
        """See whether the trouble has passed."""
        while self.trouble is not None and not self._jobs:
            if self._closing:
                return
            try:
                await self._try()
            except (OSError, SpoolError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                log.debug("PostgreSQL is still in trouble: %s", error)
                await asyncio.sleep(_MEND_SECONDS)
            else:
                log.warning("PostgreSQL takes mail again")
                self.trouble = None

    async def _try(self) -> None:
        """Write as much as a message needs, and take it back. Raises what is wrong."""
        connection = await self._connected()
        try:
            await connection.execute(BEGIN_DURABLE, timeout=CONNECT_SECONDS)
            statement = "INSERT INTO body (message, position, bytes, crc) VALUES (-1, 0, $1, 0)"
            await connection.execute(statement, bytes(256_000))
            await connection.execute("ROLLBACK")
        except BaseException:
            self._drop()
            raise


def _still_open(batch: list[_Job], lost: _Lost) -> list[_Job]:
    """What may be repeated though it may be done; the rest is told that nobody knows."""
    for job in batch:
        if job.repeatable:
            job.again = True
        else:
            job.error = SpoolFailing(f"PostgreSQL went while it committed: {lost.error}")
    return [job for job in batch if job.repeatable]


def _give_up(batch: list[_Job], trouble: SpoolError, *, keep_doubtful: bool) -> list[_Job]:
    """Tell who need not wait for a connection; who must is returned."""
    kept = [job for job in batch if keep_doubtful and job.again]
    for job in batch:
        if job not in kept:
            job.error = type(trouble)(*trouble.args)
    return kept
