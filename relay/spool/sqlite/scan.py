"""Every row of a damaged table that can still be read."""

import sqlite3
from collections import deque
from collections.abc import Generator, Iterator

Row = tuple[object, ...]

_MOST_FAILURES = 1000  # queries that may fail in one table


class Scan:
    """The rows of `table` by `key`, an integer column that leads its primary key.

    Reading runs into the damage from below and from above; what lies between is halved until
    nothing more comes of it. Rows may come twice.
    """

    def __init__(self, connection: sqlite3.Connection, table: str, key: str) -> None:
        self.failures = 0
        self._connection = connection
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        self.columns = tuple(columns)
        self._key = columns.index(key)
        # By its primary key: an index may be damaged where the table is not.
        self._select = f"SELECT * FROM {table} WHERE {key} BETWEEN ? AND ? ORDER BY {key}"

    def rows(self) -> Iterator[Row]:
        """What can be read."""
        pending = deque([(-(1 << 63), (1 << 63) - 1)])
        while pending and self.failures < _MOST_FAILURES:
            low, high = pending.popleft()
            bottom = yield from self._run(self._select, low, high)
            if bottom is None:
                continue
            top = yield from self._run(f"{self._select} DESC", bottom, high)
            if top is None or top - bottom <= 1:
                continue
            middle = (bottom + top) // 2
            pending += [(bottom + 1, middle), (middle + 1, top - 1)]

    def _run(self, sql: str, low: int, high: int) -> Generator[Row, None, int | None]:
        """The rows up to the damage, and the last key before it; None: there is no damage."""
        last = high if sql.endswith("DESC") else low
        try:
            for row in self._connection.execute(sql, (low, high)):
                found = row[self._key]
                if isinstance(found, int):
                    last = found
                yield row
        except sqlite3.DatabaseError:
            self.failures += 1
            return last
        return None


def from_both_ends(connection: sqlite3.Connection, table: str) -> Iterator[Row]:
    """The rows of a small table before the damage, and those behind it; some may come twice."""
    keys = [row for row in connection.execute(f"PRAGMA table_info({table})") if row[5] == 1]
    for direction in ("", "DESC"):
        try:
            yield from connection.execute(
                f"SELECT * FROM {table} ORDER BY {keys[0][1] if keys else 'rowid'} {direction}"
            )
            return
        except sqlite3.DatabaseError:
            continue
