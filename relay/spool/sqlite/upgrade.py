"""A spool of an earlier version brought up to date: a copy first, and who made it written down."""

import contextlib
import logging
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import relay
from relay.spool.errors import NoRoomToUpgrade, SpoolTooNew
from relay.spool.sqlite.opening import migrate
from relay.spool.sqlite.sql import migrations
from relay.spool.vault import give_to_owner, sync_directory

log = logging.getLogger(__name__)

_MARGIN_BYTES = 20_000_000  # for what the migrations themselves write, beside a tenth of the spool


def upgrade(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the spool in `path` to this program's schema.

    One of an earlier schema N is first kept whole as `<spool>.vN`, in the place of an earlier copy
    of that schema. Nobody else has the spool open. Raises SpoolTooNew, NoRoomToUpgrade,
    sqlite3.Error or OSError; before the copy is complete nothing has changed.
    """
    refuse_newer(connection)
    found, known = _schema(connection), len(migrations())
    if 0 < found < known:
        kept = _keep_copy(connection, path, found)
        migrate(connection)
        log.warning("the spool went from schema %d to %d; as it was: %s", found, known, kept)
    else:
        migrate(connection)
    with contextlib.suppress(sqlite3.Error):  # a full disk keeps nobody from starting
        _sign(connection, anew=found < known)


def refuse_newer(connection: sqlite3.Connection) -> None:
    """Raises SpoolTooNew, with the version of the program that made the spool, where it is."""
    found, known = _schema(connection), len(migrations())
    if found > known:
        raise SpoolTooNew(found, known, _maker(connection))


def copy_path(spool: Path, schema: int) -> Path:
    """Where a spool of that schema is kept when a later version takes over."""
    return spool.with_name(f"{spool.name}.v{schema}")


def _schema(connection: sqlite3.Connection) -> int:
    found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return found


def _maker(connection: sqlite3.Connection) -> str | None:
    try:
        row = connection.execute("SELECT value FROM setting WHERE name = 'made_by'").fetchone()
    except sqlite3.Error:  # a schema that we know nothing of
        return None
    return None if row is None else str(row[0])


def _sign(connection: sqlite3.Connection, *, anew: bool) -> None:
    if anew or _maker(connection) is None:
        connection.execute(
            "INSERT OR REPLACE INTO setting (name, value) VALUES ('made_by', ?)",
            (relay.__version__,),
        )


def _keep_copy(connection: sqlite3.Connection, path: Path, schema: int) -> Path:
    pages, page_bytes = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size")
    )
    needed = int(pages * page_bytes * 1.1) + _MARGIN_BYTES
    free = shutil.disk_usage(path.absolute().parent).free
    if free < needed:
        raise NoRoomToUpgrade(needed, free)
    kept = copy_path(path, schema)
    draft = kept.with_name(f"{kept.name}.draft")
    draft.unlink(missing_ok=True)  # of one who was killed over it
    os.close(os.open(draft, os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with closing(sqlite3.connect(draft)) as target:
            connection.backup(target)
            target.execute("PRAGMA journal_mode=DELETE")  # a copy is one file
        with draft.open("r+b") as file:
            give_to_owner(file.fileno(), path.absolute().parent)
            os.fsync(file.fileno())
        draft.replace(kept)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    sync_directory(path.absolute().parent)
    return kept
