"""A restart with a long queue: soon ready, lean, and gentle with the smarthost.

`BACKLOG=100000 pytest tests/relay/test_end_to_end_backlog.py` is the long form.
"""

import asyncio
import os
import re
import time
from pathlib import Path

import pytest
from fakes.relay_process import RelayProcess
from fakes.smarthost import Smarthost
from fakes.stocked_spool import add_message, multiply

from relay.spool.sqlite import open_spool

BACKLOG = int(os.environ.get("BACKLOG", "10000"))
CONTENT = b"Subject: factuur\r\n\r\n" + b"x" * 4000 + b"\r\n"


def stock(path: Path) -> None:
    async def first() -> None:
        spool = open_spool(path)
        await add_message(spool, body=CONTENT)
        await spool.close()

    asyncio.run(first())
    multiply(path, BACKLOG)


def resident_bytes(relay: RelayProcess) -> int:
    assert relay._process is not None
    status = Path(f"/proc/{relay._process.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


@pytest.mark.timeout(300)
def test_a_restart_with_a_long_queue(tmp_path: Path) -> None:
    with Smarthost() as smarthost:
        relay = RelayProcess(
            tmp_path,
            f'[[smarthost]]\nname = "isp"\nhost = "127.0.0.1"\nport = {smarthost.port}\n'
            'tls = "none"\nmax_connections = 3\n',
        )
        stock(relay.spool)
        began = time.monotonic()
        with relay:
            ready_seconds = time.monotonic() - began
            smarthost.wait_for(300, 60)
            relay.send("info@mijnbakkerij.nl", ["nieuw@example.net"], CONTENT)
            listed = relay.run("queue", "list", "--json", "--limit", "10").json
            most_bytes = resident_bytes(relay)
        print({"queued": BACKLOG, "ready_seconds": ready_seconds, "resident_bytes": most_bytes})
        assert ready_seconds < 10
        assert most_bytes < 200_000_000
        assert 1 <= smarthost.most_connections <= 3
        assert len(smarthost.accepted) >= 300
        assert BACKLOG - len(smarthost.accepted) <= listed["total"] <= BACKLOG - 299
