"""What can still be read of a damaged spool, in a new file; the damaged one is kept aside.

A message that is whole waits on as it did. One whose bytes are gone is held, so that somebody sees
from whom and to whom it was. What is gone but for its id is counted, and named where it is known.
"""

import logging
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zlib import crc32

from relay.spool.errors import SpoolDamaged, SpoolTooNew
from relay.spool.ids import id_text
from relay.spool.rows import to_micros
from relay.spool.sqlite import aside
from relay.spool.sqlite.opening import connect, migrate
from relay.spool.sqlite.scan import Scan, from_both_ends
from relay.spool.sqlite.sql import migrations, statements

SQL = statements("salvage.sql")

_MAGIC = b"SQLite format 3\0"
_BY_KEY = {
    "message": "id",
    "recipient": "message",
    "queue": "message",
    "attempt": "id",
    "body": "id",
}
_MOST_NAMED = 50

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Salvage:
    """What became of a damaged spool: unfinished messages that wait on, those whose bytes are gone
    and that are held, those that are gone; and where the damaged file is."""

    aside: Path
    reason: str
    kept: int
    held: tuple[str, ...]
    lost: tuple[str, ...]
    unreadable: bool = False  # nothing at all could be read

    def text(self) -> str:
        """For the log: what happened, and what to do."""
        if self.unreadable:
            told = "nothing in it could be read: restore a backup"
        else:
            told = f"{self.kept} waiting messages kept"
            told += _named("held without their bytes", self.held)
            told += _named("lost", self.lost)
        return f"the spool was damaged ({self.reason}); {told}; it is kept as {self.aside}"


def _named(what: str, ids: tuple[str, ...]) -> str:
    more = " ..." if len(ids) > _MOST_NAMED else ""
    return f", {len(ids)} {what}: {' '.join(ids[:_MOST_NAMED])}{more}" if ids else ""


def salvage(path: Path, reason: str, now: datetime) -> Salvage:
    """Rebuild the spool in `path`, which nobody has open, from what can be read of it.

    Raises SpoolDamaged where the file never was a spool, SpoolTooNew, and sqlite3.Error or OSError where there
    is no room for the new one; then nothing has changed.
    """
    with path.open("rb") as file:
        header = file.read(100)  # section 1.3 of SQLite's description of its file format
    if not header.startswith(_MAGIC):
        raise SpoolDamaged(reason)
    found, known = int.from_bytes(header[60:64]), len(migrations())
    if found > known:
        raise SpoolTooNew(found, known)
    draft = aside.draft_path(path)
    with closing(connect(draft)) as new:
        migrate(new)
        with closing(_open_damaged(path)) as old:
            held, lost, unreadable = _rebuild(old, new, to_micros(now))
        (kept,) = new.execute(SQL["kept"]).fetchone()
    aside.publish(path, draft)
    where = aside.put_in_place(path, "damaged", now)
    assert where is not None
    ids = tuple(map(id_text, held)), tuple(map(id_text, lost))
    return Salvage(where, reason, kept - len(held), *ids, unreadable=unreadable)


def _open_damaged(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    connection.text_factory = lambda data: data.decode("utf-8", "replace")
    return connection


def _rebuild(
    old: sqlite3.Connection, new: sqlite3.Connection, now: int
) -> tuple[list[int], list[int], bool]:
    """Ids of messages held and lost, and whether nothing at all could be read."""
    try:
        tables = [row[0] for row in old.execute(SQL["tables"])]
    except sqlite3.DatabaseError:
        return [], [], True
    new.execute("BEGIN IMMEDIATE")
    new.execute(SQL["known"])
    doubtful = False
    for table in (*_BY_KEY, *(name for name in tables if name not in _BY_KEY)):
        if table in tables:
            failed = _copy(old, new, table)
            doubtful = doubtful or (failed and table in ("attempt", "queue"))
    lost = [row[0] for row in new.execute(SQL["lost"])]
    for statement in ("forget_lost", "forget_strays", "forget_bodies"):
        new.execute(SQL[statement])
    held = [row[0] for row in new.execute(SQL["without_bytes"])]
    new.executemany(SQL["hold"], [(message,) for message in held])
    new.execute(SQL["unqueue"])
    new.execute(SQL["queue"], (now,))
    if doubtful:
        new.execute(SQL["doubt"])
    new.execute("DROP TABLE known")
    new.execute("COMMIT")
    return held, lost, False


def _is_sound(body: dict[str, Any]) -> bool:
    """The bytes are those that were written; rows from before schema 5 cannot tell."""
    return body.get("crc") in (None, crc32(body["bytes"]))


def _copy(old: sqlite3.Connection, new: sqlite3.Connection, table: str) -> bool:
    """What can be read of one table; True if not all could."""
    known = {row[1] for row in new.execute(f"PRAGMA table_info({table})")}
    columns = [row[1] for row in old.execute(f"PRAGMA table_info({table})")]
    wanted = [(place, name) for place, name in enumerate(columns) if name in known]
    if not wanted:
        return False
    names = ", ".join(name for _, name in wanted)
    insert = f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({', '.join('?' * len(wanted))})"
    key = _BY_KEY.get(table)
    scan = None if key is None else Scan(old, table, key)
    refused = False
    for row in from_both_ends(old, table) if scan is None else scan.rows():
        if table == "body" and not _is_sound(dict(zip(columns, row, strict=True))):
            continue
        try:
            if table in ("message", "recipient", "queue"):
                new.execute(SQL["note"], (row[0],))
            new.execute(insert, [row[place] for place, _ in wanted])
        except sqlite3.IntegrityError as error:
            refused = True  # a row whose values are damaged
            log.debug("a row of %s is damaged: %s", table, error)
    return refused or (scan is not None and scan.failures > 0)
