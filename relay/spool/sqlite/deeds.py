"""Small deeds: work for the writer, which may be in a process of its own."""

import sqlite3
from collections.abc import Sequence

from relay.spool.sqlite.sql import statements

SQL = statements("ledger.sql")


def execute(connection: sqlite3.Connection, statement: str, values: Sequence[object]) -> int:
    """How many rows the statement changed."""
    return connection.execute(statement, values).rowcount


def execute_many(
    connection: sqlite3.Connection, statement: str, rows: Sequence[Sequence[object]]
) -> int:
    """How many rows the statement changed, run for each of `rows`."""
    return connection.executemany(statement, rows).rowcount


def adopt(connection: sqlite3.Connection, values: Sequence[object]) -> None:
    """An adopted device, by address, name and time; it is no longer a refused one."""
    connection.execute(SQL["adopt"], values)
    connection.execute(SQL["no_longer_refused"], values[:1])
