"""The devices that were refused: counted in memory, written to the spool's ledger now and then.

A port scan must not cost a disk write a connection, so the caller drains this once a second.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from relay.access.address import Address

MAX_ADDRESSES = 1000


@dataclass(frozen=True, slots=True)
class Refused:
    """How often one address was refused, and when."""

    address: Address
    count: int
    first_at: datetime
    last_at: datetime


class RefusedTally:
    """Refusals since the last drain, of at most `limit` addresses."""

    def __init__(self, limit: int = MAX_ADDRESSES) -> None:
        self.limit = limit
        self._seen: dict[Address, Refused] = {}

    def note(self, address: Address, now: datetime) -> None:
        """Counts one refusal. Beyond the limit the address refused longest ago is dropped."""
        before = self._seen.pop(address, None)
        if before is None:
            if len(self._seen) >= self.limit:
                del self._seen[next(iter(self._seen))]
            before = Refused(address, 0, now, now)
        # Put back at the end: the dictionary stays in the order of the last refusal.
        self._seen[address] = Refused(address, before.count + 1, before.first_at, now)

    def drain(self) -> list[Refused]:
        """What was counted, in the order of the last refusal; counting starts again."""
        drained = list(self._seen.values())
        self._seen = {}
        return drained
