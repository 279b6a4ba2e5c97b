"""Messages a minute to an account, spread evenly (GCRA) with a small burst."""

from collections.abc import Callable
from datetime import datetime, timedelta

_MINUTE = timedelta(minutes=1)
_BURST = 3
"""Messages that may leave at once after a silence: a minute's whole budget at once would be a
violation where the provider's minute is not ours."""


class Pacer:
    """When the next message of an account may leave. Not kept across a restart: the burst is
    small enough for that."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._arrivals: dict[object, datetime] = {}

    def take(self, account: object, messages_per_minute: int | None) -> timedelta:
        """Reserve the next turn; how long to wait for it."""
        if messages_per_minute is None:
            return timedelta()
        now = self._clock()
        interval = _MINUTE / messages_per_minute
        arrival = max(self._arrivals.get(account, now), now)
        self._arrivals[account] = arrival + interval
        return max(arrival - (_BURST - 1) * interval - now, timedelta())
