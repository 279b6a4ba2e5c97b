"""How fast reports leave for one address.

A thousand failures at once must not become a thousand messages at once: these would use up what
the account may send, and the mail of that moment would wait behind them. Pure: times come in.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

AT_ONCE = 20
EVERY = timedelta(seconds=3)
LONGEST = timedelta(hours=1)
_MOST_REMEMBERED = 1000


@dataclass(slots=True)
class ReportPace:
    """Twenty reports to an address at once, then one each three seconds (GCRA), none later than
    an hour from now."""

    _turns: dict[str, datetime] = field(default_factory=dict)

    def due_at(self, address: str, now: datetime) -> datetime:
        """When the next report to `address` may leave; its turn is taken."""
        turn = max(self._turns.pop(address, now), now)
        self._turns[address] = turn + EVERY
        if len(self._turns) > _MOST_REMEMBERED:
            self._turns = {each: at for each, at in self._turns.items() if at > now}
        return min(max(now, turn - (AT_ONCE - 1) * EVERY), now + LONGEST)
