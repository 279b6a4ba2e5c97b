"""A spool of either kind for the same tests: opened, changed behind its back, opened again."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path
from threading import Thread
from typing import Protocol

from fakes.postgresql import PostgreSQL

from relay.clock import utc_now
from relay.config.secret import SecretRef
from relay.spool.postgres import Server
from relay.spool.postgres import open_spool as open_postgres
from relay.spool.postgres.store import PostgresSpool
from relay.spool.sqlite import SqliteSpool
from relay.spool.sqlite import open_spool as open_sqlite
from relay.spool.sqlite.deeds import execute
from relay.spool.sqlite.recent import Recent

AnySpool = SqliteSpool | PostgresSpool
Clock = Callable[[], datetime]


class Store(Protocol):
    """Where a spool is."""

    async def open(self, clock: Clock = utc_now, secret_key: SecretRef | None = None) -> AnySpool:
        """Open it, as a process that does not serve."""

    async def change(self, spool: AnySpool, sql: str) -> None:
        """Change rows behind its back."""

    def rows(self, sql: str) -> list[tuple[str, ...]]:
        """What is in it, as text."""


class SqliteStore:
    """A file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    async def open(self, clock: Clock = utc_now, secret_key: SecretRef | None = None) -> AnySpool:
        return open_sqlite(self.path, clock, secret_key)

    async def change(self, spool: AnySpool, sql: str) -> None:
        assert isinstance(spool, SqliteSpool)
        await spool._writer.run(execute, sql, ())
        spool.queue._recent = Recent()  # as after a restart

    def rows(self, sql: str) -> list[tuple[str, ...]]:
        with closing(sqlite3.connect(self.path)) as connection:
            return [tuple(map(str, row)) for row in connection.execute(sql)]


class PostgresStore:
    """A database of its own."""

    def __init__(self, postgresql: PostgreSQL) -> None:
        self.postgresql = postgresql
        self.database = postgresql.database(_template(postgresql))

    @property
    def url(self) -> str:
        """As `[spool] url` has it."""
        return self.postgresql.url(self.database)

    async def open(
        self,
        clock: Clock = utc_now,
        secret_key: SecretRef | None = None,
        *,
        node: str | None = None,
        serving: bool = False,
        url: str | None = None,
    ) -> PostgresSpool:
        server = Server(url or self.url)
        return await open_postgres(server, clock, secret_key, node=node, serving=serving)

    async def change(self, spool: AnySpool, sql: str) -> None:
        await asyncio.to_thread(self.sql, sql)

    def rows(self, sql: str) -> list[tuple[str, ...]]:
        return [tuple(line.split("|")) for line in self.sql(sql).splitlines()]

    def sql(self, sql: str) -> str:
        """What a statement gives, or changes."""
        return self.postgresql.psql(sql, self.database)

    def forget(self) -> None:
        """The database is gone, whoever has it open."""
        self.postgresql.drop(self.database)


_templates: dict[int, str] = {}


def _template(postgresql: PostgreSQL) -> str:
    """A database with the schema of now: a copy costs less than to make it."""
    if postgresql.port not in _templates:
        name = postgresql.database()

        async def make() -> None:
            await (await open_postgres(Server(postgresql.url(name)))).close()

        thread = Thread(target=lambda: asyncio.run(make()))  # the test has a loop of its own
        thread.start()
        thread.join()
        _templates[postgresql.port] = name
    return _templates[postgresql.port]
