"""A SQLite file as the source or the target of a move."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from pathlib import Path
from zlib import crc32

from relay.config.secret import SecretError, SecretRef
from relay.spool.errors import VaultError
from relay.spool.lock import SpoolLock
from relay.spool.sqlite import open_spool
from relay.spool.sqlite.opening import connect
from relay.spool.transfer.move import ID_SETTING, new_id
from relay.spool.transfer.tables import OWN_SETTINGS, RECEIVED, ROWS_AT_ONCE, Table
from relay.spool.transfer.tally import Row
from relay.spool.vault import Account, FileVault, give_to_owner, sync_directory, tokens_file
from relay.spool.vault_cipher import fernet_key, unseal
from relay.spool.vault_entry import Grant

_SETTING = "SELECT value FROM setting WHERE name = ?"
_SET = "INSERT INTO setting (name, value) VALUES (?, ?)"
_BESIDE = ("-wal", "-shm", ".lock", ".ballast")

Clock = Callable[[], datetime]


class SqliteSource:
    """A file that this process alone has open; make it with `open_source`, `close` it."""

    def __init__(
        self, path: Path, clock: Clock, secret_key: SecretRef | None, lock: SpoolLock
    ) -> None:
        self._path = path
        self._clock = clock
        self._secret_key = secret_key
        self._lock = lock
        self._connection = connect(path, make=False)

    async def id(self) -> str:
        row = self._connection.execute(_SETTING, (ID_SETTING,)).fetchone()
        if row is None:
            row = (new_id(),)
            self._connection.execute(_SET, (ID_SETTING, *row))
        return str(row[0])

    def rows(self, table: Table) -> AsyncIterator[Row]:
        return _rows(self._connection, table)

    async def grants(self) -> Mapping[Account, Grant]:
        file = FileVault(tokens_file(self._path))
        if file.path.exists():
            return file.read()
        sealed = self._connection.execute("SELECT host, username, sealed FROM token").fetchall()
        if not sealed:
            return {}
        key = self._key()
        return {(host, user): unseal(key, host, user, token) for host, user, token in sealed}

    def _key(self) -> bytes:
        if self._secret_key is None:
            raise VaultError(
                "de tokens in de spool zijn versleuteld en [spool] secret_key ontbreekt; zet die terug",
                "the tokens in the spool are encrypted and [spool] secret_key is missing; put it back",
            )
        try:
            secret = self._secret_key.read()
        except SecretError as error:
            raise VaultError(
                f"[spool] secret_key: {error.nl}", f"[spool] secret_key: {error.en}"
            ) from error
        (salt,) = self._connection.execute(_SETTING, ("token_salt",)).fetchone()
        return fernet_key(secret, bytes.fromhex(salt))

    async def retire(self) -> str:
        """Under another name, tokens first: a spool without its tokens is found again by the next
        run, tokens without a spool would be taken for those of the next one."""
        self._connection.close()
        aside = self._path.with_name(f"{self._path.name}.moved-{self._clock():%Y%m%dT%H%M%S%fZ}")
        self._path.with_name(f"{self._path.name}.ballast").unlink(missing_ok=True)
        moved = {tokens_file(self._path): tokens_file(aside)}
        moved |= {_beside(self._path, end): _beside(aside, end) for end in ("-wal", "")}
        for old, new in moved.items():
            if old.exists():
                old.rename(new)
        _beside(self._path, "-shm").unlink(missing_ok=True)
        sync_directory(self._path.parent)
        return str(aside)

    async def close(self) -> None:
        """Let others have the file."""
        self._connection.close()
        self._lock.release()


async def open_source(path: Path, clock: Clock, secret_key: SecretRef | None) -> SqliteSource:
    """As a start would leave it: what a dead process had under way is in doubt, and the schema of
    today. Raises as `relay.spool.sqlite.open_spool` does."""
    await open_spool(path, clock, secret_key).close()
    lock = SpoolLock(_beside(path, ".lock"))
    lock.acquire()
    try:
        return SqliteSource(path, clock, secret_key, lock)
    except BaseException:
        lock.release()
        raise


class SqliteTarget:
    """A file that is not there before `publish`; `close` it. Raises SpoolInUse, OSError."""

    def __init__(self, path: Path, clock: Clock, secret_key: SecretRef | None) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = path
        self._draft = _beside(path, ".moving")
        self._clock = clock
        self._secret_key = secret_key
        self._lock = SpoolLock(_beside(path, ".lock"))
        self._lock.acquire()
        self._connection: sqlite3.Connection | None = None

    async def received(self, move: str) -> str | None:
        if not self._path.exists():
            return None
        connection = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            row = connection.execute(_SETTING, (RECEIVED + move,)).fetchone()
        except sqlite3.DatabaseError:
            return None  # no spool; `begin` will not touch it
        finally:
            connection.close()
        return None if row is None else str(row[0])

    async def begin(self) -> None:
        if self._path.exists():
            raise FileExistsError(self._path)
        self._forget_draft()
        await open_spool(self._draft, self._clock, self._secret_key).close()
        self._open().execute("BEGIN IMMEDIATE")

    async def fill(self, table: Table, rows: AsyncIterator[Row]) -> None:
        names, blanks = ", ".join(table.columns), ", ".join("?" * len(table.columns))
        statement = f"INSERT INTO {table.name} ({names}) VALUES ({blanks}) {table.conflict()}"
        async for row in rows:
            self._open().execute(statement, row)

    async def keep(self, grants: Mapping[Account, Grant]) -> None:
        self._open().execute("COMMIT")
        self._close_draft()
        if grants:
            spool = open_spool(self._draft, self._clock, self._secret_key)
            try:
                for account, grant in grants.items():
                    await spool.vault.keep(*account, grant)
            finally:
                await spool.close()

    def written(self, table: Table) -> AsyncIterator[Row]:
        return _rows(self._open(), table)

    async def publish(self, move: str, record: str) -> None:
        self._open().execute(_SET, (RECEIVED + move, record))
        self._close_draft()  # which writes the log back into the file
        with self._draft.open("r+b") as file:
            give_to_owner(file.fileno(), self._path.parent)
            os.fsync(file.fileno())
        if tokens_file(self._draft).exists():
            tokens_file(self._draft).replace(tokens_file(self._path))
        self._draft.rename(self._path)
        sync_directory(self._path.parent)

    async def close(self) -> None:
        """Forget what was not published."""
        self._close_draft()
        self._forget_draft()
        self._lock.release()

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = connect(self._draft, make=False)
        return self._connection

    def _close_draft(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _forget_draft(self) -> None:
        for each in (
            self._draft,
            tokens_file(self._draft),
            *(_beside(self._draft, end) for end in _BESIDE),
        ):
            each.unlink(missing_ok=True)


async def _rows(connection: sqlite3.Connection, table: Table) -> AsyncIterator[Row]:
    statement = f"SELECT {', '.join(table.columns)} FROM {table.name}"
    if table.name == "setting":
        own = ", ".join(f"'{name}'" for name in OWN_SETTINGS)
        statement += f" WHERE name NOT IN ({own}) AND name NOT LIKE '{RECEIVED}%'"
    cursor = connection.execute(f"{statement} ORDER BY {', '.join(table.order)}")
    cursor.arraysize = 1 if table.name == "body" else ROWS_AT_ONCE
    while rows := cursor.fetchmany():
        for row in rows:
            if table.name == "body" and row[3] is None:  # from before schema 5
                row = (*row[:3], crc32(row[2]))
            yield row


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)
