"""Messages sought by what people know of them. Read-only, and bounded however many there are; see
`relay.spool.sqlite.search`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from presets.reply import Reply
from relay.spool.ids import id_number
from relay.spool.model import State
from relay.spool.postgres.sql import statements
from relay.spool.postgres.views import queue_rows
from relay.spool.rows import clean, from_micros, optional_time, to_micros, to_reply
from relay.spool.search import Found, FoundMessage, Search
from relay.spool.sqlite.search import MOST_RECIPIENTS, WINDOW
from relay.spool.view_rows import ORDER, WHERE, next_attempt_at, waiting_for

if TYPE_CHECKING:
    from relay.spool.postgres.server import Connection

SQL = statements("search.sql")

_ABOVE_ALL = (1 << 63) - 1
_UNFINISHED = (State.HELD, State.QUEUED)
_LIKE = "ILIKE {} ESCAPE '\\'"
_HAS_RECIPIENT = f"EXISTS (SELECT 1 FROM recipient s WHERE s.message = m.id AND s.address {_LIKE})"
_ANYWHERE = (
    f"(m.reverse_path {_LIKE} OR m.subject {_LIKE} OR m.client {_LIKE} OR m.message_id {_LIKE}"
    f" OR {_HAS_RECIPIENT})"
)


async def search(
    connection: Connection, wanted: Search, before: int | None, limit: int, now: datetime
) -> Found:
    """The newest `limit` messages with an id below `before` that fit; an id as text finds its own."""
    top = _ABOVE_ALL if before is None else before
    known = id_number(wanted.text or "")
    if known is not None and before is None:
        exact = await _messages(connection, "m.id = $1", [known], wanted, now)
        if exact:
            return Found(exact, None)
    bottom = await _window(connection, wanted, top)
    where, values = _conditions(wanted, top, -1 if bottom is None else bottom)
    where += f" ORDER BY m.id DESC LIMIT ${len(values) + 1}"
    found = await _messages(connection, where, [*values, limit], wanted, now)
    return Found(found, found[-1].id if len(found) == limit else bottom)


async def _window(connection: Connection, wanted: Search, top: int) -> int | None:
    """The last id that this search looks at; None: there are no more than it may look at."""
    statement = "window_unfinished" if wanted.state in _UNFINISHED else "window"
    found: int | None = await connection.fetchval(SQL[statement], top, WINDOW - 1)
    return found


def _conditions(wanted: Search, top: int, bottom: int) -> tuple[str, list[object]]:
    conditions, values = ["m.id < $1 AND m.id >= $2"], list[object]([top, bottom])

    def add(condition: str, value: str) -> None:
        values.append(value)
        conditions.append(condition.replace("{}", f"${len(values)}"))

    if wanted.state is not None:
        conditions.append(WHERE[wanted.state])
    if wanted.client is not None:
        add("m.client = {}", clean(wanted.client))
    if wanted.sender is not None:
        add(f"m.reverse_path {_LIKE}", _pattern(wanted.sender))
    if wanted.recipient is not None:
        add(_HAS_RECIPIENT, _pattern(wanted.recipient))
    if wanted.text is not None:
        add(_ANYWHERE, _pattern(wanted.text))
    return " AND ".join(conditions), values


def _pattern(text: str) -> str:
    escaped = clean(text).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


async def _messages(
    connection: Connection, where: str, values: Sequence[object], wanted: Search, now: datetime
) -> tuple[FoundMessage, ...]:
    rows = await connection.fetch(f"{SQL['found']} WHERE {where}", *values)
    ids = [row[0] for row in rows]
    states: dict[int, dict[str, tuple[int, int]]] = defaultdict(dict)
    for message, state, number, sandbox in await connection.fetch(SQL["states"], ids):
        states[message][state] = (number, sandbox)
    sought = _pattern(wanted.recipient or wanted.text or "")
    named = defaultdict(list)
    values = (ids, sought, MOST_RECIPIENTS)
    for message, address in await connection.fetch(SQL["recipients"], *values):
        named[message].append(address)
    queue = await queue_rows(connection, ids)
    replies = await _last_replies(connection, ids)
    found = []
    for message, received_at, finished_at, client, sender, subject, size_bytes, in_doubt in rows:
        mine = states[message]
        state = next(state for state in ORDER if state.value in mine)
        rows_of_it = queue.get(message, [])
        found.append(
            FoundMessage(
                id=message,
                state=state,
                waiting_for=waiting_for(state, mine[state][1] > 0, rows_of_it, to_micros(now)),
                in_doubt=in_doubt,
                received_at=from_micros(received_at),
                finished_at=optional_time(finished_at),
                client=client,
                sender=sender,
                recipients=tuple(named[message]),
                recipient_count=sum(number for number, _ in mine.values()),
                subject=subject,
                bytes=size_bytes,
                next_attempt_at=next_attempt_at(rows_of_it),
                last_reply=replies.get(message),
            )
        )
    return tuple(found)


async def _last_replies(connection: Connection, ids: list[int]) -> dict[int, Reply | None]:
    found = {}
    for statement in ("recipient_replies", "last_replies"):
        for message, *reply in await connection.fetch(SQL[statement], ids):
            found[message] = to_reply(*reply)
    return found
