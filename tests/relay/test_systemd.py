"""What the service manager is told: ready, alive, stopping, and when it is told nothing."""

import asyncio
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from fakes.prepared_relay import PreparedRelay
from fakes.service_manager import ServiceManager

from relay.monitor import systemd
from relay.monitor.systemd import Notifier, Supervision, Vitals
from relay.spool.errors import SpoolError, SpoolFailing, SpoolFull
from relay.spool.protocol import Spool
from relay.spool.statistics import Totals

SMARTHOST = '[[smarthost]]\nname = "isp"\nhost = "127.0.0.1"\nport = 9\ntls = "none"'
WATCHDOG_USEC = 1_000_000

WAITS_AT_THE_LISTENERS = (
    "import asyncio, pathlib, sys",
    "from relay.intake.listener import Listeners",
    "start = Listeners.start",
    "async def late(self):",
    "    here = pathlib.Path(sys.argv[-1]).parent",
    "    (here / 'waits').touch()",
    "    while not (here / 'go-on').exists():",
    "        await asyncio.sleep(0.02)",
    "    await start(self)",
    "Listeners.start = late",
)
BLOCKS_WHEN_ASKED = (
    "import asyncio, pathlib, sys, threading, time",
    "from relay.intake.listener import Listeners",
    "start = Listeners.start",
    "here = pathlib.Path(sys.argv[-1]).parent",
    "def block():",
    "    (here / 'blocked').touch()",
    "    while not (here / 'go-on').exists():",
    "        time.sleep(0.02)",
    "def wait(loop):",
    "    while not (here / 'block').exists():",
    "        time.sleep(0.02)",
    "    loop.call_soon_threadsafe(block)",
    "async def watched(self):",
    "    loop = asyncio.get_running_loop()",
    "    threading.Thread(target=wait, args=(loop,), daemon=True).start()",
    "    await start(self)",
    "Listeners.start = watched",
)


def relay_of(manager: ServiceManager, directory: Path) -> PreparedRelay:
    relay = PreparedRelay(directory, SMARTHOST)
    relay.environment = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": str(WATCHDOG_USEC)}
    return relay


def first_reply(relay: PreparedRelay, content: bytes = b"Subject: x\r\n\r\nx\r\n") -> str:
    with relay.connect() as client:
        client.reply()
        client.command("EHLO kassa")
        client.command("MAIL FROM:<info@mijnbakkerij.nl>")
        client.command("RCPT TO:<klant@example.net>")
        return client.message(content)


@pytest.mark.parametrize("abstract", [False, True])
def test_ready_and_alive_and_stopping(tmp_path: Path, abstract: bool) -> None:
    address = f"@relay-test-{os.getpid()}-{tmp_path.name}" if abstract else tmp_path / "notify"
    with ServiceManager(address) as manager, relay_of(manager, tmp_path) as relay:
        manager.wait_for("READY=1")
        manager.wait_for("WATCHDOG=1", times=3)
        status = manager.lines("STATUS=")[-1]
        assert f"takes mail on 127.0.0.1:{relay.port}; 0 queued, 0 held" in status
        assert relay.sigterm() == 0
        manager.wait_for("STOPPING=1")
    told = [line for line in manager.lines() if not line.startswith("STATUS=")]
    assert told[0] == "READY=1"
    assert told[-1] == "STOPPING=1"
    assert set(told[1:-1]) == {"WATCHDOG=1"}


def test_ready_is_told_when_the_listener_takes_connections_and_not_before(tmp_path: Path) -> None:
    with ServiceManager(tmp_path / "notify") as manager:
        relay = relay_of(manager, tmp_path)
        relay.preparation = WAITS_AT_THE_LISTENERS
        relay.write_config()
        process = relay._launch("serve")
        try:
            relay.wait_until((tmp_path / "waits").exists)
            assert manager.silent("READY=1", 0.5)
            (tmp_path / "go-on").touch()
            manager.wait_for("READY=1")
            with relay.connect() as client:
                assert client.reply().startswith("220")
        finally:
            process.kill()
            process.communicate()


def test_a_loop_that_is_blocked_gives_no_sign_of_life(tmp_path: Path) -> None:
    with ServiceManager(tmp_path / "notify") as manager:
        relay = relay_of(manager, tmp_path)
        relay.preparation = BLOCKS_WHEN_ASKED
        with relay:
            manager.wait_for("WATCHDOG=1")
            (tmp_path / "block").touch()
            relay.wait_until((tmp_path / "blocked").exists)
            before = len(manager.lines("WATCHDOG=1"))
            assert manager.silent("WATCHDOG=1", 2 * WATCHDOG_USEC / 1e6)
            (tmp_path / "go-on").touch()
            manager.wait_for("WATCHDOG=1", before + 2)


def test_a_spool_in_trouble_gives_no_sign_of_life_until_it_works(tmp_path: Path) -> None:
    with (
        ServiceManager(tmp_path / "notify") as manager,
        relay_of(manager, tmp_path) as relay,
    ):
        manager.wait_for("WATCHDOG=1")
        hidden = relay.spool.with_name("elsewhere")
        relay.spool.rename(hidden)
        assert first_reply(relay).startswith("451")
        manager.wait_for("STATUS=not well (the spool")
        before = len(manager.lines("WATCHDOG=1"))
        assert manager.silent("WATCHDOG=1", 2 * WATCHDOG_USEC / 1e6)
        hidden.rename(relay.spool)
        manager.wait_for("WATCHDOG=1", before + 1)
        relay.wait_until(lambda: first_reply(relay).startswith("250"))


# One part at a time.


@dataclass
class Ledger:
    trouble: SpoolError | None = None
    stuck: bool = False
    kept: dict[str, str | None] = field(default_factory=dict)

    async def remember(self, name: str, value: str | None) -> None:
        if self.stuck:
            await asyncio.Event().wait()
        if self.trouble is not None:
            raise self.trouble
        self.kept[name] = value

    async def setting(self, name: str) -> str | None:
        return self.kept.get(name)


@dataclass
class Store:
    """A spool as the supervision sees it."""

    ledger: Ledger = field(default_factory=Ledger)
    trouble: SpoolError | None = None

    @property
    def queue(self) -> "Store":
        return self

    async def totals(self) -> Totals:
        return Totals(3, 1, None, {})


class Told(Notifier):
    """Keeps what is told, and ends the test's task after enough."""

    def __init__(self, seconds: float) -> None:
        super().__init__({"NOTIFY_SOCKET": "/nobody", "WATCHDOG_USEC": str(int(seconds * 1e6))})
        self.said: list[str] = []

    def tell(self, *lines: str) -> None:
        self.said += lines


class Enough(BaseException):
    pass


async def watched(
    monkeypatch: pytest.MonkeyPatch,
    store: Store,
    stopped: list[str],
    late: list[float],
) -> tuple[list[str], list[float]]:
    """What is told, and the times slept, until `late` has no more."""
    slept: list[float] = []

    async def sleep(seconds: float) -> float:
        if not late:
            raise Enough
        slept.append(seconds)
        return late.pop(0)

    monkeypatch.setattr(systemd, "_sleep", sleep)
    told = Told(0.4)
    vitals = Vitals(cast(Spool, store), lambda: stopped, lambda: ["127.0.0.1:2525"])
    with pytest.raises(Enough):
        await Supervision(told, vitals, "en").run()
    return told.said, slept


async def test_a_sign_of_life_goes_out_at_half_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    said, slept = await watched(monkeypatch, Store(), [], [0.0, 0.0, 0.0])
    assert said.count("WATCHDOG=1") == 3
    assert slept == [0.2, 0.2, 0.2]
    assert said[:2] == ["READY=1", "STATUS=takes mail on 127.0.0.1:2525; 3 queued, 1 held"]


@pytest.mark.parametrize(
    ("store", "stopped", "late", "reason"),
    [
        (Store(), [], 0.15, "late"),
        (Store(), ["delivery"], 0.0, "delivery"),
        (Store(trouble=SpoolFailing("input/output error")), [], 0.0, "input/output error"),
        (Store(Ledger(trouble=SpoolFailing("read-only"))), [], 0.0, "read-only"),
        (Store(Ledger(stuck=True)), [], 0.0, "no answer"),
    ],
    ids=["loop", "dispatcher", "trouble", "write", "hangs"],
)
async def test_what_a_new_start_may_cure_withholds_it(
    monkeypatch: pytest.MonkeyPatch, store: Store, stopped: list[str], late: float, reason: str
) -> None:
    said, slept = await watched(monkeypatch, store, stopped, [late, late])
    assert "WATCHDOG=1" not in said
    assert [line for line in said if reason in line and line.startswith("STATUS=not well")]
    assert slept[1] < slept[0], "looks again sooner"


async def test_after_it_has_passed_the_sign_goes_out_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said, slept = await watched(monkeypatch, Store(), [], [9.0, 0.0])
    assert said.count("WATCHDOG=1") == 1
    assert slept == [0.2, 0.05]


async def test_a_full_disk_withholds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    full = SpoolFull("no space left")
    said, _ = await watched(monkeypatch, Store(Ledger(trouble=full), full), [], [0.0])
    assert "WATCHDOG=1" in said
    assert "STATUS=the disk is full: no new mail; 3 queued, 1 held" in said


def test_nobody_is_told_where_nobody_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for named in ("", "vsock:2:1234", "relative"):
        assert not Notifier({"NOTIFY_SOCKET": named}).is_heard
    with ServiceManager(tmp_path / "notify") as manager:
        notifier = Notifier({"NOTIFY_SOCKET": manager.address})
        with monkeypatch.context() as patch:
            patch.setattr(sys, "platform", "win32")
            notifier.tell("READY=1")
        notifier.tell("LAST=1")
        manager.wait_for("LAST=1")
    assert manager.lines("READY=1") == []


def test_a_service_manager_that_is_gone_harms_nothing(tmp_path: Path) -> None:
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).tell("READY=1")


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({"WATCHDOG_USEC": "60000000"}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({}, None),
    ],
)
def test_the_time_of_the_watchdog(environ: dict[str, Any], seconds: float | None) -> None:
    assert Notifier(environ).watchdog_seconds == seconds
