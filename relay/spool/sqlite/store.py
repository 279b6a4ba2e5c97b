"""The spool of a single machine: one SQLite file, one process, one writing connection.

SQLite before 3.51.3 can corrupt a WAL database when two connections write or checkpoint at the
same moment. Here only one connection ever does either; readers are opened read-only. A lock file
keeps a second process out.
"""

import asyncio
import logging
import shutil
import sqlite3
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from relay.clock import utc_now
from relay.config.secret import SecretRef
from relay.spool.errors import SpoolDamaged, SpoolError, SpoolFailing
from relay.spool.lock import SpoolLock
from relay.spool.protocol import Vault
from relay.spool.sqlite.aside import put_in_place
from relay.spool.sqlite.ballast import Ballast
from relay.spool.sqlite.claim import recover
from relay.spool.sqlite.ledger import SqliteLedger
from relay.spool.sqlite.opening import CHECK_SECONDS, connect, migrate, prepare, refuse_damaged
from relay.spool.sqlite.queue import SqliteQueue
from relay.spool.sqlite.reader import Reader
from relay.spool.sqlite.salvage import Salvage, salvage
from relay.spool.sqlite.vault import prepare_vault
from relay.spool.sqlite.writer import Writer, spool_error

log = logging.getLogger(__name__)


class SqliteSpool:
    """A store in one file. Open it with `open_spool`."""

    def __init__(
        self,
        path: Path,
        lock: SpoolLock,
        connection: sqlite3.Connection,
        clock: Callable[[], datetime],
        secret_key: SecretRef | None = None,
    ) -> None:
        """Raises sqlite3.Error."""
        vault = prepare_vault(connection, path, secret_key, clock)
        self.path = path
        self.salvaged: Salvage | None = None
        """How a damaged file was dealt with when this spool was opened."""
        self._lock = lock
        self._ballast = Ballast(path)
        self._writer = Writer(path, connection, self._ballast)
        self._reader = Reader(path)
        self.queue = SqliteQueue(self._writer, self._reader, clock)
        self.ledger = SqliteLedger(self._writer, self._reader)
        self.vault: Vault = vault(self._writer, self._reader)

    @property
    def trouble(self) -> SpoolError | None:
        """Why the disk takes nothing new at the moment; None while it works."""
        return self._writer.trouble

    @property
    def _connection(self) -> sqlite3.Connection:
        return self._writer.connection

    def keep_room(self) -> None:
        """Have some room on the disk, so that a full one can still record outcomes."""
        self._ballast.make()

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


def open_spool(
    path: Path,
    clock: Callable[[], datetime] = utc_now,
    secret_key: SecretRef | None = None,
    *,
    serving: bool = False,
) -> SqliteSpool:
    """Open, and if need be make or migrate, the spool in `path`.

    With `secret_key` tokens are kept in the store, sealed, else in a file beside it. What is wrong
    with them is told by the vault, to who needs them. `serving` is for the service: the file is
    checked, for `CHECK_SECONDS` at most, and rebuilt where it is damaged (see `salvaged`), and
    some room on the disk is kept aside; where the disk is full, what was kept is used.

    On return all leases are void, attempts of a process that died are marked in doubt, and
    bodies that were never accepted are gone. Raises SpoolInUse, SpoolTooNew, SpoolDamaged, or
    OSError if the directory cannot be used.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = SpoolLock(path.with_name(path.name + ".lock"))
    lock.acquire()
    try:
        if serving:
            Ballast(path).free_if_full()
        connection, salvaged = _open(path, clock(), serving=serving)
        try:
            spool = SqliteSpool(path, lock, connection, clock, secret_key)
        except BaseException:
            connection.close()
            raise
        spool.salvaged = salvaged
        if serving:
            spool.keep_room()
        return spool
    except sqlite3.Error as error:
        lock.release()
        raise _opening_error(path, error) from error
    except BaseException:
        lock.release()
        raise


def _open(path: Path, now: datetime, *, serving: bool) -> tuple[sqlite3.Connection, Salvage | None]:
    """The writing connection, its schema up to date, and how a damaged file was dealt with."""
    put_in_place(path, "damaged", now)  # where a start was interrupted
    try:
        return _prepare(path, now, check=serving), None
    except (sqlite3.Error, SpoolDamaged) as error:
        if not serving or not _is_damage(error):
            raise
        salvaged = salvage(path, str(error), now)
    return _prepare(path, now, check=False), salvaged


def _prepare(path: Path, now: datetime, *, check: bool) -> sqlite3.Connection:
    connection = connect(path)
    try:
        if check and not refuse_damaged(connection, CHECK_SECONDS):
            log.warning("the spool is too large to be checked as a whole: relay spool check does")
        migrate(connection)
        prepare(connection)
        recover(connection, now)
    except BaseException:
        connection.close()
        raise
    return connection


def _is_damage(error: Exception) -> bool:
    found = spool_error(error) if isinstance(error, sqlite3.Error) else error
    return isinstance(found, SpoolDamaged)


def _opening_error(path: Path, error: sqlite3.Error) -> Exception:
    converted = spool_error(error)
    if isinstance(converted, SpoolFailing) and "I/O" not in str(error):
        return PermissionError(f"{path}: {error}")
    return SpoolDamaged(f"{path}: {error}") if type(converted) is SpoolDamaged else converted
