"""The spool of a relay that does not run, for reading alone.

No lock is taken and not a byte of the file, or beside it, changes. What would write raises.
"""

import asyncio
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from relay.config.secret import SecretError, SecretRef
from relay.spool.alone import ALONE
from relay.spool.errors import SpoolError, VaultError
from relay.spool.protocol import Vault
from relay.spool.sqlite.ledger import SqliteLedger
from relay.spool.sqlite.queue import SqliteQueue
from relay.spool.sqlite.reader import Reader, open_unwritten
from relay.spool.sqlite.sql import migrations
from relay.spool.sqlite.upgrade import refuse_newer
from relay.spool.sqlite.vault import SQL, ClosedVault, SealedVault, refuse_sealed
from relay.spool.sqlite.writer import Deed
from relay.spool.vault import FileVault, tokens_file
from relay.spool.vault_cipher import fernet_key

T = TypeVar("T")


class StillSpool:
    """See `relay.spool.protocol.Spool`; only its reading works, the rest raises SpoolError."""

    shares = nodes = ALONE

    def __init__(
        self, path: Path, clock: Callable[[], datetime], secret_key: SecretRef | None = None
    ) -> None:
        """Raises SpoolError where another version made it; sqlite3.Error: there is no such file, or
        it cannot be read."""
        self._path = path
        writer = _NoWriter()
        with closing(open_unwritten(path)) as connection:
            _insist_on_schema(connection)
            vault = _vault(connection, path, secret_key)
        self._reader = _StillReader(path)
        self.queue = SqliteQueue(writer, self._reader, clock)
        self.ledger = SqliteLedger(writer, self._reader)
        self.vault: Vault = (
            SealedVault(writer, self._reader, vault, clock) if isinstance(vault, bytes) else vault
        )

    trouble: SpoolError | None = None

    def free_bytes(self) -> int | None:
        """Bytes free on the file system of the spool; None if it cannot be told."""
        try:
            return shutil.disk_usage(self._path.parent).free
        except OSError:
            return None

    async def gone(self) -> None:
        """Never returns: nothing was ever written."""
        await asyncio.get_running_loop().create_future()

    async def close(self) -> None:
        """Close the connections."""
        await asyncio.to_thread(self._reader.close)


class _StillReader(Reader):
    def _open(self) -> sqlite3.Connection:
        return open_unwritten(self._path)


class _NoWriter:
    trouble: SpoolError | None = None

    async def run(self, deed: Deed[T], *values: object, begins: bool = False) -> T:
        raise SpoolError("this spool was opened for reading alone")

    async def gone(self) -> None:
        await asyncio.get_running_loop().create_future()

    async def close(self) -> None:
        """There is nothing to end."""


def _insist_on_schema(connection: sqlite3.Connection) -> None:
    refuse_newer(connection)
    found, known = connection.execute("PRAGMA user_version").fetchone()[0], len(migrations())
    if found < known:
        raise SpoolError(f"spool schema {found} of an earlier version: start the relay once")


def _vault(
    connection: sqlite3.Connection, path: Path, secret_key: SecretRef | None
) -> Vault | bytes:
    """The vault that can be read, or the key of the one in the store."""
    file = FileVault(tokens_file(path))
    try:
        if secret_key is None:
            refuse_sealed(connection)
            return file
        if file.path.exists():
            return file  # the next start moves its tokens into the store
        salt = connection.execute(SQL["salt"]).fetchone()
        return file if salt is None else fernet_key(secret_key.read(), bytes.fromhex(salt[0]))
    except VaultError as error:
        return ClosedVault(error)
    except SecretError as error:
        return ClosedVault(VaultError(error.nl, error.en))
