"""Messages a minute to an account: spread evenly (GCRA) with a small burst, and never more than
the limit in any sixty seconds. Pure: times come in."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

MINUTE = timedelta(minutes=1)
_BURST = 3
"""Messages that may leave at once after a silence, of ten a minute or more."""
_FARTHEST = 3 * MINUTE
"""GCRA's next arrival, at one message a minute, is never so far ahead."""
_MOST_REMEMBERED = 6000
"""Where no limit is known: enough to tell how fast it went when the provider says too fast."""


@dataclass(slots=True)
class Pace:
    """How fast one account sends.

    GCRA spreads what leaves. The server counts when it likes between our MAIL and its last reply,
    and how long that takes varies; so a message also takes a place in its minute from the moment it
    is taken until a minute after it has ended. Then no sixty seconds see more than the limit,
    whichever moment the server counts.
    """

    arrival_at: datetime | None = None
    """GCRA's theoretical arrival time of the next message."""
    under_way: int = 0
    _ended: deque[datetime] = field(default_factory=deque)

    def restore(self, arrival_at: datetime | None, ended: Iterable[tuple[datetime, int]]) -> None:
        """Take up what an earlier process left: so many messages that had ended at each time."""
        self.arrival_at = arrival_at
        for at, messages in ended:
            self._ended.extend([at] * messages)

    def wait(self, messages_per_minute: int | None, now: datetime) -> timedelta:
        """How long until a message may leave; zero: now."""
        if messages_per_minute is None:
            return timedelta()
        return max(
            self._spread_wait(messages_per_minute, now), self._room(messages_per_minute, now)
        )

    def take(self, messages_per_minute: int | None, now: datetime) -> None:
        """A message leaves now; `end` must follow."""
        self.under_way += 1
        if messages_per_minute is None:
            self.arrival_at = None
        else:
            arrival = max(self._arrival(now) or now, now)
            self.arrival_at = arrival + spread(messages_per_minute)[1]

    def end(self, messages_per_minute: int | None, now: datetime, *, used: bool) -> None:
        """A message has ended; not `used`: it never left after all, and gives its place back."""
        self.under_way -= 1
        if used:
            self._ended.append(now)
            self._forget(now)
        elif messages_per_minute is not None and self.arrival_at is not None:
            self.arrival_at -= spread(messages_per_minute)[1]

    def recent(self, now: datetime) -> int:
        """How many messages the last minute saw, with those under way."""
        self._forget(now)
        return self.under_way + len(self._ended)

    def _spread_wait(self, messages_per_minute: int, now: datetime) -> timedelta:
        arrival = self._arrival(now)
        if arrival is None:
            return timedelta()
        burst, interval = spread(messages_per_minute)
        return max(arrival - (burst - 1) * interval - now, timedelta())

    def _arrival(self, now: datetime) -> datetime | None:
        """None also where it lies so far ahead that the clock was set back since."""
        if self.arrival_at is None or self.arrival_at > now + _FARTHEST:
            return None
        return self.arrival_at

    def _room(self, messages_per_minute: int, now: datetime) -> timedelta:
        """Until fewer than the limit have ended in the last minute or are under way."""
        over = self.recent(now) - messages_per_minute
        if over < 0:
            return timedelta()
        # What is under way ends now at the earliest, and holds its place a minute from there.
        return self._ended[over] + MINUTE - now if over < len(self._ended) else MINUTE

    def _forget(self, now: datetime) -> None:
        ended = self._ended
        while ended and ended[0] + MINUTE <= now:
            ended.popleft()
        while ended and ended[-1] > now + _FARTHEST:
            ended.pop()  # by a clock that was set back since

    def trim(self) -> None:
        """Keep no more of the past than is of use where no limit is known."""
        while len(self._ended) > _MOST_REMEMBERED:
            self._ended.popleft()


def spread(messages_per_minute: int) -> tuple[int, timedelta]:
    """How many messages may leave at once, and the time between those that follow."""
    burst = _BURST if messages_per_minute >= 10 else 1
    interval = MINUTE / (messages_per_minute - burst + 1)
    return burst, interval + timedelta.resolution  # never a little too short by rounding
