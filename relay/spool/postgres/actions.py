"""What an operator, or a new configuration, does to messages in PostgreSQL: any number in a few
statements, each within the caller's transaction.

The rows of `message` are locked first, in order, then those of `queue`: a claim of another node
either came before and is seen, or passes the message by.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from presets.reply import Reply
from relay.spool.model import NewMessage, Waiting
from relay.spool.postgres import statistics
from relay.spool.postgres.columns import report
from relay.spool.postgres.sql import statements
from relay.spool.rows import reply_columns
from relay.spool.view import Acted

if TYPE_CHECKING:
    from relay.spool.postgres.server import Connection

SQL = statements("queue.sql")

_OF_A_MESSAGE = ("recipients", "attempts", "counted", "queue", "messages")


async def lock(connection: Connection, ids: Sequence[int]) -> list[int]:
    """Keep others from these messages; those that are known, in order."""
    known = [row[0] for row in await connection.fetch(SQL["lock"], list(ids))]
    await connection.fetch(SQL["lock_queue"], known)
    return known


async def act(
    connection: Connection, statement: str, ids: Sequence[int], now: int, *values: object
) -> Acted:
    """Do `statement` to the messages and tell what became of each."""
    wanted = list(dict.fromkeys(ids))
    known = await lock(connection, wanted)
    rows = await connection.fetch(SQL[statement], known, *values)
    changed = {row[0] for row in rows}
    await align_queue(connection, list(changed), now)
    if statement == "delete":
        await finish_if_done(connection, list(changed), now)
    there = set(known)
    return Acted(
        changed=tuple(each for each in wanted if each in changed),
        unchanged=tuple(each for each in wanted if each in there - changed),
        unknown=tuple(each for each in wanted if each not in there),
    )


async def align_queue(connection: Connection, ids: Sequence[int], now: int) -> None:
    """Make the queue rows of these messages those of their recipients' lanes."""
    if ids:
        await connection.execute(SQL["queue_missing"], ids, now)
        await connection.execute(SQL["unqueue"], ids)


async def finish_if_done(connection: Connection, ids: Sequence[int], now: int) -> None:
    """A message that nobody waits for any more loses its body."""
    finished = [row[0] for row in await connection.fetch(SQL["finish"], list(ids), now)]
    if finished:
        await connection.execute(SQL["drop_bodies"], finished)


async def relane(connection: Connection, moves: Sequence[tuple[int, int, str]]) -> None:
    """Give recipients, as (message, position, lane), their new lane; due times stay.

    What is under way stays: its worker settles it.
    """
    if not moves:
        return
    ids = await lock(connection, sorted({message for message, _, _ in moves}))
    messages, positions, lanes = zip(*moves, strict=True)
    values = (list(messages), list(positions), list(lanes))
    await connection.execute(SQL["move_waiting"], *values)
    await connection.execute(SQL["queue_moved"], ids)
    await connection.execute(SQL["unqueue"], ids)


async def waiting(
    connection: Connection, lane: str | None, after: int, limit: int
) -> tuple[tuple[Waiting, ...], int | None]:
    """Who waits, of a page of messages, and the id to go on after."""
    if lane is None:
        ids = [row[0] for row in await connection.fetch(SQL["ids_unfinished"], after, limit)]
        rows = await connection.fetch(SQL["waiting_anywhere"], ids)
    else:
        ids = [row[0] for row in await connection.fetch(SQL["ids_in_lane"], after, lane, limit)]
        rows = await connection.fetch(SQL["waiting_in_lane"], ids, lane)
    return tuple(Waiting(*row) for row in rows), ids[-1] if len(ids) == limit else None


async def hold_expired(connection: Connection, now: int) -> tuple[int, ...]:
    """Hold unleased messages past their lifetime whose lane is blocked."""
    rows = await connection.fetch(SQL["expired"], now)
    ids = await lock(connection, [row[0] for row in rows])
    if not ids:
        return ()
    held = {row[0] for row in await connection.fetch(SQL["hold_expired"], ids, now)}
    await align_queue(connection, list(held), now)
    return tuple(sorted(held))


async def fail(
    connection: Connection,
    settlements: Sequence[tuple[int, Reply, tuple[NewMessage, bytes] | None]],
    now: int,
) -> None:
    """Give held messages up, each with its reply and its DSN."""
    ids = await lock(connection, sorted({message for message, _, _ in settlements}))
    for message, reply, dsn in settlements:
        values = (*reply_columns(reply), now)
        status = await connection.execute(SQL["fail_held"], message, *values)
        if dsn is not None and not status.endswith(" 0"):
            arrival = report(*dsn)
            text = json.dumps([{**arrival.columns, "piece": 1}], ensure_ascii=False)
            await connection.execute(SQL["accept"], text, [arrival.piece])
    await finish_if_done(connection, ids, now)


async def purge(connection: Connection, before: int, limit: int) -> int:
    """Forget finished messages with their recipients and attempts; the statistics keep them."""
    ids = [row[0] for row in await connection.fetch(SQL["purgeable"], before, limit)]
    await statistics.count(connection, ids)
    for part in _OF_A_MESSAGE:
        await connection.execute(SQL[f"forget_{part}"], ids)
    return len(ids)
