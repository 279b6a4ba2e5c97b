"""What happens by the clock: learning windows end, lifetimes are kept, history is forgotten."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from relay.access.learning import WINDOW_SETTING
from relay.config.model import Client, Config, Smarthost, Spool, TlsMode
from relay.envelope import Envelope, Recipient
from relay.housekeeping import Housekeeping
from relay.intake.door import Door
from relay.spool.ledger_entry import Block, BlockedBy
from relay.spool.model import HeldFor, NewMessage, Placement, State
from relay.spool.sqlite import SqliteSpool, open_spool

START = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
DEVICE = "192.168.1.40"


class Clock:
    """Time that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


class Office:
    """A spool, a door and the housekeeping between them."""

    def __init__(self, spool: SqliteSpool, clock: Clock) -> None:
        self.spool, self.clock = spool, clock
        self.config = Config(
            hostname="relay.test",
            spool=Spool("sqlite:///x", spool.path),
            clients=(Client("kassa", (ip_network("192.168.1.20/32"),)),),
            smarthosts=(Smarthost(name="isp", host="127.0.0.1", tls=TlsMode.NONE),),
        )
        self.door = Door(self.config, {})
        self.woken: list[str] = []
        self.housekeeping = Housekeeping(
            spool, self.door, lambda: self.config, clock, self.woken.extend
        )

    async def accept(self, held_for: HeldFor | None, sender: str | None = "info@bakker.nl") -> int:
        number = self.spool.queue.new_id()
        body = self.spool.queue.body_writer(number)
        await body.write(b"Subject: Factuur\r\nMessage-ID: <1@scanner>\r\n\r\nx\r\n")
        message = NewMessage(
            number,
            START,
            START + timedelta(days=5),
            "learning",
            DEVICE,
            Envelope(sender, (Recipient("klant@example.net"),)),
            (Placement("isp", held_for),),
            "<1@scanner>",
        )
        await self.spool.queue.accept(message, body)
        return number

    def keep(self, **spans: timedelta) -> None:
        self.config = replace(self.config, spool=replace(self.config.spool, **spans))

    async def state(self, message: int) -> State:
        view = await self.spool.queue.show(message)
        assert view is not None
        return view.state


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    clock = Clock()
    spool = open_spool(tmp_path / "spool.db", clock)
    yield Office(spool, clock)
    await spool.close()


async def test_while_the_window_is_open_held_mail_waits(office: Office) -> None:
    message = await office.accept(HeldFor.LEARNING)
    office.door.learning_until = START + timedelta(minutes=30)
    await office.housekeeping.end_learning()
    assert await office.state(message) is State.HELD


async def test_the_end_of_the_window_fails_what_it_held_with_a_report(office: Office) -> None:
    message = await office.accept(HeldFor.LEARNING)
    await office.spool.ledger.remember(WINDOW_SETTING, "x")
    office.door.learning_until = START + timedelta(minutes=30)
    office.clock.now += timedelta(minutes=31)
    await office.housekeeping.end_learning()
    assert await office.state(message) is State.FAILED
    assert await office.spool.ledger.setting(WINDOW_SETTING) is None
    assert office.woken == ["isp"], "nothing else tells the dispatcher of the report"
    (report,) = await office.spool.queue.claim("isp", 10)
    assert report.is_dsn
    assert [each.address for each in report.envelope.recipients] == ["info@bakker.nl"]
    text = b"".join([piece async for piece in office.spool.queue.body(report.message)])
    assert b"Final-Recipient: rfc822; klant@example.net" in text
    assert b"5.7.1" in text


async def test_a_window_that_was_stopped_fails_them_as_well(office: Office) -> None:
    message = await office.accept(HeldFor.LEARNING)
    await office.housekeeping.end_learning()
    assert await office.state(message) is State.FAILED


async def test_nobody_hears_of_a_null_reverse_path(office: Office) -> None:
    message = await office.accept(HeldFor.LEARNING, sender=None)
    await office.housekeeping.end_learning()
    assert await office.state(message) is State.FAILED
    assert office.woken == []
    assert await office.spool.queue.claim("isp", 10) == ()


async def test_mail_of_a_device_adopted_at_the_last_moment_is_left_to_its_release(
    office: Office,
) -> None:
    message = await office.accept(HeldFor.LEARNING)
    office.door.change(office.config, {ip_address(DEVICE): "scanner"})
    await office.housekeeping.end_learning()
    assert await office.state(message) is State.HELD


async def test_refusals_reach_the_ledger(office: Office) -> None:
    office.door.admit("203.0.113.9", START)
    office.door.admit("203.0.113.9", START)
    await office.housekeeping.note_refused()
    (device,) = await office.spool.ledger.refused()
    assert (device.address, device.count) == ("203.0.113.9", 2)


async def test_past_its_lifetime_behind_a_blocked_smarthost_mail_is_held(office: Office) -> None:
    message = await office.accept(None)
    await office.spool.ledger.block("isp", Block(BlockedBy.ACCOUNT, None, 1, START, "x"))
    await office.housekeeping.keep_lifetimes()
    assert await office.state(message) is State.QUEUED
    office.clock.now += timedelta(days=6)
    await office.housekeeping.keep_lifetimes()
    assert await office.state(message) is State.HELD


async def test_history_is_forgotten_after_its_time(office: Office) -> None:
    message = await office.accept(None)
    await office.spool.queue.delete([message])
    office.clock.now += timedelta(days=29)
    await office.housekeeping.purge()
    assert await office.spool.queue.show(message) is not None
    office.clock.now += timedelta(days=2)
    await office.housekeeping.purge()
    assert await office.spool.queue.show(message) is None


async def test_who_was_refused_is_forgotten_when_not_seen_for_its_time(office: Office) -> None:
    for day, address in ((0, "203.0.113.9"), (0, DEVICE), (60, DEVICE)):
        office.door.admit(address, START + timedelta(days=day))
        await office.housekeeping.note_refused()
    office.clock.now = START + timedelta(days=89)
    await office.housekeeping.forget_refused()
    assert len(await office.spool.ledger.refused()) == 2
    office.clock.now = START + timedelta(days=91)
    await office.housekeeping.forget_refused()
    assert [each.address for each in await office.spool.ledger.refused()] == [DEVICE]
    office.keep(refused=timedelta(days=30))  # as after a reload
    await office.housekeeping.forget_refused()
    assert await office.spool.ledger.refused() == ()


async def test_statistics_are_forgotten_after_the_time_of_the_configuration(office: Office) -> None:
    async def hours() -> int:
        return len((await office.spool.queue.statistics(START)).hours)

    office.door.arrivals.accepted("kassa", START, tls=True)
    await office.housekeeping.statistics.run()
    office.clock.now = START + timedelta(days=399)
    await office.housekeeping.statistics.run()
    assert await hours() == 1
    office.keep(statistics=timedelta(days=400, hours=2))  # as after a reload
    office.clock.now = START + timedelta(days=400, hours=1)
    await office.housekeeping.statistics.run()
    assert await hours() == 1
    office.keep(statistics=timedelta(days=31))
    office.clock.now += timedelta(days=1)
    await office.housekeeping.statistics.run()
    assert await hours() == 0


async def test_forgetting_is_due_with_the_purge(office: Office) -> None:
    office.housekeeping._tick = 1
    due = office.housekeeping._due()
    assert {office.housekeeping.purge, office.housekeeping.forget_refused} <= set(due)
