"""`relay spool backup|restore|check`: copies made while the relay is busy, and put back."""

import shutil
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest
from fakes.relay_process import RelayProcess
from fakes.script import Action, Behaviour
from fakes.smarthost import Smarthost
from fakes.stocked_spool import add_message

from relay.spool.errors import SpoolBusy
from relay.spool.sqlite import SqliteSpool, open_spool
from relay.spool.sqlite.backup import back_up, examine, restore
from relay.spool.vault import tokens_file

SENDER = "info@mijnbakkerij.nl"
CONTENT = b"Subject: factuur\r\n\r\n" + b"x" * 3000


def to_isp(smarthost: Smarthost) -> str:
    return (
        f'[[smarthost]]\nname = "isp"\nhost = "127.0.0.1"\nport = {smarthost.port}\ntls = "none"\n'
    )


@pytest.fixture
def relay(tmp_path: Path) -> RelayProcess:
    """One that is stopped, and has not run yet."""
    relay = RelayProcess(
        tmp_path, '[[smarthost]]\nname = "isp"\nhost = "127.0.0.1"\nport = 9\ntls = "none"\n'
    )
    relay.write_config()
    return relay


async def stock(path: Path, count: int = 3) -> list[str]:
    spool = open_spool(path)
    ids = [await add_message(spool, [f"klant{number}@example.net"]) for number in range(count)]
    await spool.close()
    return ids


async def waiting_in(spool: SqliteSpool) -> dict[str, bool]:
    """Who waits, and whether it may have been delivered."""
    try:
        _, views = await spool.queue.page(None, 10_000)
        return {each.address: view.in_doubt for view in views for each in view.recipients}
    finally:
        await spool.close()


@pytest.mark.timeout(120)
def test_a_copy_made_while_busy_is_whole_and_is_delivered_when_put_back(tmp_path: Path) -> None:
    gate = threading.Event()
    closed = Behaviour(script={"MAIL": Action("451 4.3.2 later")})
    sent: list[str] = []
    stopped = threading.Event()
    with Smarthost(closed) as smarthost, RelayProcess(tmp_path, to_isp(smarthost)) as relay:

        def send_on() -> None:
            while not stopped.is_set():
                name = f"klant{len(sent)}@example.net"
                size = 1_500_000 if len(sent) % 20 == 19 else 3000
                relay.send(SENDER, [name], b"Subject: x\r\n\r\n" + b"y" * size)
                sent.append(name)
                stopped.wait(0.02)  # fewer than a listing shows

        program = threading.Thread(target=send_on)
        program.start()
        relay.wait_until(lambda: len(sent) > 20)
        before = len(sent)
        made = relay.run("spool", "backup", str(tmp_path / "copy.db"), "--json")
        after = len(sent)
        relay.wait_until(lambda: len(sent) > after + 5)
        stopped.set()
        program.join()
        assert made.code == 0, made
        assert before <= made.json["unfinished"] <= after + 1
        assert made.json["tokens"] == "none"
        assert (tmp_path / "copy.db").stat().st_mode & 0o077 == 0
        assert examine(tmp_path / "copy.db") == ()
        held_off = relay.run("spool", "restore", str(tmp_path / "copy.db"))
        assert held_off.code == 2
        assert "stop that first" in held_off.err
        assert relay.sigterm() == 0
        # The machine is gone; a new one gets the copy.
        gate.set()
        smarthost.behaviour = Behaviour()
        done = relay.run("spool", "restore", str(tmp_path / "copy.db"), "--json")
        assert done.code == 0, done
        assert Path(done.json["replaced"]).exists()
        waiting = relay.queue()
        assert len(waiting) == made.json["unfinished"]
        assert all(each["in_doubt"] for each in waiting)
        relay.start()
        relay.retry_all()
        smarthost.wait_for(made.json["unfinished"], 60)
        arrived = {path.address for each in smarthost.accepted for path in each.recipients}
        assert arrived == set(sent[: made.json["unfinished"]])


async def test_a_copy_of_a_stopped_relay(tmp_path: Path, relay: RelayProcess) -> None:
    await stock(relay.spool)
    made = relay.run("spool", "backup", str(tmp_path / "copy.db"), "--lang", "nl")
    assert made.code == 0, made
    assert "3 berichten wachten" in made.out
    again = relay.run("spool", "backup", str(tmp_path / "copy.db"))
    assert (again.code, again.out) == (2, "")
    assert "is there already" in again.err
    relay.spool.unlink()
    assert relay.run("spool", "restore", str(tmp_path / "copy.db")).code == 0
    assert await waiting_in(open_spool(relay.spool)) == {
        f"klant{number}@example.net": True for number in range(3)
    }


async def test_where_the_tokens_are_is_told(tmp_path: Path, relay: RelayProcess) -> None:
    await stock(relay.spool)
    tokens = tokens_file(relay.spool)
    tokens.touch(0o600)
    made = relay.run("spool", "backup", str(tmp_path / "copy.db"))
    assert str(tokens) in made.out
    assert "secret as a password" in made.out


@pytest.mark.parametrize("content", [b"", b"invoices of 2014" * 1000])
async def test_what_is_no_copy_replaces_nothing(
    tmp_path: Path, relay: RelayProcess, content: bytes
) -> None:
    await stock(relay.spool)
    (tmp_path / "copy.db").write_bytes(content)
    refused = relay.run("spool", "restore", str(tmp_path / "copy.db"))
    assert refused.code == 2
    assert "is no usable spool" in refused.err
    missing = relay.run("spool", "restore", str(tmp_path / "missing.db"))
    assert missing.code == 2
    assert len(await waiting_in(open_spool(relay.spool))) == 3


async def test_a_damaged_copy_replaces_nothing(tmp_path: Path) -> None:
    spool, copy = tmp_path / "spool.db", tmp_path / "copy.db"
    await stock(spool, 60)
    back_up(spool, copy)
    with copy.open("r+b") as file:
        file.seek(3 * 4096)
        file.write(b"\xff" * 8192)
    from datetime import UTC, datetime

    from relay.spool.errors import SpoolDamaged

    with pytest.raises(SpoolDamaged):
        restore(spool, copy, datetime(2026, 11, 21, tzinfo=UTC))
    assert len(await waiting_in(open_spool(spool))) == 60


async def test_a_copy_of_a_copy_keeps_what_waits(tmp_path: Path, relay: RelayProcess) -> None:
    # Put back twice: each spool of before is kept under a name of its own.
    await stock(relay.spool)
    back_up(relay.spool, tmp_path / "copy.db")
    for _ in range(2):
        assert relay.run("spool", "restore", str(tmp_path / "copy.db")).code == 0
    replaced = [each for each in tmp_path.glob("spool.db.replaced-*") if each.suffix != ".lock"]
    assert len(replaced) == 2


async def test_check_tells_sound_from_damaged(tmp_path: Path, relay: RelayProcess) -> None:
    def check(*options: str, code: int) -> Any:
        found = relay.run("spool", "check", *options)
        assert found.code == code, found
        return found

    assert "no spool" in check(code=2).err
    await stock(relay.spool, 60)
    assert "is sound" in check(code=0).out
    assert check("--json", code=0).json["verdict"] == "pass"
    shutil.copy(relay.spool, tmp_path / "good.db")
    with relay.spool.open("r+b") as file:
        file.seek(5 * 4096)
        file.write(b"\xff" * 8192)
    found = check("--json", code=1)
    assert found.json["verdict"] == "fail"
    assert found.json["faults"]
    assert "restart the relay" in found.err


async def test_a_copy_is_not_believed_when_the_relay_starts_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The file of a stopped relay is read without locks: a start in between tears what is read.
    path, copy = tmp_path / "spool.db", tmp_path / "copy.db"
    await stock(path, 60)

    def start_in_between(source: sqlite3.Connection, *_: object) -> Any:
        with sqlite3.connect(path) as relay:
            relay.execute("DELETE FROM body")
        relay.close()  # writes the log back into the file
        return source.execute("SELECT count(*) FROM body").fetchone()

    monkeypatch.setattr("relay.spool.sqlite.backup._copy", start_in_between)
    with pytest.raises(SpoolBusy, match="started meanwhile"):
        back_up(path, copy)
    assert not copy.exists()
