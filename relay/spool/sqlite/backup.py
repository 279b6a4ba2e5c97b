"""Copies of a spool: made while it works, looked at, and put back."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from relay.spool.errors import SpoolDamaged
from relay.spool.ids import id_text
from relay.spool.lock import SpoolLock
from relay.spool.sqlite import aside
from relay.spool.sqlite.commit import spool_error
from relay.spool.sqlite.reader import open_unwritten, unwritten_meanwhile
from relay.spool.sqlite.sql import statements
from relay.spool.sqlite.upgrade import refuse_newer
from relay.spool.vault import give_to_owner, sync_directory

SQL = statements("backup.sql")

_MOST_FAULTS = 20


@dataclass(frozen=True, slots=True)
class Contents:
    """What a copy holds: messages that still have to be delivered, and whether it has tokens,
    which only [spool] secret_key opens."""

    unfinished: int
    tokens: bool


def back_up(spool: Path, to: Path) -> Contents:
    """Write the spool of this moment, whole and synced, to the new file `to`, for its owner alone.

    The relay may run meanwhile: what it writes stays in its log until this is done. Raises
    FileExistsError and OSError, of `to`; SpoolError.
    """
    _make(to)
    try:
        with _spool_errors(), unwritten_meanwhile(spool), closing(open_unwritten(spool)) as source:
            contents = _copy(source, to)
        _sync(to)
    except BaseException:
        to.unlink()
        raise
    sync_directory(to.absolute().parent)
    return contents


def restore(spool: Path, backup: Path, now: datetime) -> tuple[Contents, Path | None]:
    """Put a copy in the place of the spool of a relay that is stopped; where the old one is now.

    Whatever waits in it may have been delivered since it was made, so it is marked in doubt.
    Raises SpoolInUse; FileNotFoundError and SpoolDamaged, of `backup`; SpoolTooNew; OSError.
    """
    spool.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = SpoolLock(spool.with_name(f"{spool.name}.lock"))
    lock.acquire()
    try:
        backup.stat()
        faults = examine(backup)
        if faults:
            raise SpoolDamaged(faults[0])
        draft = aside.draft_path(spool)
        _make(draft)
        with _spool_errors(), closing(open_unwritten(backup)) as source:
            contents = _copy(source, draft, doubt=True)
        aside.publish(spool, draft)
        return contents, aside.put_in_place(spool, "replaced", now)
    finally:
        lock.release()


def examine(path: Path) -> tuple[str, ...]:
    """Look through a whole spool, which may be in use: its first faults, none if it is sound.

    Raises SpoolTooNew, and SpoolError where it cannot be read at all.
    """
    try:
        with _spool_errors(), unwritten_meanwhile(path):
            return tuple(_faults(path))
    except SpoolDamaged as error:
        return (str(error),)


def _faults(path: Path) -> list[str]:
    with closing(open_unwritten(path)) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        refuse_newer(connection)
        if version == 0:
            return ["it has no schema: this is no spool"]
        rows = connection.execute(f"PRAGMA integrity_check({_MOST_FAULTS})").fetchall()
        faults = [str(row[0]) for row in rows if row[0] != "ok"]
        for name in ("without_recipients", "without_bytes"):
            for (message,) in connection.execute(SQL[name], (_MOST_FAULTS,)):
                faults.append(f"message {id_text(message)}: {name.replace('_', ' ')}")
    return faults[:_MOST_FAULTS]


def _copy(source: sqlite3.Connection, to: Path, *, doubt: bool = False) -> Contents:
    with closing(sqlite3.connect(to)) as target:
        # One step: all of one moment, however busy the relay is.
        source.backup(target)
        # Not with a log of its own beside it: a copy is one file.
        target.execute("PRAGMA journal_mode=DELETE")
        if doubt:
            target.execute(SQL["doubt"])
            target.commit()
        (unfinished,) = target.execute(SQL["unfinished"]).fetchone()
        tokens = target.execute(SQL["tokens"]).fetchone()[0] and bool(
            target.execute(SQL["any_token"]).fetchone()
        )
    return Contents(unfinished, bool(tokens))


def _make(path: Path) -> None:
    """A new file, for its owner alone from its first byte on. Raises FileExistsError."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))


def _sync(path: Path) -> None:
    with path.open("r+b") as file:
        give_to_owner(file.fileno(), path.absolute().parent)
        os.fsync(file.fileno())


@contextmanager
def _spool_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise spool_error(error) from error
