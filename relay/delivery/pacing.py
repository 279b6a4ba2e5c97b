"""Messages a minute to an account, spread evenly (GCRA) with a small burst."""

from collections.abc import Callable
from datetime import datetime, timedelta

_MINUTE = timedelta(minutes=1)
_BURST = 3
"""Messages that may leave at once after a silence, of ten a minute or more. The rest is spread so
that burst and all, no sixty seconds see more than the limit, whenever the provider counts."""


class Pacer:
    """When the next message of an account may leave. Not kept across a restart: the burst is
    small enough for that."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._arrivals: dict[object, datetime] = {}

    def wait(self, account: object, messages_per_minute: int | None) -> timedelta:
        """How long until a message may leave; zero: now."""
        arrival = self._arrivals.get(account)
        if messages_per_minute is None or arrival is None:
            return timedelta()
        burst, interval = _spread(messages_per_minute)
        return max(arrival - (burst - 1) * interval - self._clock(), timedelta())

    def take(self, account: object, messages_per_minute: int | None, messages: int = 1) -> None:
        """Count messages that leave now; a negative number takes back what did not leave."""
        if messages_per_minute is None:
            return
        now = self._clock()
        arrival = max(self._arrivals.get(account, now), now)
        self._arrivals[account] = arrival + messages * _spread(messages_per_minute)[1]


def _spread(messages_per_minute: int) -> tuple[int, timedelta]:
    burst = _BURST if messages_per_minute >= 10 else 1
    interval = _MINUTE / (messages_per_minute - burst + 1)
    return burst, interval + timedelta.resolution  # never a little too short by rounding
