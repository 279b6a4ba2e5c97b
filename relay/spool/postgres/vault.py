"""The tokens that all nodes share: rows of the store, sealed with the key of `[spool] secret_key`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from relay.config.secret import SecretError, SecretRef
from relay.spool.errors import VaultError
from relay.spool.postgres.sql import statements
from relay.spool.rows import to_micros
from relay.spool.vault_cipher import fernet_key, new_salt, seal, unseal
from relay.spool.vault_entry import Grant

if TYPE_CHECKING:
    from relay.spool.postgres.reader import Reader
    from relay.spool.postgres.server import Connection
    from relay.spool.postgres.writer import Writer

SQL = statements("vault.sql")


class PostgresVault:
    """See `relay.spool.protocol.Vault`. Without a key, or with one that cannot be read, each call
    raises VaultError: the tokens of a shared store are never kept in clear."""

    def __init__(
        self,
        writer: Writer,
        reader: Reader,
        secret_key: SecretRef | None,
        clock: Callable[[], datetime],
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._secret_key = secret_key
        self._clock = clock
        self._key: bytes | None = None

    async def grant(self, host: str, username: str) -> Grant | None:
        key = await self.key()

        async def read(connection: Connection) -> bytes | None:
            found: bytes | None = await connection.fetchval(SQL["grant"], host, username)
            return found

        sealed = await self._reader.run(read)
        return None if sealed is None else unseal(key, host, username, sealed)

    async def keep(self, host: str, username: str, grant: Grant) -> None:
        sealed = seal(await self.key(), host, username, grant)
        kept_at = to_micros(self._clock())

        async def keep(connection: Connection) -> None:
            await connection.execute(SQL["keep"], host, username, sealed, kept_at)

        await self._writer.run(keep)

    async def forget(self, host: str, username: str) -> bool:
        await self.key()

        async def forget(connection: Connection) -> bool:
            status: str = await connection.execute(SQL["forget"], host, username)
            return status != "DELETE 0"

        return await self._writer.run(forget)

    async def key(self) -> bytes:
        """The key that seals. Raises VaultError: none, or not to be read; SpoolError."""
        if self._key is None:
            self._key = fernet_key(_secret(self._secret_key), await self._salt())
        return self._key

    async def _salt(self) -> bytes:
        """All nodes have the same; the first to need one makes it."""

        async def salt(connection: Connection) -> str:
            await connection.execute(SQL["set_salt"], new_salt().hex())
            found: str = await connection.fetchval(SQL["salt"])
            return found

        return bytes.fromhex(await self._writer.run(salt))


def _secret(secret_key: SecretRef | None) -> str:
    if secret_key is None:
        raise VaultError(
            "OAuth2-tokens in een gedeelde spool worden versleuteld, en [spool] secret_key"
            ' ontbreekt; zet op elke node dezelfde: secret_key = { file = "/etc/relay/spool.key" }',
            "OAuth2 tokens in a shared spool are encrypted, and [spool] secret_key is missing;"
            ' set the same on each node: secret_key = { file = "/etc/relay/spool.key" }',
        )
    try:
        return secret_key.read()
    except SecretError as error:
        raise VaultError(
            f"[spool] secret_key: {error.nl}", f"[spool] secret_key: {error.en}"
        ) from error
