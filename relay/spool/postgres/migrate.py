"""The schema brought up to date by whichever node comes first."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from relay.spool.errors import SpoolTooNew
from relay.spool.postgres.sql import migrations

if TYPE_CHECKING:
    from relay.spool.postgres.server import Connection

log = logging.getLogger(__name__)

_LOCK = 0x52454C4159  # any number that no other program uses: RELAY in ASCII

_RECORD = """CREATE TABLE IF NOT EXISTS migration (
  name        text PRIMARY KEY,
  applied_at  timestamptz NOT NULL DEFAULT now()
)"""


async def migrate(connection: Connection) -> None:
    """Apply what this database has not seen, each script in one transaction with its record.

    Nodes that start at once wait for one another. Interrupted, what was applied whole stays.
    Raises SpoolTooNew, or asyncpg's errors.
    """
    if await _missing(connection):
        for name, script in migrations().items():
            await _apply(connection, name, script)


async def schema_of(connection: Connection) -> tuple[str, ...]:
    """The names of the migrations that this database has seen."""
    async with connection.transaction():
        if await connection.fetchval("SELECT to_regclass('migration')") is None:
            return ()
        rows = await connection.fetch("SELECT name FROM migration ORDER BY name")
    return tuple(row[0] for row in rows)


async def _missing(connection: Connection) -> bool:
    known, found = migrations(), await schema_of(connection)
    refuse_newer(found)
    return bool(set(known) - set(found))


def refuse_newer(found: tuple[str, ...]) -> None:
    """Raises SpoolTooNew: a later version of the relay was here."""
    known = migrations()
    strange = [int(name[:4]) for name in found if name not in known]
    if strange:
        raise SpoolTooNew(max(strange), max(int(name[:4]) for name in known))


async def _apply(connection: Connection, name: str, script: str) -> None:
    async with connection.transaction():
        # Ends with the transaction, so that no pooler keeps it, and no crash.
        await connection.execute(f"SELECT pg_advisory_xact_lock({_LOCK})", timeout=120)
        await connection.execute(_RECORD)
        if await connection.fetchval("SELECT 1 FROM migration WHERE name = $1", name):
            return
        await connection.execute(script, timeout=600)
        await connection.execute("INSERT INTO migration (name) VALUES ($1)", name)
    log.info("spool schema: %s", name)
