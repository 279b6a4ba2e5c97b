"""A PostgreSQL database as the source or the target of a move."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from relay.config.secret import SecretRef
from relay.spool.postgres import Server, open_spool
from relay.spool.rows import to_micros, to_minutes
from relay.spool.transfer.move import ID_SETTING, TransferError, new_id
from relay.spool.transfer.tables import (
    EMPTIED,
    OWN_SETTINGS,
    RECEIVED,
    ROWS_AT_ONCE,
    Table,
)
from relay.spool.transfer.tally import Row
from relay.spool.vault import Account
from relay.spool.vault_cipher import seal, unseal
from relay.spool.vault_entry import Grant

if TYPE_CHECKING:
    from relay.spool.postgres.server import Connection
    from relay.spool.postgres.store import PostgresSpool

_MOVER = "move"
"""The node that counts as having used what was used before the move."""

_BODIES_AT_ONCE = 4  # of a megabyte at most
_LOCK_WAIT = "5s"

Clock = Callable[[], datetime]


class _End:
    """A store opened for its schema and its tokens, and one connection more for the rows."""

    def __init__(self, spool: PostgresSpool, connection: Connection, clock: Clock) -> None:
        self.spool = spool
        self.connection = connection
        self.clock = clock

    async def key(self) -> bytes:
        """Of the tokens. Raises VaultError."""
        vault: Any = self.spool.vault
        key: bytes = await vault.key()
        return key

    async def setting(self, name: str) -> str | None:
        """Of the ledger."""
        return await self.spool.ledger.setting(name)

    async def begin(self) -> None:
        await self.connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
        await self.connection.execute("SELECT relay_durable()")

    async def read(self, table: Table, source: str) -> AsyncIterator[Row]:
        """What `source`, a table or a query in brackets, holds of the table's columns."""
        flags = [index for index, name in enumerate(table.columns) if name in table.flags]
        order = ", ".join(f'{name} COLLATE "C"' if name == "lane" else name for name in table.order)
        statement = f"SELECT {', '.join(table.columns)} FROM {source} ORDER BY {order}"
        at_once = _BODIES_AT_ONCE if table.name == "body" else ROWS_AT_ONCE
        async for record in self.connection.cursor(statement, prefetch=at_once):
            row = list(record)
            for index in flags:
                row[index] = None if row[index] is None else int(row[index])
            yield tuple(row)

    async def close(self) -> None:
        """What is not committed is undone."""
        self.connection.terminate()
        await self.spool.close()


class PostgresSource(_End):
    """A database whose nodes have ended; make it with `open_source`, `close` it."""

    _id = ""
    _token_key: bytes | None = None

    async def id(self) -> str:
        return self._id

    async def lock(self) -> None:
        """Nobody else gets at it until the end. Raises TransferError: somebody is at work."""
        alive = [node.id for node in await self.spool.nodes.listed() if not node.gone]
        if alive:
            raise _in_use(", ".join(alive))
        if (known := await self.setting(ID_SETTING)) is None:
            known = new_id()
            await self.spool.ledger.remember(ID_SETTING, known)
        self._id = known
        if await self.connection.fetchval("SELECT EXISTS (SELECT 1 FROM token)"):
            self._token_key = await self.key()  # while the settings can still be reached
        await self.begin()
        await self.connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_WAIT}'")
        try:
            await self.connection.execute(
                f"LOCK TABLE {', '.join(EMPTIED)} IN ACCESS EXCLUSIVE MODE"
            )
        except Exception as error:
            if getattr(error, "sqlstate", None) != "55P03":
                raise
            raise _in_use("?") from error
        minute = to_minutes(self.clock())
        while await self.connection.fetchval("SELECT relay_expire($1, $2)", minute, _MOVER):
            pass
        owner = await self.connection.fetchval(
            "SELECT lease_owner FROM queue WHERE lease_owner IS NOT NULL LIMIT 1"
        )
        if owner is not None:
            raise _in_use(owner)

    def rows(self, table: Table) -> AsyncIterator[Row]:
        match table.name:
            case "body":  # those of an interrupted DATA stay behind
                source = "(SELECT b.* FROM body b JOIN message m ON m.id = b.message) AS body"
            case "usage":
                sums = ", ".join(f"sum({each})::bigint AS {each}" for each in table.adds)
                keys = ", ".join(table.key)
                source = f"(SELECT {keys}, {sums} FROM usage GROUP BY {keys}) AS usage"
            case "setting":
                own = ", ".join(f"'{name}'" for name in OWN_SETTINGS)
                source = (
                    f"(SELECT * FROM setting WHERE name NOT IN ({own})"
                    f" AND name NOT LIKE '{RECEIVED}%') AS setting"
                )
            case _:
                source = table.name
        return self.read(table, source)

    async def grants(self) -> Mapping[Account, Grant]:
        sealed = await self.connection.fetch("SELECT host, username, sealed FROM token")
        if not sealed:
            return {}
        assert self._token_key is not None
        key = self._token_key
        return {(host, user): unseal(key, host, user, token) for host, user, token in sealed}

    async def retire(self) -> None:
        """Emptied; the schema stays."""
        await self.connection.execute(f"TRUNCATE {', '.join(EMPTIED)}")
        await self.connection.execute("COMMIT")


class PostgresTarget(_End):
    """A database, whoever else uses it; make it with `open_target`, `close` it."""

    _fresh = False

    async def received(self, move: str) -> str | None:
        return await self.setting(RECEIVED + move)

    async def begin(self) -> None:
        await super().begin()
        accounts = await self.connection.fetchval("SELECT EXISTS (SELECT 1 FROM account)")
        self._fresh = not accounts

    async def fill(self, table: Table, rows: AsyncIterator[Row]) -> None:
        if table.key:
            await self._merge(table, rows)
            return
        into = table.name
        if into == "message":  # to know later which ones came
            await self.connection.execute("CREATE TEMP TABLE came (LIKE message) ON COMMIT DROP")
            into = "came"
        await self.connection.copy_records_to_table(
            into, records=_flagged(table, rows), columns=table.columns
        )
        if into == "came":
            await self.connection.execute("INSERT INTO message SELECT * FROM came")

    async def _merge(self, table: Table, rows: AsyncIterator[Row]) -> None:
        columns, conflict = table.columns, table.conflict()
        if table.name == "usage":
            columns = (*columns, "node")
            conflict = conflict.replace("minute)", "minute, node)")
        elif table.name == "setting" and self._fresh:
            conflict = "ON CONFLICT (name) DO UPDATE SET value = excluded.value"
        blanks = ", ".join(f"${number + 1}" for number in range(len(columns)))
        statement = f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({blanks}) {conflict}"
        batch: list[Row] = []
        async for row in _flagged(table, rows):
            batch.append((*row, _MOVER) if table.name == "usage" else row)
            if len(batch) >= ROWS_AT_ONCE:
                await self.connection.executemany(statement, batch)
                batch.clear()
        if batch:
            await self.connection.executemany(statement, batch)

    async def keep(self, grants: Mapping[Account, Grant]) -> None:
        if not grants:
            return
        key, at = await self.key(), to_micros(self.clock())
        rows = [(*account, seal(key, *account, grant), at) for account, grant in grants.items()]
        await self.connection.executemany(
            "INSERT INTO token (host, username, sealed, kept_at) VALUES ($1, $2, $3, $4)"
            " ON CONFLICT (host, username) DO NOTHING",
            rows,
        )

    def written(self, table: Table) -> AsyncIterator[Row]:
        key = "id" if table.name == "message" else "message"
        query = f"(SELECT t.* FROM {table.name} t JOIN came ON came.id = t.{key})"
        return self.read(table, f"{query} AS {table.name}")

    async def publish(self, move: str, record: str) -> None:
        await self.connection.execute(
            "INSERT INTO setting (name, value) VALUES ($1, $2)", RECEIVED + move, record
        )
        if await self.connection.execute("COMMIT") != "COMMIT":
            raise TransferError(
                "PostgreSQL heeft alles teruggedraaid; er is niets veranderd",
                "PostgreSQL rolled everything back; nothing was changed",
            )


async def open_source(server: Server, clock: Clock, secret_key: SecretRef | None) -> PostgresSource:
    """Locked against everybody else. Raises TransferError: somebody is at work there; SpoolError."""
    source = PostgresSource(*await _open(server, clock, secret_key), clock)
    try:
        await source.lock()
    except BaseException:
        await source.close()
        raise
    return source


async def open_target(server: Server, clock: Clock, secret_key: SecretRef | None) -> PostgresTarget:
    """Its schema made where there is none. Raises SpoolError."""
    return PostgresTarget(*await _open(server, clock, secret_key), clock)


async def _open(
    server: Server, clock: Clock, secret_key: SecretRef | None
) -> tuple[PostgresSpool, Connection]:
    import asyncpg

    spool = await open_spool(server, clock, secret_key)
    try:
        # No time-out: a statement may carry all mail.
        return spool, await asyncpg.connect(**{**server.arguments(), "command_timeout": None})
    except BaseException:
        await spool.close()
        raise


async def _flagged(table: Table, rows: AsyncIterator[Row]) -> AsyncIterator[Row]:
    """Flags as PostgreSQL has them."""
    flags = [index for index, name in enumerate(table.columns) if name in table.flags]
    async for row in rows:
        changed = list(row)
        for index in flags:
            changed[index] = None if row[index] is None else bool(row[index])
        yield tuple(changed)


def _in_use(who: str) -> TransferError:
    return TransferError(
        f"de spool is in gebruik bij {who}; stop elke relay die hem gebruikt, wacht 30 seconden na"
        " een die niet netjes is gestopt, en doe dit opnieuw",
        f"the spool is in use by {who}; stop each relay that uses it, wait 30 seconds after one"
        " that did not stop in good order, and run this again",
    )
