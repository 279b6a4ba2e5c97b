"""What a long queue costs: the restart, new mail, memory.

Of the messages that wait, one half is for another smarthost, which refuses connections, and is
due; the other half is for the smarthost of the new mail, and due tomorrow.
"""

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from bench.counted import CountingSmarthost, Offer
from bench.load import Load
from bench.memory import most_since_start, resident
from bench.peers import Relay, Upstream
from bench.throughput import alternate, summary, warm_up
from fakes.certificates import Authority
from fakes.stocked_spool import add_message, multiply

from relay.spool.sqlite import open_spool

_AWAY = """
[[smarthost]]
name = "away"
host = "127.0.0.1"
port = 1
tls = "none"

[[route]]
recipient = "*@away.example"
smarthost = ["away"]
"""
_CONTENT = b"Subject: factuur\r\n\r\n" + (b"x" * 78 + b"\r\n") * 50


def stock(path: Path, messages: int) -> None:
    """A new spool at `path` in which this many messages wait."""

    async def first() -> None:
        spool = open_spool(path)
        await add_message(spool, ["klant@isp.example"], body=_CONTENT)
        await spool.close()

    asyncio.run(first())
    multiply(path, messages)
    now = time.time_ns() // 1000
    day = 86_400_000_000
    with closing(sqlite3.connect(path)) as spool:
        spool.execute("UPDATE message SET received_at = ?, expires_at = ?", (now, now + 5 * day))
        spool.execute("UPDATE queue SET due_at = ?", (now + day,))
        spool.execute("UPDATE queue SET lane = 'away', due_at = ? WHERE message % 2", (now,))
        spool.execute(
            "UPDATE recipient SET lane = 'away', address = 'klant@away.example' WHERE message % 2"
        )
        spool.commit()


def backlogs(
    depths: Sequence[int], load: Load, rounds: int, authority: Authority
) -> list[dict[str, Any]]:
    """A row for each depth; the rounds alternate between relays with these queues."""
    rows: list[dict[str, Any]] = []
    certificate = authority.issue()
    with ExitStack() as stack:
        pairs: list[tuple[Relay, CountingSmarthost]] = []
        for depth in depths:
            smarthost = stack.enter_context(CountingSmarthost(Offer(), certificate))
            relay = Relay(Upstream(smarthost.port, False, authority.ca_file))
            stack.callback(relay.close)
            relay.name = f"{depth} queued"
            relay.tables += _AWAY
            if depth:
                stock(relay.spool, depth)
            relay.start()
            rows.append({"queued": depth, "ready_seconds": round(relay.ready_seconds, 2)})
            pairs.append((relay, smarthost))
        warm_up(pairs, load)
        results = alternate(pairs, load, rounds)
        for row, (relay, _) in zip(rows, pairs, strict=True):
            row |= {"resident_bytes": resident(relay), "peak_bytes": most_since_start(relay)}
    for row in rows:
        of_this = [one for one in results if one.peer == f"{row['queued']} queued"]
        row |= summary(of_this)
        row["of_empty"] = round(row["rate"] / rows[0]["rate"], 2)
        row["valid"] = all(one.valid for one in of_this)
    return rows
