"""The machine's clock is wrong for a while, and set right: mail neither rushes nor waits for it."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fakes.delivery_rig import Rig, rig_smarthost
from fakes.script import Behaviour, nth_time
from fakes.smarthost import Smarthost

from relay.access.address import Address
from relay.clock import utc_now
from relay.config.model import Config
from relay.delivery.pacing import Pace
from relay.delivery.schedule import LONGEST_DELAY, message_delay
from relay.housekeeping import Housekeeping
from relay.intake.door import Door
from relay.spool.model import State
from relay.spool.rows import from_micros, to_micros

SENDER = "info@bakkerij.nl"
DAY = timedelta(days=1)
_ADOPTED: dict[Address, str] = {}


def housekeeping(rig: Rig) -> Housekeeping:
    config: Config = rig.config
    return Housekeeping(
        rig.spool, Door(config, _ADOPTED), lambda: config, lambda: rig.now, lambda lanes: None
    )


async def test_a_clock_that_was_a_day_ahead_keeps_no_mail_waiting(tmp_path: Path) -> None:
    later = Behaviour(script={"RCPT": nth_time({1: "451 4.2.1 later"})})
    with Smarthost(later) as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            rig.now += DAY
            message = await rig.accept(SENDER, ["een@example.net"])
            await rig.event("deferred")
            rig.now -= DAY
            await housekeeping(rig).heed_clock()
            due_at = (await rig.show(message)).next_attempt_at
            assert due_at is not None
            assert due_at <= rig.now + LONGEST_DELAY
            rig.now += LONGEST_DELAY
            rig.dispatcher.wake()
            await rig.event("delivered")
            assert await rig.states(message) == [State.DELIVERED]


async def test_a_smarthost_that_failed_a_day_ahead_is_tried_now(tmp_path: Path) -> None:
    refusing = Behaviour(script={"CONNECT": nth_time({1: "421 4.3.2 not now"})})
    with Smarthost(refusing) as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            rig.now += DAY
            message = await rig.accept(SENDER, ["een@example.net"])
            await rig.event("paused")
            rig.now -= DAY
            await housekeeping(rig).heed_clock()
            rig.now += LONGEST_DELAY
            rig.dispatcher.wake()
            await rig.event("delivered")
            assert await rig.states(message) == [State.DELIVERED]


@pytest.mark.parametrize("jump", [DAY, -DAY])
async def test_a_jump_stampedes_nobody_and_expires_nothing(tmp_path: Path, jump: timedelta) -> None:
    later = Behaviour(
        script={"RCPT": lambda command: "451 4.2.1 later" if command.nth <= 20 else None}
    )
    with Smarthost(later) as fake:
        async with Rig(tmp_path, [rig_smarthost(fake, max_connections=2)]) as rig:
            for number in range(20):
                await rig.accept(SENDER, [f"klant{number}@example.net"])
            await rig.event("deferred", 20)
            rig.now += jump
            await housekeeping(rig).heed_clock()
            await housekeeping(rig).keep_lifetimes()
            rig.now += LONGEST_DELAY
            rig.dispatcher.wake()
            await rig.event("delivered", 20)
            assert fake.most_connections <= 2
            assert rig.events.named("failed") == []
            assert rig.events.named("held") == []


def test_a_pace_that_ran_ahead_starts_anew() -> None:
    now = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
    pace = Pace()
    for _ in range(3):
        pace.take(30, now + DAY)
        pace.end(30, now + DAY, used=True)
    assert pace.wait(30, now) == timedelta()
    pace.take(30, now)
    assert pace.arrival_at is not None
    assert pace.arrival_at < now + timedelta(minutes=1)


def test_local_time_that_repeats_an_hour_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    # The night in which the clocks here go from 03:00 back to 02:00.
    monkeypatch.setenv("TZ", "Europe/Amsterdam")
    time.tzset()
    try:
        now = utc_now()
        assert now.utcoffset() == timedelta()
        assert abs(now.timestamp() - time.time()) < 5
        before = datetime(2026, 10, 25, 0, 59, 30, tzinfo=UTC)
        after = before + message_delay(1, 0.5)
        assert before.astimezone().hour == after.astimezone().hour == 2
        assert to_micros(after) - to_micros(before) == 60_000_000
        assert from_micros(to_micros(after)) == after
    finally:
        monkeypatch.undo()
        time.tzset()
