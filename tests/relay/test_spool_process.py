"""The process that writes for a running relay: what it does, and what its end means."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fakes.relay_process import RelayProcess
from fakes.stocked_spool import add_message

from relay.spool.errors import SpoolError, SpoolFull, SpoolGone
from relay.spool.ids import id_text
from relay.spool.lock import SpoolInUse, SpoolLock
from relay.spool.sqlite import SqliteSpool, open_spool
from relay.spool.sqlite.deeds import execute
from relay.spool.sqlite.frames import Frames, to_frame
from relay.spool.sqlite.writer_process import ProcessWriter

HOLD = '[delivery]\nmode = "hold"\n[[smarthost]]\nname = "isp"\nhost = "127.0.0.1"\nport = 9\ntls = "none"\n'


@asynccontextmanager
async def serving(path: Path) -> AsyncIterator[SqliteSpool]:
    spool = await asyncio.to_thread(open_spool, path, serving=True)
    try:
        yield spool
    finally:
        await spool.close()


def process_of(spool: SqliteSpool) -> ProcessWriter:
    assert isinstance(spool._writer, ProcessWriter)
    return spool._writer


async def test_many_at_once_have_each_their_own_answer(tmp_path: Path) -> None:
    async with serving(tmp_path / "spool.db") as spool:
        ledger = spool.ledger
        await asyncio.gather(*(ledger.remember(f"n{n}", "x" * n * 50) for n in range(300)))
        assert [await ledger.setting(f"n{n}") for n in range(300)] == [
            "x" * n * 50 for n in range(300)
        ]


async def test_one_that_fails_spoils_no_other(tmp_path: Path) -> None:
    async with serving(tmp_path / "spool.db") as spool:
        first, failed, second = await asyncio.gather(
            spool.ledger.remember("a", "1"),
            process_of(spool).run(execute, "INSERT INTO nowhere VALUES (1)", ()),
            spool.ledger.remember("b", "2"),
            return_exceptions=True,
        )
        assert (first, second) == (None, None)
        assert isinstance(failed, SpoolError)
        assert [await spool.ledger.setting(name) for name in "ab"] == ["1", "2"]


async def test_what_cannot_be_sent_fails_alone(tmp_path: Path) -> None:
    async with serving(tmp_path / "spool.db") as spool:
        with pytest.raises(SpoolError):
            await process_of(spool).run(lambda connection: None)
        await spool.ledger.remember("a", "1")


async def test_a_large_piece_goes_through_and_comes_back(tmp_path: Path) -> None:
    async with serving(tmp_path / "spool.db") as spool:
        content = b"Subject: x\r\n\r\n" + bytes(range(256)) * 12_000
        body = spool.queue.body_writer(7)
        for at in range(0, len(content), 65_536):
            await body.write(content[at : at + 65_536])
        pieces = b"".join([piece async for piece in spool.queue.body(7)])
        assert content.startswith(pieces)
        assert len(pieces) > 1_000_000


async def test_its_trouble_is_known_here_and_its_log_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    async with serving(tmp_path / "spool.db") as spool:
        await process_of(spool).run(execute, "PRAGMA max_page_count=1", ())  # not one more page
        with pytest.raises(SpoolFull):
            await spool.ledger.remember("large", "x" * 1_000_000)
        assert isinstance(spool.trouble, SpoolFull)
        with pytest.raises(SpoolFull):
            await process_of(spool).run(execute, "SELECT 1", (), begins=True)
        async with asyncio.timeout(30):
            while spool.trouble is not None:  # it looks again by itself
                await asyncio.sleep(0.05)
        assert "spool commit failed" in caplog.text
        assert "works again" in caplog.text
        await spool.ledger.remember("after", "all")


async def test_who_waits_when_it_dies_hears_so(tmp_path: Path) -> None:
    async with serving(tmp_path / "spool.db") as spool:
        await spool.ledger.remember("a", "1")
        writer = process_of(spool)
        writer._process.send_signal(signal.SIGSTOP)
        asked = [asyncio.create_task(spool.ledger.remember("b", str(n))) for n in range(5)]
        await asyncio.sleep(0)
        assert not any(each.done() for each in asked)
        writer._process.kill()
        ended = await asyncio.gather(*asked, return_exceptions=True)
        assert {type(each) for each in ended} == {SpoolGone}
        async with asyncio.timeout(20):
            await spool.gone()
        assert isinstance(spool.trouble, SpoolGone)
        with pytest.raises(SpoolError):
            await spool.ledger.remember("c", "1")


async def test_the_lock_is_held_until_it_has_ended(tmp_path: Path) -> None:
    """A relay that was killed leaves it behind for a moment, in the middle of a commit maybe."""
    path = tmp_path / "spool.db"
    async with serving(path) as spool:
        spool._lock.release()  # as if this process had died
        with pytest.raises(SpoolInUse):
            SpoolLock(path.with_name("spool.db.lock")).acquire()
    lock = SpoolLock(path.with_name("spool.db.lock"))
    lock.acquire()
    lock.release()


def test_frames_come_whole_however_they_are_cut() -> None:
    values: list[object] = ["a", b"x" * 1000, (1, None), []]
    stream = b"".join(b"".join(to_frame(value)) for value in values)
    for step in (1, 7, 500, len(stream)):
        frames = Frames()
        found: list[object] = []
        for at in range(0, len(stream), step):
            found += frames.feed(stream[at : at + step])
        assert found == values


def test_without_it_the_relay_ends_and_the_next_has_the_mail(tmp_path: Path) -> None:
    with RelayProcess(tmp_path, HOLD) as relay:
        relay.send("a@b.nl", ["c@example.net"], b"Subject: x\r\n\r\nx\r\n")
        relay.signal_writer(signal.SIGKILL)
        assert relay.wait_for_exit() == 70
        alerts = [event["cause"] for event in relay.log_events("alert")]
        assert "spool-lost" in alerts
        relay.start()
        assert len(relay.queue()) == 1


def test_a_signal_to_all_is_for_the_relay(tmp_path: Path) -> None:
    """As a supervisor, or a terminal, sends it to the whole group: the process goes on writing."""
    with RelayProcess(tmp_path, HOLD) as relay:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            relay.signal_writer(number)
        relay.send("a@b.nl", ["c@example.net"], b"Subject: x\r\n\r\nx\r\n")
        relay.signal_writer(signal.SIGTERM)
        assert relay.sigterm() == 0
        relay.start()
        assert len(relay.queue()) == 1


async def test_a_message_of_before_is_read_from_the_file(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    async with serving(path) as spool:
        message = await add_message(spool)
        (claim,) = await spool.queue.claim("isp", 1)
        assert id_text(claim.message) == message
        kept = claim.body
    async with serving(path) as spool:
        (claim,) = await spool.queue.claim("isp", 1)
        assert claim.body == kept is not None
