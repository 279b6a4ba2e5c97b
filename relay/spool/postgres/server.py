"""A connection to PostgreSQL that keeps what it is told to keep.

Nothing here rests on the state of a session: between relay and server there may be PgBouncer in
transaction mode, so each statement with values stands in a transaction, and none is prepared.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from relay.config.secret import SecretError, SecretRef
from relay.spool.errors import SpoolError, SpoolFailing

if TYPE_CHECKING:
    import asyncpg

    Connection: TypeAlias = asyncpg.Connection[Any]

CONNECT_SECONDS = 4.0
"""For a connection, or a pooler's server, to be there: a client that waits for its 250 hears 451 in time."""

STATEMENT_SECONDS = 15.0

BEGIN_DURABLE = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SELECT relay_durable()"
"""What is committed after it is synced; raises where the server does not sync. One round trip."""

_OLDEST = 120000  # server_version_num of what is still tested by anybody

_ASKED = """SELECT current_setting('fsync'), current_setting('full_page_writes'),
  current_setting('server_encoding'), current_setting('server_version_num')::integer,
  pg_is_in_recovery(), pg_backend_pid()"""


@dataclass(frozen=True, slots=True)
class Server:
    """Where the store is: a URL without a password, and the password."""

    url: str
    password: SecretRef | None = None

    async def connect(self) -> Connection:
        """A connection, verified. Raises SpoolError, OSError or asyncpg's errors."""
        import asyncpg

        connection: Connection = await asyncpg.connect(**self.arguments())
        try:
            await verify(connection)
        except BaseException:
            connection.terminate()
            raise
        return connection

    def arguments(self) -> dict[str, Any]:
        """For asyncpg. Raises SpoolError where the password cannot be read."""
        return {
            "dsn": self.url,
            "password": self._secret(),
            "timeout": CONNECT_SECONDS,
            "command_timeout": STATEMENT_SECONDS,
            "statement_cache_size": 0,
        }

    def _secret(self) -> str | None:
        if self.password is None:
            return None
        try:
            return self.password.read()
        except SecretError as error:
            raise SpoolError(f"[spool] password: {error.en}") from error


async def verify(connection: Connection) -> None:
    """See that this server keeps what it commits. Raises SpoolFailing, or asyncpg's errors.

    `synchronous_commit` is set by each transaction itself.
    """
    async with reading(connection):
        row = await connection.fetchrow(_ASKED)
    fsync, full_page_writes, encoding, version, in_recovery, _ = row
    if fsync != "on" or full_page_writes != "on":
        raise SpoolFailing(
            f"PostgreSQL runs with fsync={fsync} full_page_writes={full_page_writes}: a power"
            " failure would lose mail; set both to on in postgresql.conf and reload it"
        )
    if in_recovery:
        raise SpoolFailing(
            "this PostgreSQL is a standby: [spool] url must lead to the primary, or the standby"
            " be promoted"
        )
    if encoding != "UTF8":
        raise SpoolFailing(
            f"the database has the encoding {encoding}; make one with ENCODING 'UTF8'"
        )
    if version < _OLDEST:
        raise SpoolFailing(f"PostgreSQL {version // 10000} is too old; the relay needs 12 or newer")


async def is_direct(connection: Connection) -> bool:
    """Nobody stands between: the process that answers is the one that we connected to."""
    async with reading(connection):
        pid = await connection.fetchval("SELECT pg_backend_pid()")
    return bool(pid == connection.get_server_pid())


@asynccontextmanager
async def reading(connection: Connection) -> AsyncIterator[None]:
    """All of it of one moment, and nothing changed."""
    # A pooler lets who begins wait until it has a server: not longer than for a connection.
    begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
    await connection.execute(begin, timeout=CONNECT_SECONDS)
    try:
        yield
    finally:
        await _end(connection)


async def _end(connection: Connection) -> None:
    """Whoever has it next begins anew; a connection that cannot is of no use to anybody."""
    if connection.is_closed():
        return
    try:
        await connection.execute("ROLLBACK", timeout=CONNECT_SECONDS)
    except BaseException:
        connection.terminate()
        raise
