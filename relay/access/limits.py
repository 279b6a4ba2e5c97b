"""What each client may use at once and in a minute; kept in memory, bounded by the clients."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

from relay.config.model import Client

MINUTE = timedelta(minutes=1)


class ConnectionCount:
    """Open connections, by client and in all. `enter` and `leave` come in pairs."""

    def __init__(self, total_limit: int) -> None:
        self.total_limit = total_limit
        self.total = 0
        """The open connections of all clients."""
        self._open: Counter[str] = Counter()

    def enter(self, client: Client) -> bool:
        """Counts one more and returns True; False, uncounted, where a limit is reached."""
        if self.total >= self.total_limit or self._open[client.name] >= client.max_connections:
            return False
        self._open[client.name] += 1
        self.total += 1
        return True

    def leave(self, client: Client) -> None:
        """Gives one connection back that `enter` counted."""
        self._open[client.name] -= 1
        self.total -= 1
        if not self._open[client.name]:
            del self._open[client.name]


class RateWindow:
    """Messages a minute by client, spread evenly by GCRA, with a burst at the start.

    A client that was silent for a minute may send its minute's number at once; from then on one
    message each 60 / `messages_per_minute` seconds. Clients without a limit are never delayed
    and take no memory.
    """

    def __init__(self, longest_delay_seconds: float = 30.0) -> None:
        self.longest_delay_seconds = longest_delay_seconds
        # GCRA's theoretical arrival time: when the messages let through so far are worked off.
        self._worked_off_at: dict[str, datetime] = {}

    def delay(self, client: Client, now: datetime) -> float:
        """Seconds to wait before the client's next message, 0 for none.

        Up to `longest_delay_seconds` the message counts from this call on; beyond it is for the
        caller to refuse, and does not count.
        """
        if client.messages_per_minute is None:
            return 0.0
        interval = MINUTE / client.messages_per_minute
        worked_off_at = max(now, self._worked_off_at.get(client.name, now))
        if worked_off_at > now + MINUTE + timedelta(seconds=self.longest_delay_seconds):
            worked_off_at = now  # further ahead than counting goes: the clock was set back
        seconds = max(0.0, (worked_off_at + interval - MINUTE - now).total_seconds())
        if seconds <= self.longest_delay_seconds:
            self._worked_off_at[client.name] = worked_off_at + interval
        return seconds

    def keep(self, names: frozenset[str]) -> None:
        """Forgets the clients that are not in `names`, for after a reload."""
        for name in self._worked_off_at.keys() - names:
            del self._worked_off_at[name]
