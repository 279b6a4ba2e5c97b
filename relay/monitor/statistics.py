"""What the mail came to by the hour: noted in memory, rolled up each minute, told by the day.

Nothing is counted while mail is taken or delivered but a few numbers in memory: what the spool
knows of finished messages is added up afterwards.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo

from relay.spool.protocol import Spool
from relay.spool.statistics import Arrivals, HourCount

log = logging.getLogger(__name__)

LOOK_BACK = timedelta(days=35)
"""Of which hours the page and the alarms tell: the 30 days of a chart, and five working weeks."""

ROLL_UP_SECONDS = 60.0

_PAGE = 500  # messages counted in one transaction: intake commits between two of them
_HOUR = timedelta(hours=1)
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)


class ArrivalTally:
    """What intake alone sees, until the next roll-up. A few hours of at most as many clients as
    are listed: it cannot grow."""

    def __init__(self) -> None:
        self._arrivals = Arrivals()

    def accepted(self, client: str, at: datetime, *, tls: bool) -> None:
        """A message was accepted."""
        self._add(client, at, int(tls), 0)
        self._arrivals.seen[client] = (at, tls)

    def refused(self, client: str, at: datetime) -> None:
        """A message or a recipient of a client that may send was not taken."""
        self._add(client, at, 0, 1)

    def drain(self) -> Arrivals:
        """What was noted; noting starts again."""
        drained, self._arrivals = self._arrivals, Arrivals()
        return drained

    def give_back(self, arrivals: Arrivals) -> None:
        """What could not be kept is noted still."""
        for (hour, client), (tls, refused) in arrivals.hours.items():
            self._add(client, hour, tls, refused)
        self._arrivals.seen = {**arrivals.seen, **self._arrivals.seen}

    def _add(self, client: str, at: datetime, tls: int, refused: int) -> None:
        key = (at.replace(minute=0, second=0, microsecond=0), client)
        before = self._arrivals.hours.get(key, (0, 0))
        self._arrivals.hours[key] = (before[0] + tls, before[1] + refused)


class RollUp:
    """Adds to the spool's statistics what happened since the last time. One for each relay.

    `kept` says how long an hour is remembered; what is older is forgotten once a day.
    """

    def __init__(
        self,
        spool: Spool,
        tally: ArrivalTally,
        clock: Callable[[], datetime],
        kept: Callable[[], timedelta],
    ) -> None:
        self._spool = spool
        self._tally = tally
        self._clock = clock
        self._kept = kept
        self._last: datetime | None = None  # None: the process is new, and so perhaps the table

    async def run(self) -> None:
        """Count what was finished and not counted yet. Raises SpoolError; then again next time."""
        if self._spool.trouble is not None:
            return
        now = self._clock()
        await self._note_arrivals()
        # From an hour back: the clock may step, and an outcome may reach a failing disk late. What
        # is missed for all that is counted at the next start, or when it is forgotten.
        since: datetime | None = _FIRST if self._last is None else min(self._last, now) - _HOUR
        while since is not None:
            since = await self._spool.queue.roll_up(since, _PAGE)
        if self._last is None or now.date() != self._last.date():
            await self._spool.queue.forget_statistics(now - self._kept())
        self._last = now

    async def _note_arrivals(self) -> None:
        arrivals = self._tally.drain()
        if not arrivals.hours:
            return
        try:
            await self._spool.queue.note_arrivals(arrivals)
        except Exception:  # a commit that nobody waits for any more goes on
            self._tally.give_back(arrivals)
            raise


@dataclass(frozen=True, slots=True)
class Sum:
    """Messages of some hours, taken together."""

    accepted: int = 0
    delivered: int = 0
    failed: int = 0
    bytes: int = 0
    refused: int = 0


def total(hours: Iterable[HourCount]) -> Sum:
    """The sum of all of them."""
    each = list(hours)
    return Sum(
        sum(hour.accepted for hour in each),
        sum(hour.delivered for hour in each),
        sum(hour.failed for hour in each),
        sum(hour.bytes for hour in each),
        sum(hour.refused for hour in each),
    )


def by_day(hours: Iterable[HourCount], zone: tzinfo | None) -> dict[date, list[HourCount]]:
    """The hours of each day, as the calendar of `zone` (None: this machine's) has it.

    Hours are those of UTC: where the zone is no whole number of hours off, the one at midnight
    belongs to the day in which it begins.
    """
    days: dict[date, list[HourCount]] = {}
    for hour in hours:
        days.setdefault(hour.hour.astimezone(zone).date(), []).append(hour)
    return days


USUAL_DAYS = 10
USUAL_AT_LEAST = 8
SILENT_ALARM_DAYS = 3


@dataclass(frozen=True, slots=True)
class Silence:
    """How long a client has sent nothing: whole days, and how many of them were working days."""

    days: int
    working_days: int
    alarm: bool


def silence(sent: Mapping[date, int], last: date | None, today: date) -> Silence | None:
    """Whether a client that usually sends has fallen silent; None: it never sent anything.

    The rule: working days are Monday to Friday; today is not over and does not count. A client
    usually sends where it did on at least 8 of the 10 working days up to its last mail, and it is
    alarming once 3 whole working days have passed since. A public holiday counts as a working day.
    After five weeks, which is as far as is looked back, a client that stays silent is no alarm.

    Args:
        sent: how many messages came on each day that is remembered.
        last: the day of the latest message.
        today: the day it is.
    """
    if last is None:
        return None
    silent = sum(_works(last + timedelta(days=n)) for n in range(1, (today - last).days))
    usual: list[date] = []
    day = last
    while len(usual) < USUAL_DAYS:
        usual += [day] if _works(day) else []
        day -= timedelta(days=1)
    usually = sum(sent.get(day, 0) > 0 for day in usual) >= USUAL_AT_LEAST
    return Silence(
        days=max((today - last).days, 0),
        working_days=silent,
        alarm=usually and silent >= SILENT_ALARM_DAYS,
    )


def _works(day: date) -> bool:
    return day.weekday() < 5
