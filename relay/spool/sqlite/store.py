"""The spool of a single machine: one SQLite file, one process, one writing connection.

SQLite before 3.51.3 can corrupt a WAL database when two connections write or checkpoint at the
same moment. Here only one connection ever does either; readers are opened read-only. A lock file
keeps a second process out.
"""

import asyncio
import contextlib
import os
import shutil
import sqlite3
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from relay.clock import utc_now
from relay.spool.errors import SpoolDamaged, SpoolError, SpoolTooNew
from relay.spool.lock import SpoolLock
from relay.spool.sqlite.claim import recover
from relay.spool.sqlite.ledger import SqliteLedger
from relay.spool.sqlite.queue import SqliteQueue
from relay.spool.sqlite.reader import Reader
from relay.spool.sqlite.sql import migrations
from relay.spool.sqlite.writer import Writer, spool_error

_PAGES_BETWEEN_CHECKPOINTS = 4000  # of 4 kB: 16 MB of WAL
_WAL_KEPT_BYTES = 64_000_000


class SqliteSpool:
    """A store in one file. Open it with `open_spool`."""

    def __init__(
        self,
        path: Path,
        lock: SpoolLock,
        connection: sqlite3.Connection,
        clock: Callable[[], datetime],
    ) -> None:
        self.path = path
        self._lock = lock
        self._connection = connection
        self._writer = Writer(connection)
        self._reader = Reader(path)
        self.queue = SqliteQueue(self._writer, self._reader, clock)
        self.ledger = SqliteLedger(self._writer, self._reader)

    def free_bytes(self) -> int | None:
        """Bytes free for new mail on the file system of the spool; None if it cannot be told."""
        try:
            return shutil.disk_usage(self.path.parent).free
        except OSError:
            return None

    async def close(self) -> None:
        """Commit what waits, write the WAL back into the file, and give the lock back."""
        await self._writer.close()
        await asyncio.to_thread(self._reader.close)
        await asyncio.to_thread(self._connection.close)
        self._lock.release()


def open_spool(path: Path, clock: Callable[[], datetime] = utc_now) -> SqliteSpool:
    """Open, and if need be make or migrate, the spool in `path`.

    On return all leases are void, attempts of a process that died are marked in doubt, and
    bodies that were never accepted are gone. Raises SpoolInUse, SpoolTooNew, SpoolDamaged, or
    OSError if the directory cannot be used.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = SpoolLock(path.with_name(path.name + ".lock"))
    lock.acquire()
    try:
        connection = _connect(path)
        try:
            _migrate(connection)
            recover(connection, clock())
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        lock.release()
        raise _opening_error(path, error) from error
    except BaseException:
        lock.release()
        raise
    return SqliteSpool(path, lock, connection, clock)


def _connect(path: Path) -> sqlite3.Connection:
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
    try:
        _set(connection, "journal_mode", "WAL", "wal")
        # FULL syncs the WAL at each commit; NORMAL could lose the last ones when power fails.
        _set(connection, "synchronous", "FULL", 2)
        _set(connection, "wal_autocheckpoint", _PAGES_BETWEEN_CHECKPOINTS)
        _set(connection, "journal_size_limit", _WAL_KEPT_BYTES)
    except BaseException:
        connection.close()
        raise
    return connection


def _set(
    connection: sqlite3.Connection, pragma: str, value: str | int, read: object = None
) -> None:
    connection.execute(f"PRAGMA {pragma}={value}")
    found = connection.execute(f"PRAGMA {pragma}").fetchone()[0]
    if found != (value if read is None else read):
        raise SpoolError(f"SQLite keeps {pragma}={found} instead of {value}")


def _migrate(connection: sqlite3.Connection) -> None:
    """Bring the schema up to date, each step in one transaction with its version number."""
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    scripts = migrations()
    if found > len(scripts):
        raise SpoolTooNew(found, len(scripts))
    for version, script in enumerate(scripts[found:], start=found + 1):
        connection.executescript(f"BEGIN;\n{script}\nPRAGMA user_version={version};\nCOMMIT;")


def _opening_error(path: Path, error: sqlite3.Error) -> Exception:
    if "unable to open" in str(error) or "readonly" in str(error):
        return PermissionError(f"{path}: {error}")
    converted = spool_error(error)
    return SpoolDamaged(f"{path}: {error}") if type(converted) is SpoolDamaged else converted
