"""The tokens of a spool with `secret_key`: rows of the store itself, sealed; and how they get there.

Each spool has its tokens in one place: in the file without a key, in the store with one.
"""

import sqlite3
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from relay.config.secret import SecretError, SecretRef
from relay.spool.errors import VaultError
from relay.spool.protocol import Vault
from relay.spool.rows import to_micros
from relay.spool.sqlite.deeds import execute
from relay.spool.sqlite.reader import Reader
from relay.spool.sqlite.sql import statements
from relay.spool.sqlite.writer import Writer
from relay.spool.vault import FileVault, sync_directory, tokens_file
from relay.spool.vault_cipher import fernet_key, new_salt, seal, unseal
from relay.spool.vault_entry import Grant

SQL = statements("vault.sql")


class SealedVault:
    """See `relay.spool.protocol.Vault`."""

    def __init__(
        self, writer: Writer, reader: Reader, key: bytes, clock: Callable[[], datetime]
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._key = key
        self._clock = clock

    async def grant(self, host: str, username: str) -> Grant | None:
        row = await self._reader.run(
            lambda connection: connection.execute(SQL["grant"], (host, username)).fetchone()
        )
        return None if row is None else unseal(self._key, host, username, row[0])

    async def keep(self, host: str, username: str, grant: Grant) -> None:
        values = _row(self._key, (host, username), grant, self._clock())
        await self._writer.run(execute, SQL["keep"], values)

    async def forget(self, host: str, username: str) -> bool:
        gone = await self._writer.run(execute, SQL["forget"], (host, username))
        return gone > 0


class ClosedVault:
    """A vault that cannot be used: says why to whoever asks. Mail with a password goes on."""

    def __init__(self, error: VaultError) -> None:
        self._error = error

    async def grant(self, host: str, username: str) -> Grant | None:
        raise self._again()

    async def keep(self, host: str, username: str, grant: Grant) -> None:
        raise self._again()

    async def forget(self, host: str, username: str) -> bool:
        raise self._again()

    def _again(self) -> VaultError:
        return VaultError(self._error.nl, self._error.en)


def prepare_vault(
    connection: sqlite3.Connection,
    path: Path,
    secret_key: SecretRef | None,
    clock: Callable[[], datetime],
) -> Callable[[Writer, Reader], Vault]:
    """Before the writer starts: find the place of the tokens, and move them there.

    Raises sqlite3.Error.
    """
    file = FileVault(tokens_file(path))
    try:
        if secret_key is None:
            refuse_sealed(connection)
            return lambda *_: file
        key = _key(connection, secret_key)
        _move_in(connection, file, key, clock())
    except VaultError as error:
        closed = ClosedVault(error)
        return lambda *_: closed
    return lambda writer, reader: SealedVault(writer, reader, key, clock)


def refuse_sealed(connection: sqlite3.Connection) -> None:
    """Raises VaultError: the store holds tokens, and the configuration has no key to them."""
    if connection.execute(SQL["any"]).fetchone() is not None:
        raise VaultError(
            "de tokens in de spool zijn versleuteld en [spool] secret_key ontbreekt; zet die"
            " terug (met een nieuwe sleutel is opnieuw relay account login NAAM nodig)",
            "the tokens in the spool are encrypted and [spool] secret_key is missing; put it back"
            " (a new key needs relay account login NAME again)",
        )


def _key(connection: sqlite3.Connection, secret_key: SecretRef) -> bytes:
    try:
        secret = secret_key.read()
    except SecretError as error:
        raise VaultError(
            f"[spool] secret_key: {error.nl}", f"[spool] secret_key: {error.en}"
        ) from error
    connection.execute(SQL["set_salt"], (new_salt().hex(),))
    (salt,) = connection.execute(SQL["salt"]).fetchone()
    return fernet_key(secret, bytes.fromhex(salt))


def _move_in(connection: sqlite3.Connection, file: FileVault, key: bytes, now: datetime) -> None:
    """What the file holds goes into the store; only once that is synced does the file go."""
    if not file.path.exists():
        return
    rows = [_row(key, account, grant, now) for account, grant in file.read().items()]
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.executemany(SQL["keep"], rows)
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")  # synced, as synchronous is FULL
    try:
        file.path.unlink()
        sync_directory(file.path.parent)
    except OSError as error:
        raise VaultError(
            f"de tokens staan nu versleuteld in de spool, maar {file.path} is niet te wissen"
            f" ({error.strerror}); wis dat bestand en herstart de dienst",
            f"the tokens are in the spool now, encrypted, but {file.path} cannot be deleted"
            f" ({error.strerror}); delete that file and restart the service",
        ) from error


def _row(
    key: bytes, account: tuple[str, str], grant: Grant, now: datetime
) -> tuple[str, str, bytes, int]:
    return (*account, seal(key, *account, grant), to_micros(now))
