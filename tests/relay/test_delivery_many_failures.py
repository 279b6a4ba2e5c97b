"""A thousand refusals at once: one report each, at a pace, in little room, behind ordinary mail."""

import asyncio
import contextlib
import sqlite3
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

from fakes.delivery_rig import CONTENT, START, Rig, rig_smarthost
from fakes.script import Behaviour, when
from fakes.smarthost import Smarthost

from relay.delivery.report_pace import AT_ONCE, EVERY, LONGEST, ReportPace
from relay.envelope import Recipient
from relay.spool.model import State

SENDER = "info@bakkerij.nl"
MANY = 1000
ROOM_BYTES = 8_000  # of a report, with its rows


def spool_bytes(rig: Rig) -> int:
    """What the spool holds; what was deleted in it is room for more."""
    pages = "SELECT (page_count - freelist_count) * page_size "
    pages += "FROM pragma_page_count, pragma_freelist_count, pragma_page_size"
    with contextlib.closing(sqlite3.connect(f"file:{rig.path}?mode=ro", uri=True)) as reader:
        found: int = reader.execute(pages).fetchone()[0]
        return found


async def test_a_thousand_failures_at_once_are_reported_at_a_pace(tmp_path: Path) -> None:
    with Smarthost(Behaviour({"RCPT": when({"weg": "550 5.1.1 unknown"})})) as fake:
        entry = rig_smarthost(fake, max_connections=4)
        async with Rig(tmp_path, [entry]) as rig:
            content = CONTENT + b"x" * 10_000
            names = [f"weg{n}@example.net" for n in range(MANY)]
            await asyncio.gather(*(rig.accept(SENDER, [name], content) for name in names))
            before = spool_bytes(rig)
            await rig.event("failed", MANY, seconds=60)
            await rig.event("delivered", AT_ONCE)
            await rig.settled()
            assert len(rig.events.named("dsn")) == MANY
            assert len(fake.accepted) == AT_ONCE
            assert spool_bytes(rig) < before, "the bodies of what failed have gone"
            assert spool_bytes(rig) < MANY * ROOM_BYTES
            # What comes now does not wait behind them.
            await rig.accept(SENDER, ["een@example.net"])
            await rig.event("delivered", AT_ONCE + 1)
            assert fake.accepted[-1].content == CONTENT
            rig.advance(minutes=1)
            await rig.event("delivered", AT_ONCE + 1 + 20)
            await rig.settled()
            assert len(fake.accepted) == AT_ONCE + 1 + 20
            rig.advance(hours=1)
            await rig.event("delivered", MANY + 1, seconds=60)
            assert await rig.waiting() == ()
        reported = {
            line
            for got in fake.accepted
            for line in got.content.splitlines()
            if line.startswith(b"Final-Recipient:")
        }
        assert len(reported) == MANY


async def test_failures_of_mail_without_a_sender_are_told_to_nobody(tmp_path: Path) -> None:
    with Smarthost(Behaviour({"RCPT": "550 5.1.1 unknown"})) as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            numbers = [await rig.accept(None, [Recipient(f"weg{n}@e.net")]) for n in range(50)]
            await rig.event("failed", 50)
            await rig.settled()
            assert rig.events.named("dsn") == []
            assert await rig.states(numbers[0]) == [State.FAILED]
            assert await rig.waiting() == ()


async def test_reports_that_nobody_takes_end(tmp_path: Path) -> None:
    """Each goes on to the postmaster, whose refusal is the end; the alarm tells."""
    with Smarthost(Behaviour({"RCPT": "550 5.1.1 unknown"})) as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            for n in range(60):
                await rig.accept(SENDER, [f"weg{n}@example.net"])
            await rig.event("failed", 60)
            for hours in range(1, 4):
                rig.advance(hours=1)
                await rig.event("failed", min(60 * (1 + hours), 180))
            await rig.settled()
            assert await rig.waiting() == ()
            assert len(rig.events.named("dsn")) == 120
            assert len(rig.events.named("alert", cause="dsn-undeliverable")) == 120
        assert fake.received == []


def test_the_pace_of_one_address_is_not_that_of_another() -> None:
    pace = ReportPace()
    times = [pace.due_at("a@b.nl", START) for _ in range(MANY)]
    assert times[:AT_ONCE] == [START] * AT_ONCE
    assert {later - sooner for sooner, later in pairwise(times[AT_ONCE:])} == {EVERY}
    assert pace.due_at("c@d.nl", START) == START
    assert pace.due_at("a@b.nl", START + timedelta(days=1)) == START + timedelta(days=1)


def test_none_waits_longer_than_an_hour_and_little_is_remembered() -> None:
    pace = ReportPace()
    assert max(pace.due_at("a@b.nl", START) for _ in range(5000)) == START + LONGEST
    later = START + timedelta(days=1)
    for n in range(5000):
        pace.due_at(f"{n}@b.nl", later + n * timedelta(seconds=10))
    assert len(pace._turns) <= 1001
