"""A disk that fails, is slow, or is held by another program, under a real `relay serve`."""

import errno
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fakes.disk_faults import DiskFaults
from fakes.peers import needs
from fakes.raw_client import RawClient
from fakes.relay_process import RelayProcess
from fakes.script import Action, Behaviour
from fakes.smarthost import Smarthost

from relay.spool.sqlite import open_spool

pytestmark = needs("cc")

TROUBLE = "451 4.3.0 trouble in the relay, nothing is lost"
SENDER = "info@mijnbakkerij.nl"
CONTENT = b"Subject: factuur\r\n\r\n" + b"x" * 3000
HOLD = '[delivery]\nmode = "hold"\n'
NOBODY = '[[smarthost]]\nname = "isp"\nhost = "127.0.0.1"\nport = 9\ntls = "none"\n'


def relay_with(tmp_path: Path, tables: str) -> tuple[RelayProcess, DiskFaults]:
    relay = RelayProcess(tmp_path, tables)
    relay.spool = tmp_path / "spool" / "spool.db"
    relay.spool.parent.mkdir()
    faults = DiskFaults(tmp_path / "faults", relay.spool.parent)
    relay.environment = faults.environment
    return relay, faults


@pytest.fixture
def failing(tmp_path: Path) -> Iterator[tuple[RelayProcess, DiskFaults]]:
    """A relay that keeps what it takes, and its disk."""
    relay, faults = relay_with(tmp_path, HOLD + NOBODY)
    with relay:
        yield relay, faults


@pytest.fixture
def sound(tmp_path: Path) -> Iterator[RelayProcess]:
    """A relay that keeps what it takes, on a disk that nothing is wrong with."""
    with RelayProcess(tmp_path, HOLD + NOBODY) as relay:
        yield relay


def send(relay: RelayProcess, recipient: str, content: bytes = CONTENT) -> str:
    """The reply to the final dot, or the first one that is no 250."""
    with relay.connect() as client:
        client.reply()
        client.command("HELO kassa")
        for command in (f"MAIL FROM:<{SENDER}>", f"RCPT TO:<{recipient}>"):
            reply = client.command(command)
            if not reply.startswith("250"):
                return reply
        return client.message(content)


def problems(relay: RelayProcess) -> set[str]:
    return {each["id"] for each in relay.run("status", "--json").json["problems"]}


async def recipients_in(path: Path) -> set[str]:
    spool = open_spool(path)
    try:
        _, views = await spool.queue.page(None, 1000)
        return {each.address for view in views for each in view.recipients}
    finally:
        await spool.close()


@pytest.mark.parametrize(
    ("call", "error"), [("sync", errno.EIO), ("write", errno.EIO), ("write", errno.EROFS)]
)
async def test_a_disk_that_fails_promises_nothing_and_is_looked_at_before_it_does_again(
    failing: tuple[RelayProcess, DiskFaults], call: Any, error: int
) -> None:
    relay, faults = failing
    assert send(relay, "voor@example.net").startswith("250")
    faults.order("errno", call, value=error)
    assert send(relay, "in@example.net").startswith(TROUBLE)
    relay.wait_for_event("alert")
    assert "spool-failing" in problems(relay)
    # As long as it fails, and until it has been looked at.
    assert send(relay, "in@example.net").startswith(TROUBLE)
    faults.clear()
    relay.wait_for_event("disk-works")
    assert problems(relay) == set()
    assert send(relay, "na@example.net").startswith("250")
    relay.kill9()
    found = await recipients_in(relay.spool)
    assert {"voor@example.net", "na@example.net"} <= found
    assert found <= {"voor@example.net", "na@example.net", "in@example.net"}


async def test_what_a_failed_sync_left_in_the_log_is_nothing_to_build_on(
    tmp_path: Path,
) -> None:
    # The kernel may forget what it could not sync and say nothing the next time. What comes after
    # it in the same file would be unreadable when power fails. So it is written back first.
    relay, faults = relay_with(tmp_path, HOLD + NOBODY)
    with relay:
        assert send(relay, "voor@example.net").startswith("250")
        wal = relay.spool.with_name("spool.db-wal")
        salts = wal.read_bytes()[16:24]
        faults.order("errno", "sync", count=1, value=errno.EIO)
        assert send(relay, "in@example.net").startswith(TROUBLE)
        relay.wait_until(lambda: send(relay, "na@example.net").startswith("250"))
        assert wal.read_bytes()[16:24] != salts
        copy = tmp_path / "copy"
        shutil.copytree(relay.spool.parent, copy)
    assert {"voor@example.net", "na@example.net"} <= await recipients_in(copy / "spool.db")


async def test_an_outcome_that_meets_a_failing_disk_is_recorded_later_and_sent_once(
    tmp_path: Path,
) -> None:
    gate = threading.Event()
    slow = Behaviour(script={"DOT": Action("250 2.0.0 taken", wait_for=gate)})
    with Smarthost(slow) as smarthost:
        relay, faults = relay_with(tmp_path, NOBODY.replace("port = 9", f"port = {smarthost.port}"))
        with relay:
            for number in range(4):
                assert send(relay, f"klant{number}@example.net").startswith("250")
            smarthost.wait_until(lambda: smarthost._times["DOT"] == 2)
            faults.order("errno", "sync", value=errno.EIO)
            gate.set()
            relay.wait_for_event("alert", 2)
            assert len(smarthost.received) == 2  # no attempt begins that could not be recorded
            faults.clear()
            smarthost.wait_for(4)
            relay.wait_for_event("delivered", 4)
        assert len(smarthost.received) == 4


def test_a_slow_disk_makes_nobody_wait_but_for_the_disk(
    failing: tuple[RelayProcess, DiskFaults],
) -> None:
    relay, faults = failing
    faults.order("delay", "sync", value=800)
    replies: list[str] = []
    programs = [
        threading.Thread(target=lambda at=at: replies.append(send(relay, f"klant{at}@example.net")))
        for at in range(20)
    ]
    began = time.monotonic()
    for program in programs:
        program.start()
    waits = list(_waits(relay, 2.0))
    for program in programs:
        program.join()
    assert {reply[:3] for reply in replies} == {"250"}
    assert len(replies) == 20
    assert time.monotonic() - began < 10  # the syncs are shared
    # Both the listener and the API go on meanwhile.
    assert sorted(waits)[int(len(waits) * 0.98)] < 0.1
    assert len(waits) > 50


def _waits(relay: RelayProcess, seconds: float) -> Iterator[float]:
    """How long the relay took to answer NOOP, again and again."""
    with RawClient(relay.host, relay.port) as client:
        client.reply()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            began = time.monotonic()
            # A session has a hundred commands; EHLO and NOOP do not touch the disk.
            if client.command("NOOP").startswith("421"):
                return
            yield time.monotonic() - began
            time.sleep(0.025)  # noqa: TID251 - looks at the loop forty times a second


def test_another_program_that_holds_the_spool_is_waited_for_not_long(sound: RelayProcess) -> None:
    relay = sound
    with closing(sqlite3.connect(relay.spool, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        assert send(relay, "in@example.net").startswith(TROUBLE)
        assert time.monotonic() - began < 5
        assert relay.run("queue", "list", "--json").json["total"] == 0
        other.execute("ROLLBACK")
    assert send(relay, "na@example.net").startswith("250")


def test_a_long_reader_lets_the_log_grow_and_then_it_shrinks(sound: RelayProcess) -> None:
    relay = sound
    wal = relay.spool.with_name("spool.db-wal")
    large = b"Subject: x\r\n\r\n" + b"y" * 9_000_000
    with closing(sqlite3.connect(f"file:{relay.spool}?mode=ro", uri=True)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM message").fetchone()
        for number in range(8):
            assert send(relay, f"klant{number}@example.net", large).startswith("250")
        assert wal.stat().st_size > 64_000_000
        status = relay.run("status", "--json").json
        assert "spool-log" in {each["id"] for each in status["warnings"]}
    for number in range(2):
        assert send(relay, f"daarna{number}@example.net", large).startswith("250")
    assert wal.stat().st_size <= 64_000_000


def test_a_spool_that_was_deleted_promises_nothing(sound: RelayProcess) -> None:
    relay = sound
    assert send(relay, "voor@example.net").startswith("250")
    hidden = relay.spool.with_name("elsewhere")
    relay.spool.rename(hidden)
    # SQLite would go on writing into a file without a name.
    assert send(relay, "in@example.net").startswith(TROUBLE)
    hidden.rename(relay.spool)
    relay.wait_until(lambda: send(relay, "na@example.net").startswith("250"))
