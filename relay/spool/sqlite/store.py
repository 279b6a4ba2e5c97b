"""The spool of a single machine: one SQLite file, one relay, one writing connection.

While the relay runs, a process of its own has the writing connection. SQLite before 3.51.3 can
corrupt a WAL database when two connections write or checkpoint at the same moment. Here only one
connection ever does either; readers are opened read-only. A lock file keeps a second relay out.
"""

import asyncio
import logging
import shutil
import sqlite3
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from relay.clock import utc_now
from relay.config.secret import SecretRef
from relay.spool.alone import ALONE
from relay.spool.errors import SpoolDamaged, SpoolError, SpoolFailing
from relay.spool.lock import SpoolLock
from relay.spool.protocol import Vault
from relay.spool.sqlite.aside import put_in_place
from relay.spool.sqlite.ballast import Ballast
from relay.spool.sqlite.claim import recover
from relay.spool.sqlite.commit import Committer, spool_error
from relay.spool.sqlite.ledger import SqliteLedger
from relay.spool.sqlite.opening import CHECK_SECONDS, connect, prepare, refuse_damaged
from relay.spool.sqlite.queue import SqliteQueue
from relay.spool.sqlite.reader import Reader
from relay.spool.sqlite.salvage import Salvage, salvage
from relay.spool.sqlite.upgrade import upgrade
from relay.spool.sqlite.vault import prepare_vault
from relay.spool.sqlite.writer import Writer
from relay.spool.sqlite.writer_process import ProcessWriter
from relay.spool.sqlite.writer_thread import ThreadWriter

_LOCK_SECONDS = 5.0
"""For the end of a relay that was killed: its process that writes may have to end a commit."""

log = logging.getLogger(__name__)


class SqliteSpool:
    """A store in one file. Open it with `open_spool`."""

    shares = nodes = ALONE

    def __init__(
        self,
        path: Path,
        lock: SpoolLock,
        writer: Writer,
        vault: Callable[[Writer, Reader], Vault],
        clock: Callable[[], datetime],
    ) -> None:
        self.path = path
        self.salvaged: Salvage | None = None
        """How a damaged file was dealt with when this spool was opened."""
        self._lock = lock
        self._writer = writer
        self._reader = Reader(path)
        self.queue = SqliteQueue(writer, self._reader, clock)
        self.ledger = SqliteLedger(writer, self._reader)
        self.vault: Vault = vault(writer, self._reader)

    @property
    def trouble(self) -> SpoolError | None:
        """Why the disk takes nothing new at the moment; None while it works."""
        return self._writer.trouble

    async def gone(self) -> None:
        """Returns when the store can never be written again by this relay."""
        await self._writer.gone()

    def free_bytes(self) -> int | None:
        """Bytes free for new mail on the file system of the spool; None if it cannot be told."""
        try:
            return shutil.disk_usage(self.path.parent).free
        except OSError:
            return None

    async def close(self) -> None:
        """Commit what waits, write the WAL back into the file, and give the lock back."""
        await asyncio.to_thread(self._reader.close)  # who closes last writes the log back
        await self._writer.close()
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
    lock.acquire(_LOCK_SECONDS if serving else 0)
    try:
        if serving:
            Ballast(path).free_if_full()
        connection, salvaged = _open(path, clock(), serving=serving)
        try:
            vault = prepare_vault(connection, path, secret_key, clock)
            writer = _writer(path, lock, connection, serving=serving)
        except BaseException:
            connection.close()
            raise
        spool = SqliteSpool(path, lock, writer, vault, clock)
        spool.salvaged = salvaged
        if serving:
            Ballast(path).make()
        return spool
    except sqlite3.Error as error:
        lock.release()
        raise _opening_error(path, error) from error
    except BaseException:
        lock.release()
        raise


def _writer(
    path: Path, lock: SpoolLock, connection: sqlite3.Connection, *, serving: bool
) -> Writer:
    """In a process for the service, where the system hands sockets to one; else in a thread."""
    if serving and sys.platform != "win32":
        connection.close()
        return ProcessWriter(path, lock.descriptor)
    return ThreadWriter(Committer(path, connection, Ballast(path)))


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
        upgrade(connection, path)
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
