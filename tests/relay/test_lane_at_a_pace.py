"""A warm connection waits for the pace alone, not for new mail, where mail is there."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fakes.delivery_rig import START, Rig, rig_smarthost
from fakes.smarthost import Smarthost

from relay.delivery import worker
from relay.spool.model import NewMessage
from relay.spool.protocol import BodyWriter


class TickingRig(Rig):
    """Its clock moves on by 3 ms whenever somebody reads it, so that each reading differs."""

    _now = START

    @property
    def now(self) -> datetime:
        self._now += timedelta(milliseconds=3)
        return self._now

    @now.setter
    def now(self, moment: datetime) -> None:
        self._now = moment


async def test_a_pace_that_passes_while_a_worker_looks_is_not_taken_for_no_mail(
    tmp_path: Path,
) -> None:
    with Smarthost() as fake:
        # One message each 100 ms on that clock: the pace lets go between two readings.
        smarthost = rig_smarthost(fake, messages_per_minute=600)
        async with TickingRig(tmp_path, [smarthost]) as rig:
            for _ in range(40):
                await rig.accept("a@example.nl", ["b@example.net"])
            # An idle connection waits 5 s for new mail, and there is none to come.
            await rig.event("delivered", count=40, seconds=15)


class InRealTime(Rig):
    """A rig on the real clock."""

    @property
    def now(self) -> datetime:
        return datetime.now(UTC)

    @now.setter
    def now(self, value: datetime) -> None:
        """It goes by itself."""


async def test_an_idle_connection_takes_what_becomes_due_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "_IDLE_SECONDS", 60.0)
    with Smarthost() as fake:
        async with InRealTime(tmp_path, [rig_smarthost(fake)]) as rig:
            accept = rig.spool.queue.accept

            async def accept_for_later(message: NewMessage, body: BodyWriter) -> None:
                await accept(replace(message, due_at=rig.now + timedelta(seconds=0.5)), body)

            await rig.accept("a@example.nl", ["een@example.net"])
            await rig.event("delivered")
            monkeypatch.setattr(rig.spool.queue, "accept", accept_for_later)
            await rig.accept("a@example.nl", ["twee@example.net"])
            await rig.event("delivered", count=2, seconds=20)
            assert len(fake.sessions) == 1
