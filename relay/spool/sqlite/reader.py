"""Reading beside the writer: connections that can change nothing."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from relay.spool.errors import SpoolBusy, SpoolDamaged
from relay.spool.sqlite.commit import spool_error

T = TypeVar("T")

_READERS = 2  # for mail under way


class Reader:
    """Runs read-only queries in threads, each with a connection of its own.

    What operators ask has a thread of its own: however many long listings are asked for, delivery
    does not wait for one to read a body.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._pool = ThreadPoolExecutor(
            _READERS, thread_name_prefix="spool-reader", initializer=self._connect
        )
        self._survey_pool = ThreadPoolExecutor(
            1, thread_name_prefix="spool-survey", initializer=self._connect
        )

    def _open(self) -> sqlite3.Connection:
        uri = f"{self._path.absolute().as_uri()}?mode=ro"
        return sqlite3.connect(
            uri, uri=True, isolation_level=None, check_same_thread=False, timeout=5
        )

    def _connect(self) -> None:
        connection = self._open()
        connection.execute("PRAGMA query_only=ON")
        self._local.connection = connection
        self._connections.append(connection)

    def _run(self, query: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return query(self._local.connection)
        except sqlite3.Error as error:
            raise spool_error(error) from error

    async def run(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """The result of `query(connection)`; raises SpoolError."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._run, query)

    async def survey(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """As `run`, for a query over the whole queue: one at a time."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._survey_pool, self._run, query)

    def close(self) -> None:
        """Wait for running queries and close the connections."""
        self._pool.shutdown()
        self._survey_pool.shutdown(cancel_futures=True)
        for connection in self._connections:
            connection.close()


def open_unwritten(path: Path) -> sqlite3.Connection:
    """The file of a relay that does not run, opened so that not a byte of it or beside it changes.

    Raises sqlite3.Error. The lock is not taken: what is read may be older than what a relay that
    starts meanwhile does, and torn where it writes into the file (see `unwritten_meanwhile`).
    """
    # Without a log of unfinished writes the file is whole, and SQLite need not make one.
    whole = "" if _has_log(path) else "&immutable=1"
    uri = f"{path.absolute().as_uri()}?mode=ro{whole}"
    return sqlite3.connect(uri, uri=True, check_same_thread=False, timeout=5)


@contextmanager
def unwritten_meanwhile(path: Path) -> Iterator[None]:
    """Around reading by `open_unwritten` that takes long. Raises SpoolBusy: it was all for nothing,
    as a relay has started and written into the file, which was read without any locks."""
    before = None if _has_log(path) else _last_write(path)
    torn: Exception | None = None
    try:
        yield
    except (sqlite3.Error, SpoolDamaged) as error:
        torn = error
    if before is not None and _last_write(path) != before:
        raise SpoolBusy("the relay has started meanwhile; do it again") from torn
    if torn is not None:
        raise torn


def _has_log(path: Path) -> bool:
    return path.with_name(f"{path.name}-wal").exists()


def _last_write(path: Path) -> tuple[int, int, int]:
    about = path.stat()
    return about.st_ino, about.st_size, about.st_mtime_ns
