"""Messages sought by what people know of them. Read-only, and bounded however many there are.

A search goes from the newest message to older ones by the primary key, or for what is unfinished
by that index, and looks at `WINDOW` messages at most; who wants more asks again from where it
ended.
"""

import sqlite3
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from presets.reply import Reply
from relay.spool.ids import id_number
from relay.spool.model import State
from relay.spool.rows import clean, from_micros, optional_time, to_micros, to_reply
from relay.spool.search import Found, FoundMessage, Search
from relay.spool.sqlite.sql import statements
from relay.spool.sqlite.views import SQL as VIEWS
from relay.spool.view_rows import ORDER, WHERE, next_attempt_at, waiting_for

SQL = statements("search.sql")

WINDOW = 50_000
"""Messages that one search looks at."""

MOST_RECIPIENTS = 5
"""Named with each message."""

_ABOVE_ALL = (1 << 63) - 1
_UNFINISHED = (State.HELD, State.QUEUED)
_LIKE = "LIKE ? ESCAPE '\\'"
_HAS_RECIPIENT = f"EXISTS (SELECT 1 FROM recipient s WHERE s.message = m.id AND s.address {_LIKE})"
_ANYWHERE = (
    f"(m.reverse_path {_LIKE} OR m.subject {_LIKE} OR m.client {_LIKE} OR m.message_id {_LIKE}"
    f" OR {_HAS_RECIPIENT})"
)


def search(
    connection: sqlite3.Connection, wanted: Search, before: int | None, limit: int, now: datetime
) -> Found:
    """The newest `limit` messages with an id below `before` that fit; an id as text finds its own."""
    connection.execute("BEGIN")  # one moment: none is forgotten halfway
    try:
        return _search(connection, wanted, before, limit, now)
    finally:
        connection.execute("COMMIT")


def _search(
    connection: sqlite3.Connection, wanted: Search, before: int | None, limit: int, now: datetime
) -> Found:
    top = _ABOVE_ALL if before is None else before
    known = id_number(wanted.text or "")
    if known is not None and before is None:
        exact = _messages(connection, f"{SQL['found']} WHERE m.id = ?", (known,), wanted, now)
        if exact:
            return Found(exact, None)
    bottom = _window(connection, wanted, top)
    where, values = _conditions(wanted)
    query = f"{SQL['found']} WHERE {where} ORDER BY m.id DESC LIMIT ?"
    last = -1 if bottom is None else bottom
    found = _messages(connection, query, (top, last, *values, limit), wanted, now)
    return Found(found, found[-1].id if len(found) == limit else bottom)


def _window(connection: sqlite3.Connection, wanted: Search, top: int) -> int | None:
    """The last id that this search looks at; None: there are no more than it may look at."""
    unfinished = wanted.state in _UNFINISHED
    statement = SQL["window_unfinished" if unfinished else "window"]
    row = connection.execute(statement, (top, WINDOW - 1)).fetchone()
    return None if row is None else int(row[0])


def _conditions(wanted: Search) -> tuple[str, list[object]]:
    conditions, values = ["m.id < ? AND m.id >= ?"], list[object]()
    if wanted.state is not None:
        conditions.append(WHERE[wanted.state])
    if wanted.client is not None:
        conditions.append("m.client = ?")
        values.append(clean(wanted.client))
    if wanted.sender is not None:
        conditions.append(f"m.reverse_path {_LIKE}")
        values.append(_pattern(wanted.sender))
    if wanted.recipient is not None:
        conditions.append(_HAS_RECIPIENT)
        values.append(_pattern(wanted.recipient))
    if wanted.text is not None:
        conditions.append(_ANYWHERE)
        values += [_pattern(wanted.text)] * _ANYWHERE.count("?")
    return " AND ".join(conditions), values


def _pattern(text: str) -> str:
    escaped = clean(text).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def _messages(
    connection: sqlite3.Connection,
    query: str,
    values: tuple[object, ...],
    wanted: Search,
    now: datetime,
) -> tuple[FoundMessage, ...]:
    rows = connection.execute(query, values).fetchall()
    sought = _pattern(wanted.recipient or wanted.text or "")
    return tuple(_rows_to_messages(connection, rows, sought, to_micros(now)))


def _rows_to_messages(
    connection: sqlite3.Connection, rows: list[Any], sought: str, now: int
) -> Iterator[FoundMessage]:
    for message, received_at, finished_at, client, sender, subject, size_bytes, in_doubt in rows:
        states = {
            state: (number, sandbox)
            for state, number, sandbox in connection.execute(SQL["states"], (message,))
        }
        state = next(state for state in ORDER if state.value in states)
        queue = connection.execute(VIEWS["view_queue"], (message,)).fetchall()
        named = connection.execute(SQL["recipients"], (message, sought, MOST_RECIPIENTS))
        yield FoundMessage(
            id=message,
            state=state,
            waiting_for=waiting_for(state, bool(states[state.value][1]), queue, now),
            in_doubt=bool(in_doubt),
            received_at=from_micros(received_at),
            finished_at=optional_time(finished_at),
            client=client,
            sender=sender,
            recipients=tuple(address for (address,) in named),
            recipient_count=sum(number for number, _ in states.values()),
            subject=subject,
            bytes=size_bytes,
            next_attempt_at=next_attempt_at(queue),
            last_reply=_last_reply(connection, message),
        )


def _last_reply(connection: sqlite3.Connection, message: int) -> Reply | None:
    for statement in ("last_reply", "recipient_reply"):
        row = connection.execute(SQL[statement], (message,)).fetchone()
        if row is not None:
            return to_reply(*row)
    return None
