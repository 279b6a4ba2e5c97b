"""What an account used in the last 24 hours, by the minute. Pure: times come in."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from relay.spool.ledger_entry import UsedMinute

DAY = timedelta(hours=24)
_BUCKET = timedelta(minutes=1)


class Amount(NamedTuple):
    """Messages, and their recipients: providers count the one, the other, or both."""

    messages: int = 0
    recipients: int = 0


@dataclass(slots=True)
class DayWindow:
    """A rolling ledger. A minute counts until its last second is 24 hours ago, so that no 24
    hours ever see more than what is counted; what is under way counts already."""

    _minutes: deque[tuple[datetime, Amount]] = field(default_factory=deque)
    _used: Amount = field(default_factory=Amount)
    _reserved: Amount = field(default_factory=Amount)

    def restore(self, minutes: Iterable[UsedMinute]) -> None:
        """Take up what the spool remembers, in order of time."""
        for each in minutes:
            self.add(Amount(each.messages, each.recipients), each.minute)

    def reread(self, minutes: Iterable[UsedMinute]) -> None:
        """Take up what the spool has, in place of what is known; what is reserved stays so."""
        self._minutes.clear()
        self._used = Amount()
        self.restore(minutes)

    def reserve(self, amount: Amount) -> None:
        """Count what may be used soon; with negative numbers, give that back."""
        self._reserved = _sum(self._reserved, amount)

    def add(self, amount: Amount, now: datetime) -> None:
        """Count what was used."""
        start = minute_of(now)
        if self._minutes and self._minutes[-1][0] >= start:  # also when a clock is set back
            start, before = self._minutes.pop()
            self._minutes.append((start, _sum(before, amount)))
        else:
            self.used(now)  # drop what is over
            self._minutes.append((start, amount))
        self._used = _sum(self._used, amount)

    def used(self, now: datetime) -> Amount:
        """What was used, and what is reserved."""
        while self._minutes and _expires_at(self._minutes[0][0]) <= now:
            gone = self._minutes.popleft()[1]
            self._used = _sum(self._used, Amount(-gone.messages, -gone.recipients))
        return _sum(self._used, self._reserved)

    def frees(self, now: datetime) -> list[tuple[datetime, Amount]]:
        """When how much of it will be free again, in order of time."""
        self.used(now)
        return [(_expires_at(start), amount) for start, amount in self._minutes]


def minute_of(moment: datetime) -> datetime:
    """The start of the minute that holds `moment`."""
    return moment.astimezone(UTC).replace(second=0, microsecond=0)


def _expires_at(start: datetime) -> datetime:
    return start + _BUCKET + DAY


def _sum(one: Amount, other: Amount) -> Amount:
    return Amount(one.messages + other.messages, one.recipients + other.recipients)
