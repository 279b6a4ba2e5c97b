"""The writing connection: its settings, its schema, and whether the file behind it is sound."""

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

from relay.spool.errors import SpoolDamaged, SpoolError, SpoolTooNew
from relay.spool.sqlite.sql import migrations, whole_script

CHECK_SECONDS = 3.0
"""For a look at the whole file at a start: half a gigabyte or more from a usual disk."""

LOG_KEPT_BYTES = 64_000_000
"""What is left of a write-ahead log that grew, once it has been written back."""

_PAGES_BETWEEN_CHECKPOINTS = 4000  # of 4 kB: 16 MB of WAL
_BUSY_SECONDS = 2.0  # with what waits in line before it, a client hears 451 within five


def connect(path: Path, *, make: bool = True) -> sqlite3.Connection:
    """The connection that writes, with every setting read back.

    Without `make` a file that is not there is an error. Raises sqlite3.Error, SpoolError, OSError.
    """
    if make:
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=_BUSY_SECONDS,
    )
    try:
        set_pragma(connection, "journal_mode", "WAL", "wal")
        # FULL syncs the WAL at each commit; NORMAL could lose the last ones when power fails.
        set_pragma(connection, "synchronous", "FULL", 2)
        set_pragma(connection, "wal_autocheckpoint", _PAGES_BETWEEN_CHECKPOINTS)
        set_pragma(connection, "journal_size_limit", LOG_KEPT_BYTES)
    except BaseException:
        connection.close()
        raise
    return connection


def set_pragma(
    connection: sqlite3.Connection, pragma: str, value: str | int, read: object = None
) -> None:
    """Set it and read it back, as `read` where that differs. Raises SpoolError: it did not hold."""
    connection.execute(f"PRAGMA {pragma}={value}")
    found = connection.execute(f"PRAGMA {pragma}").fetchone()[0]
    if found != (value if read is None else read):
        raise SpoolError(f"SQLite keeps {pragma}={found} instead of {value}")


def log_bytes(spool: Path) -> int:
    """The size of the write-ahead log."""
    try:
        return spool.with_name(f"{spool.name}-wal").stat().st_size
    except OSError:
        return 0


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the schema up to date, each step in one transaction with its version number."""
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    scripts = migrations()
    if found > len(scripts):
        raise SpoolTooNew(found, len(scripts))
    for version, script in enumerate(scripts[found:], start=found + 1):
        connection.executescript(f"BEGIN;\n{script}\nPRAGMA user_version={version};\nCOMMIT;")


def prepare(connection: sqlite3.Connection) -> None:
    """Give a connection to a spool of the present schema its deeds, see `deeds.sql`."""
    connection.execute("PRAGMA temp_store=MEMORY")
    connection.executescript(whole_script("deeds.sql"))


def refuse_damaged(connection: sqlite3.Connection, seconds: float) -> bool:
    """Look through the file, small tables first, for at most so long; True if all was seen.

    Raises SpoolDamaged with the first fault, or sqlite3.DatabaseError where not even the schema
    can be read.
    """
    tables = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name = 'body', name"
    ).fetchall()
    with _interrupted_after(connection, seconds):
        try:
            for (table,) in tables:
                (verdict,) = connection.execute(f"PRAGMA quick_check('{table}')").fetchone()
                if verdict != "ok":
                    raise SpoolDamaged(str(verdict))
        except sqlite3.OperationalError as error:
            if "interrupt" in str(error):
                return False
            raise
    return True


def prove(connection: sqlite3.Connection) -> None:
    """See that a connection made after a failure writes to a disk that keeps it.

    What a failed sync left in the WAL may be in memory and not on the disk, and what is appended
    behind it would be lost with it. So the WAL is written back and begun anew. Raises
    sqlite3.Error, SpoolError.
    """
    busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise SpoolError("the write-ahead log cannot be written back: another process reads it")
    try_write(connection)
    refuse_damaged(connection, CHECK_SECONDS)


def try_write(connection: sqlite3.Connection) -> None:
    """Commit something that changes nothing. Raises sqlite3.Error."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    connection.execute(f"PRAGMA user_version={version}")


@contextlib.contextmanager
def _interrupted_after(connection: sqlite3.Connection, seconds: float) -> Iterator[None]:
    timer = threading.Timer(seconds, connection.interrupt)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
