"""A full disk: nothing is lost, nothing is sent twice, and all goes on once there is room.

A real `relay serve` on a disk of a few megabytes that somebody else fills.
"""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.peers import needs
from fakes.relay_process import RelayProcess
from fakes.script import Action, Behaviour
from fakes.small_disk import SmallDisk
from fakes.smarthost import Smarthost

pytestmark = needs("mount")

FULL = "452 4.3.1 too little disk space on the relay; free some"
SENDER = "info@mijnbakkerij.nl"
CONTENT = b"Subject: factuur\r\n\r\n" + b"x" * 3000


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with SmallDisk(tmp_path / "disk", 24_000_000) as disk:
        yield disk


def relay_on(disk: SmallDisk, tmp_path: Path, smarthost: Smarthost) -> RelayProcess:
    tables = (
        f'[[smarthost]]\nname = "isp"\nhost = "127.0.0.1"\nport = {smarthost.port}\n'
        'tls = "none"\nmax_connections = 2\n'
    )
    relay = RelayProcess(tmp_path, tables)
    relay.spool = disk.path / "spool.db"
    return relay


def problems(relay: RelayProcess) -> set[str]:
    return {each["id"] for each in relay.run("status", "--json").json["problems"]}


def alerts(relay: RelayProcess, cause: str) -> list[dict[str, Any]]:
    return [each for each in relay.log_events("alert") if each["cause"] == cause]


def names(count: int) -> list[str]:
    return [f"klant{number}@example.net" for number in range(count)]


def test_below_the_reserve_new_mail_is_refused_and_all_else_works(
    disk: SmallDisk, tmp_path: Path
) -> None:
    with Smarthost() as smarthost, relay_on(disk, tmp_path, smarthost) as relay:
        relay.send(SENDER, ["voor@example.net"], CONTENT)
        relay.wait_for_event("delivered")
        with relay.connect() as open_in_data:
            open_in_data.reply()
            for command in ("HELO kassa", f"MAIL FROM:<{SENDER}>", "RCPT TO:<in@example.net>"):
                open_in_data.command(command)
            disk.fill()
            assert open_in_data.message(CONTENT) == FULL
        with relay.connect() as client:
            client.reply()
            client.command("HELO kassa")
            assert client.command(f"MAIL FROM:<{SENDER}>") == FULL
            assert client.command("NOOP").startswith("250")
        assert "disk-low" in problems(relay)
        assert relay.run("queue", "list", "--json", "--state", "delivered").json["total"] == 1
        disk.empty()
        relay.send(SENDER, ["na@example.net"], CONTENT)
        relay.wait_for_event("delivered", 2)


def test_on_a_full_disk_outcomes_are_recorded_and_no_attempt_begins(
    disk: SmallDisk, tmp_path: Path
) -> None:
    gate = threading.Event()
    slow = Behaviour(script={"DOT": Action("250 2.0.0 taken", wait_for=gate)})
    with Smarthost(slow) as smarthost, relay_on(disk, tmp_path, smarthost) as relay:
        for name in names(12):
            relay.send(SENDER, [name], CONTENT)
        smarthost.wait_until(lambda: smarthost._times["DOT"] == 2)
        assert (disk.path / "spool.db.ballast").stat().st_blocks * 512 >= 1_000_000
        disk.fill()
        gate.set()
        # What is under way is recorded in the ballast's room; the others do not begin. The commits
        # may find room for a third before the disk is full.
        relay.wait_for_event("delivered", 2)
        relay.wait_until(lambda: alerts(relay, "disk-full") != [])
        assert "no attempt begins" in alerts(relay, "disk-full")[0]["text"]
        assert "disk-full" in problems(relay)
        assert not (disk.path / "spool.db.ballast").exists()
        begun = len(smarthost.accepted)
        assert begun in (2, 3)
        relay.wait_for_event("delivered", begun)
        assert len(relay.queue()) == 12 - begun
        assert len(smarthost.accepted) == begun
        # Power fails now: nothing comes twice.
        relay.kill9()
        disk.empty()
        relay.start()
        relay.wait_until(lambda: relay.queue() == [])
        arrived = sorted(path.address for each in smarthost.accepted for path in each.recipients)
        assert arrived == sorted(names(12))


def test_with_room_again_delivery_goes_on_without_a_restart(
    disk: SmallDisk, tmp_path: Path
) -> None:
    gate = threading.Event()
    slow = Behaviour(script={"DOT": Action("250 2.0.0 taken", wait_for=gate)})
    with Smarthost(slow) as smarthost, relay_on(disk, tmp_path, smarthost) as relay:
        for name in names(6):
            relay.send(SENDER, [name], CONTENT)
        smarthost.wait_until(lambda: smarthost._times["DOT"] == 2)
        disk.fill()
        gate.set()
        relay.wait_until(lambda: alerts(relay, "disk-full") != [])
        disk.empty()
        relay.wait_for_event("disk-works")
        smarthost.wait_for(6)
        relay.wait_for_event("delivered", 6)
        assert (disk.path / "spool.db.ballast").exists()
        assert problems(relay) == set()
        assert len(smarthost.accepted) == 6


def test_a_start_on_a_full_disk_uses_the_ballast(disk: SmallDisk, tmp_path: Path) -> None:
    with Smarthost() as smarthost, relay_on(disk, tmp_path, smarthost) as relay:
        relay.kill9()
        # Somebody was killed while it made the ballast anew: that room is no longer lost.
        (disk.path / "spool.db.ballast.new").write_bytes(bytes(3_000_000))
        disk.fill()
        relay.start()
        assert not (disk.path / "spool.db.ballast.new").exists()
        relay.send(SENDER, ["na@example.net"], CONTENT)
        relay.wait_for_event("delivered")
