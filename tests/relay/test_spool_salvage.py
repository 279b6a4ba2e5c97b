"""A damaged spool: what can be read waits on, what cannot is told, the damaged file is kept."""

import asyncio
import random
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fakes.relay_process import RelayProcess
from fakes.smarthost import Smarthost
from fakes.stocked_spool import add_message

from presets.reply import Reply
from relay.spool.errors import SpoolDamaged, SpoolTooNew
from relay.spool.ids import id_number, id_text
from relay.spool.ledger_entry import PausedAccount
from relay.spool.model import AttemptRecord, HeldFor, Outcome, RecipientResult, Settlement, State
from relay.spool.sqlite import SqliteSpool, open_spool
from relay.spool.sqlite.aside import next_path

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
PAGE = 4096


def opened(path: Path) -> SqliteSpool:
    return open_spool(path, lambda: NOW, serving=True)


def body(number: int) -> bytes:
    """Some within a page of the table, some over many."""
    return b"Subject: %d\r\n\r\n" % number + b"%d" % (number % 10) * (200 + number % 5 * 5000)


async def stock(path: Path) -> dict[int, bytes]:
    """Sixty messages that wait, ten held, ten delivered; the bytes of what is unfinished."""
    spool = open_spool(path, lambda: NOW)
    unfinished = {}
    for number in range(80):
        held = HeldFor.OPERATOR if 60 <= number < 70 else None
        lane = "done" if number >= 70 else "isp"
        content = body(number)
        names = [f"klant{number}@example.net", f"boek{number}@example.net"]
        id_ = await add_message(spool, names, held_for=held, lane=lane, body=content)
        if number < 70:
            unfinished[id_number(id_) or 0] = content
    for claim in await spool.queue.claim("done", 100):
        results = tuple(
            RecipientResult(position, State.DELIVERED, Reply(250, None, "ok"))
            for position in (0, 1)
        )
        attempts = (AttemptRecord(Outcome.DELIVERED, (0, 1)),)
        await spool.queue.settle(Settlement(claim, NOW, results, attempts))
    pause = PausedAccount("smtp.isp.nl", "bakker", NOW, None, 3, "wrong-password", None, None)
    await spool.ledger.pause(pause)
    await spool.close()
    return unfinished


@pytest.fixture(scope="module")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[int, bytes]]:
    path = tmp_path_factory.mktemp("stock") / "spool.db"
    return path, asyncio.run(stock(path))


def pages_of(path: Path, *tables: str) -> list[int]:
    """The pages of these tables, their indexes and overflow not among them, the root first."""
    with closing(sqlite3.connect(path)) as connection:
        pages = []
        for table in tables:
            (root,) = connection.execute(
                "SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)
            ).fetchone()
            data = path.read_bytes()
            start = (root - 1) * PAGE
            pages.append(root)
            if data[start] == 5:  # an interior page of a table: its cells begin with a child
                cells = int.from_bytes(data[start + 3 : start + 5])
                for cell in range(cells):
                    at = int.from_bytes(data[start + 12 + 2 * cell : start + 14 + 2 * cell])
                    pages.append(int.from_bytes(data[start + at : start + at + 4]))
        return pages


def damage(path: Path, page: int, seed: int = 1) -> None:
    """Overwrite one page, as a dying disk does."""
    chance = random.Random(seed)
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE)
        file.write(chance.randbytes(PAGE))


async def bodies_in(spool: SqliteSpool) -> dict[int, bytes]:
    _, views = await spool.queue.page(None, 1000)
    return {
        view.id: b"".join([piece async for piece in spool.queue.body(view.id)]) for view in views
    }


def damaged_copies(path: Path) -> list[Path]:
    return list(path.parent.glob("spool.db.damaged-*"))


@pytest.mark.parametrize("seed", range(12))
async def test_what_can_be_read_of_a_damaged_spool_waits_on(
    tmp_path: Path, stocked: tuple[Path, dict[int, bytes]], seed: int
) -> None:
    path, unfinished = tmp_path / "spool.db", stocked[1]
    shutil.copy(stocked[0], path)
    chance = random.Random(seed)
    count = path.stat().st_size // PAGE
    for page in chance.sample(range(2, count + 1), 1 + seed % 4):
        damage(path, page, seed)
    before = path.read_bytes()
    spool = opened(path)
    try:
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        found = await bodies_in(spool)
        salvaged = spool.salvaged
        if salvaged is None:  # a free page, or one that holds nothing but the bytes of a body
            assert found.keys() == unfinished.keys()
            return
        assert salvaged.aside.read_bytes() == before
        held = {id_number(each) for each in salvaged.held}
        assert salvaged.kept == len(found) - len(held)
        assert all(
            unfinished[message] == content
            for message, content in found.items()
            if message not in held
        )
        for message in held:
            view = await spool.queue.show(message or 0)
            assert view is not None
            assert {each.held_for for each in view.recipients} == {HeldFor.POISON}
        lost = unfinished.keys() - found.keys()
        assert {id_number(each) for each in salvaged.lost} <= lost
        # A page is a page: by far the most is there.
        assert len(found) - len(held) >= 20
    finally:
        await spool.close()
    spool = opened(path)
    assert spool.salvaged is None
    await spool.close()


async def test_a_message_without_its_bytes_is_held_and_shown(
    tmp_path: Path, stocked: tuple[Path, dict[int, bytes]]
) -> None:
    path = tmp_path / "spool.db"
    shutil.copy(stocked[0], path)
    damage(path, pages_of(path, "body")[3])
    spool = opened(path)
    try:
        assert spool.salvaged is not None
        assert spool.salvaged.held
        assert spool.salvaged.lost == ()
        message = id_number(spool.salvaged.held[0]) or 0
        view = await spool.queue.show(message)
        assert view is not None
        assert (view.state, view.sender) == (State.HELD, "info@mijnbakkerij.nl")
        assert "damaged" in str(view.recipients[0].reply)
        queued = await spool.queue.claim("isp", 100)
        assert message not in {claim.message for claim in queued}
        assert id_text(message) in spool.salvaged.text()
        (pause,) = await spool.ledger.paused()
        assert pause.username == "bakker"
    finally:
        await spool.close()


async def test_a_message_whose_sender_is_gone_is_named(
    tmp_path: Path, stocked: tuple[Path, dict[int, bytes]]
) -> None:
    path = tmp_path / "spool.db"
    shutil.copy(stocked[0], path)
    damage(path, pages_of(path, "message")[1])
    spool = opened(path)
    try:
        salvaged = spool.salvaged
        assert salvaged is not None
        found = await bodies_in(spool)
        lost = stocked[1].keys() - found.keys()
        assert lost
        assert {id_number(each) for each in salvaged.lost} == lost
    finally:
        await spool.close()


async def test_with_the_schema_gone_the_service_starts_and_says_so(
    tmp_path: Path, stocked: tuple[Path, dict[int, bytes]]
) -> None:
    path = tmp_path / "spool.db"
    shutil.copy(stocked[0], path)
    with path.open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * (PAGE - 100))
    spool = opened(path)
    await spool.close()
    assert spool.salvaged is not None
    assert spool.salvaged.unreadable
    assert "restore a backup" in spool.salvaged.text()
    assert spool.salvaged.aside.stat().st_size == stocked[0].stat().st_size


async def test_a_command_rebuilds_nothing(
    tmp_path: Path, stocked: tuple[Path, dict[int, bytes]]
) -> None:
    path = tmp_path / "spool.db"
    shutil.copy(stocked[0], path)
    with path.open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * (PAGE - 100))
    with pytest.raises(SpoolDamaged):
        open_spool(path)
    assert damaged_copies(path) == []


async def test_a_file_that_never_was_a_spool_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    path.write_bytes(b"these are the invoices of 2014" * 1000)
    with pytest.raises(SpoolDamaged):
        opened(path)
    assert path.read_bytes().startswith(b"these are the invoices")
    assert damaged_copies(path) == []


async def test_a_damaged_spool_of_a_newer_version_is_left_alone(
    tmp_path: Path, stocked: tuple[Path, dict[int, bytes]]
) -> None:
    path = tmp_path / "spool.db"
    shutil.copy(stocked[0], path)
    damage(path, pages_of(path, "message")[1])
    with path.open("r+b") as file:
        file.seek(60)
        file.write((99).to_bytes(4))
    with pytest.raises(SpoolTooNew):
        opened(path)
    assert damaged_copies(path) == []


async def test_a_rebuild_that_was_interrupted_is_finished_by_the_next_start(
    tmp_path: Path, stocked: tuple[Path, dict[int, bytes]]
) -> None:
    # It was complete, and power failed before it got the name of the spool.
    path = tmp_path / "spool.db"
    path.write_bytes(b"damaged")
    shutil.copy(stocked[0], next_path(path))
    spool = open_spool(path, lambda: NOW)
    try:
        assert (await bodies_in(spool)).keys() == stocked[1].keys()
        (kept,) = damaged_copies(path)
        assert kept.read_bytes() == b"damaged"
    finally:
        await spool.close()


@pytest.mark.parametrize("cut_bytes", [1, 2000, 5000])
async def test_a_torn_end_of_the_log_is_no_damage(tmp_path: Path, cut_bytes: int) -> None:
    path = tmp_path / "spool.db"
    spool = open_spool(path, lambda: NOW)
    kept = await add_message(spool)
    torn = await add_message(spool)
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("spool.db", "spool.db-wal"):  # and no -shm, which is made anew
        shutil.copy(tmp_path / name, copy)
    await spool.close()
    wal = copy / "spool.db-wal"
    with wal.open("r+b") as file:
        file.truncate(wal.stat().st_size - cut_bytes)
    spool = opened(copy / "spool.db")
    try:
        assert spool.salvaged is None
        _, views = await spool.queue.page(None, 10)
        assert [id_text(view.id) for view in views] == [kept]
        assert torn not in {id_text(view.id) for view in views}
    finally:
        await spool.close()


def test_the_service_starts_alarms_and_delivers(
    tmp_path: Path, stocked: tuple[Path, dict[int, bytes]]
) -> None:
    with Smarthost() as smarthost:
        tables = f'[[smarthost]]\nname = "isp"\nhost = "127.0.0.1"\nport = {smarthost.port}\ntls = "none"\n'
        relay = RelayProcess(tmp_path, tables)
        shutil.copy(stocked[0], relay.spool)
        damage(relay.spool, pages_of(relay.spool, "body")[3])
        with relay:
            (alert,) = relay.wait_for_event("alert")
            assert alert["cause"] == "spool-damaged"
            status = relay.run("status", "--json").json
            (problem,) = [each for each in status["problems"] if each["id"] == "spool-damaged"]
            assert problem["path"] == alert["aside"]
            assert "rebuilt" in relay.run("status").out
            smarthost.wait_for(int(alert["text"].split(" waiting")[0].split()[-1]) - 10)
            # Looked at, and thrown away.
            for path in damaged_copies(relay.spool):
                path.unlink()
            found = relay.run("status", "--json").json["problems"]
            assert [each["id"] for each in found if each["id"] == "spool-damaged"] == []
