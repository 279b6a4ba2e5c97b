"""A warm connection waits for the pace alone, not for new mail, where mail is there."""

from datetime import datetime, timedelta
from pathlib import Path

from fakes.delivery_rig import START, Rig, rig_smarthost
from fakes.smarthost import Smarthost


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
