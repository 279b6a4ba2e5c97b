"""The queue of PostgreSQL by itself: claim and settle, with more and more rows beside."""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from bench.probe import milliseconds
from bench.server_cost import used_by_server
from fakes.postgresql import PostgreSQL
from fakes.stocked_spool import add_message
from tabulate import tabulate

from presets.reply import Reply
from relay.spool.model import AttemptRecord, Claim, Outcome, RecipientResult, Settlement, State
from relay.spool.postgres import Server, open_spool
from relay.spool.postgres.store import PostgresSpool

_LANE = "isp"
_WORKERS = 20
_CONTENT = b"Subject: factuur\r\n\r\n" + (b"x" * 78 + b"\r\n") * 50


def claims(depths: Sequence[int], counts: Sequence[int], messages: int) -> list[dict[str, Any]]:
    """A row for each depth and number of nodes: so many of the messages that wait are claimed and
    settled, by 20 workers in all, until `depth` are left. All nodes are in this one process."""
    with PostgreSQL() as server:
        return [
            asyncio.run(_run(server, depth, count, messages))
            for depth in depths
            for count in counts
        ]


async def _run(server: PostgreSQL, depth: int, count: int, messages: int) -> dict[str, Any]:
    database = server.database()
    nodes = [
        await open_spool(Server(server.url(database)), node=f"node{number}")
        for number in range(count)
    ]
    try:
        await _stock(server, database, nodes[0], depth + messages)
        times: list[float] = []
        server_before, here_before = used_by_server(server), time.process_time()
        began = time.monotonic()
        ends = await _drain(nodes, messages, times)
        seconds = ends[-1] - began
        here, there = time.process_time() - here_before, used_by_server(server) - server_before
        left = server.psql("SELECT count(*), count(lease_owner) FROM queue", database)
    finally:
        for node in nodes:
            await node.close()
    server.drop(database)
    half = ends[len(ends) // 2 - 1]
    rates = [len(ends) // 2 / (half - began), (len(ends) - len(ends) // 2) / (ends[-1] - half)]
    return {
        "queued": depth,
        "nodes": count,
        "rate": round(messages / seconds, 1),
        "rate_of_halves": [round(rate, 1) for rate in rates],
        "claim": milliseconds(times),
        "server_milliseconds": round(there / messages * 1000, 3),
        "store_milliseconds": round(here / messages * 1000, 3),
        "valid": left == f"{depth}|0" and len(ends) == messages,
    }


async def _stock(server: PostgreSQL, database: str, node: PostgresSpool, messages: int) -> None:
    """So many messages, due in the order of their ids."""
    await add_message(node, body=_CONTENT)
    for table in ("message", "body", "recipient", "queue"):
        key = "id" if table == "message" else "message"
        names = server.psql(
            "SELECT string_agg(column_name, ', ') FROM information_schema.columns"
            f" WHERE table_name = '{table}' AND column_name <> '{key}'",
            database,
        )
        server.psql(
            f"INSERT INTO {table} ({key}, {names}) SELECT {key} + number, {names}"
            f" FROM {table}, generate_series(1, {messages - 1}) AS number",
            database,
        )
    now = int(datetime.now(UTC).timestamp() * 1_000_000)
    first = "(SELECT min(message) FROM queue)"
    server.psql(f"UPDATE queue SET due_at = {now - messages} + message - {first}", database)
    server.psql("VACUUM ANALYZE", database)
    server.psql("CHECKPOINT", database)


async def _drain(nodes: Sequence[PostgresSpool], messages: int, times: list[float]) -> list[float]:
    """When each was settled. `times` gets how long each claim took."""
    ends: list[float] = []
    left = iter(range(messages))

    async def work(node: PostgresSpool) -> None:
        for _ in left:
            asked = time.monotonic()
            [claim] = await node.queue.claim(_LANE, 1)
            times.append(time.monotonic() - asked)
            if await node.queue.settle(_delivered(claim)):
                ends.append(time.monotonic())

    await asyncio.gather(*(work(nodes[place % len(nodes)]) for place in range(_WORKERS)))
    return ends


def _delivered(claim: Claim) -> Settlement:
    reply = Reply(250, "2.0.0", "taken")
    result = RecipientResult(0, State.DELIVERED, reply)
    attempt = AttemptRecord(Outcome.DELIVERED, (0,), "dot", "192.0.2.1", 0.1, reply)
    return Settlement(claim, datetime.now(UTC), (result,), (attempt,))


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Claims a second by depth."""
    lines = [
        [
            *(row["queued"], row["nodes"]),
            f"{row['rate']:.0f}" if row["valid"] else "VOID: not each was settled once",
            " / ".join(f"{rate:.0f}" for rate in row["rate_of_halves"]),
            *(row["claim"]["p50"], row["claim"]["p99"]),
            *(f"{row['server_milliseconds']:.2f}", f"{row['store_milliseconds']:.2f}"),
        ]
        for row in rows
    ]
    headers = ["queued", "nodes", "claimed and settled/s", "first, second half", "claim: p50 ms"]
    headers += ["p99", "CPU ms: PostgreSQL", "the stores"]
    text: str = tabulate(lines, headers, disable_numparse=True)
    return text
