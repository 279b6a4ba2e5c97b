"""Transactions of many callers committed together, on the one connection that writes.

Where one's work fails, all of it is undone and done again with each in a savepoint of its own:
one that fails does not spoil the others.

A disk that is full, or fails, is trouble of all callers. Until it has passed nothing new begins.
On a full one what is under way is still recorded, in the room that a ballast gives free. After a
failed read, write or sync the connection is not trusted any more: it is replaced, and the file
checked, before anything else is promised.
"""

import contextlib
import logging
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relay.spool.errors import SpoolDamaged, SpoolError, SpoolFailing, SpoolFull
from relay.spool.sqlite.ballast import Ballast
from relay.spool.sqlite.opening import connect, prepare, prove, try_write

MOST_IN_ONE_COMMIT = 500
MEND_SECONDS = 1.0
"""Between two looks at a disk in trouble."""

DISK_TROUBLE = (SpoolFull, SpoolFailing, SpoolDamaged)
"""Errors that are not of one piece of work: the disk has to be looked at first."""

_FAILING = ("SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Work:
    """`deed(connection, *values)`, and what came of it. What `begins` something, a message or an
    attempt, has to leave the ballast's room to the rest."""

    deed: Callable[..., Any]
    values: tuple[Any, ...]
    begins: bool
    result: Any = None
    error: BaseException | None = None


class Committer:
    """The writing connection. Not for two threads at once."""

    def __init__(self, path: Path, connection: sqlite3.Connection, ballast: Ballast | None) -> None:
        self.connection = connection
        self.trouble: SpoolError | None = None
        """Why the disk takes nothing new at the moment."""
        self._path = path
        self._identity = _identity(path)
        self._ballast = ballast

    def commit(self, batch: Sequence[Work]) -> None:
        """Do all of it, synced on return; each has its result or its error.

        On a full disk what ends something is done if need be in the ballast's room.
        """
        failure = self._try(batch)
        if not isinstance(failure, SpoolFull):
            return
        ending = [work for work in batch if not work.begins]
        again: SpoolError | None = failure
        if ending and len(ending) < len(batch):
            again = self._try(ending)
        if ending and isinstance(again, SpoolFull) and self._ballast and self._ballast.free():
            self._try(ending)

    def mend(self) -> None:
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

    def _try(self, batch: Sequence[Work]) -> SpoolError | None:
        """One transaction; why it failed, or None."""
        try:
            self._insist_on_the_file()
            self.connection.execute("BEGIN IMMEDIATE")
            if not self._work_through(batch):
                self.connection.execute("ROLLBACK")
                self.connection.execute("BEGIN IMMEDIATE")
                for work in batch:
                    self._in_savepoint(work)
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
            for work in batch:
                work.error = work.error or failure
            return failure
        return None

    def _work_through(self, batch: Sequence[Work]) -> bool:
        """All in a row, as hardly ever any fails; False where one did."""
        for work in batch:
            self._attempt(work)
            if work.error is not None:
                return False
        return True

    def _in_savepoint(self, work: Work) -> None:
        """One that may fail without harm to the others."""
        self.connection.execute("SAVEPOINT work")
        self._attempt(work)
        if work.error is not None:
            self.connection.execute("ROLLBACK TO work")
        self.connection.execute("RELEASE work")

    def _attempt(self, work: Work) -> None:
        """Result or error of one; raises SpoolError where the whole transaction is in doubt."""
        work.error = None
        try:
            work.result = work.deed(self.connection, *work.values)
        except Exception as error:
            failure = spool_error(error) if isinstance(error, sqlite3.Error) else error
            if isinstance(failure, DISK_TROUBLE) or not self.connection.in_transaction:
                raise (
                    failure if isinstance(failure, SpoolError) else SpoolError(str(error))
                ) from error
            work.error = failure

    def _insist_on_the_file(self) -> None:
        """SQLite would go on writing into a file that somebody deleted or replaced."""
        if _identity(self._path) != self._identity:
            raise SpoolFailing(f"{self._path} was moved, deleted or replaced")

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
