"""What a power failure leaves is what was synced: each message that got 250 must be in it.

The disk keeps a copy of each file as it was when its last sync returned. After every 250 that
copy is taken for the spool of a machine that lost its power at this very moment. What a disk
does that claims to have synced and has not is beyond this test.
"""

import shutil
from pathlib import Path

import pytest
from fakes.disk_faults import DiskFaults
from fakes.peers import needs
from fakes.relay_process import RelayProcess
from fakes.spool_writer import connection_of

from relay.spool.sqlite import open_spool

pytestmark = needs("cc")

HOLD = '[delivery]\nmode = "hold"\n[[smarthost]]\nname = "isp"\nhost = "127.0.0.1"\nport = 9\ntls = "none"\n'
LARGE = 1_200_000


async def recipients_in(copy: Path) -> set[str]:
    spool = open_spool(copy / "spool.db")
    try:
        assert connection_of(spool).execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        _, views = await spool.queue.page(None, 1000)
        for view in views:
            assert len(b"".join([piece async for piece in spool.queue.body(view.id)])) == view.bytes
        return {each.address for view in views for each in view.recipients}
    finally:
        await spool.close()


@pytest.mark.timeout(120)
async def test_each_250_is_on_the_disk(tmp_path: Path) -> None:
    relay = RelayProcess(tmp_path, HOLD)
    relay.spool = tmp_path / "spool" / "spool.db"
    relay.spool.parent.mkdir()
    faults = DiskFaults(tmp_path / "faults", relay.spool.parent)
    relay.environment = faults.recording
    acknowledged: set[str] = set()
    with relay:
        for number in range(25):
            name = f"klant{number}@example.net"
            size = LARGE if number % 8 == 7 else 4000
            relay.send("info@mijnbakkerij.nl", [name], b"Subject: x\r\n\r\n" + b"y" * size)
            acknowledged.add(name)
            copy = tmp_path / f"copy{number}"
            shutil.copytree(faults.synced, copy)
            assert acknowledged - await recipients_in(copy) == set()
            shutil.rmtree(copy)
