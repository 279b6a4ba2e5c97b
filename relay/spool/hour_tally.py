"""The hourly statistics out of the columns of tables, and what intake counted into them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from relay.spool.rows import clean, from_micros, to_micros
from relay.spool.statistics import Arrivals, ClientSeen, HourCount, Statistics

HourRow = tuple[int, str, int, int]
SeenRow = tuple[str, int, bool]

FRESH = timedelta(hours=2)
"""What finished longer ago has been rolled up: a reader does not look for it."""

MICROS_AN_HOUR = 3_600_000_000
_COUNTS = ("accepted", "delivered", "failed", "bytes", "tls", "refused")


def arrival_rows(arrivals: Arrivals) -> tuple[list[HourRow], list[SeenRow]]:
    """What only intake knows: by hour and client TLS and refusals; when each client came last."""
    hours = [
        (to_micros(hour) // MICROS_AN_HOUR, clean(client), tls, refused)
        for (hour, client), (tls, refused) in arrivals.hours.items()
    ]
    seen = [(clean(client), to_micros(at), tls) for client, (at, tls) in arrivals.seen.items()]
    return hours, seen


@dataclass(slots=True)
class HourTally:
    """Counts by hour, client and smarthost, none before the hour `first`."""

    first: int
    hours: dict[tuple[int, str, str], list[int]] = field(default_factory=dict)
    seen: dict[str, tuple[int, int | None]] = field(default_factory=dict)

    def add(self, key: Sequence[Any], counts: Sequence[int]) -> None:
        hour, client, smarthost = key
        if hour < self.first:
            return
        found = self.hours.setdefault((hour, client, smarthost), [0] * len(_COUNTS))
        for place, number in enumerate(counts):
            found[place] += number

    def add_finished(self, received_at: int, finished_at: int, *rest: Any) -> None:
        client, lane, size_bytes, failed, delivered = rest
        self.add((received_at // MICROS_AN_HOUR, client, lane), (1, 0, 0, size_bytes, 0, 0))
        outcome = (0, int(delivered and not failed), int(failed), 0, 0, 0)
        if delivered or failed:
            self.add((finished_at // MICROS_AN_HOUR, client, lane), outcome)
        self.saw(client, received_at)

    def saw(self, client: str, at: int) -> None:
        last_at, tls = self.seen.get(client, (at, None))
        self.seen[client] = (max(at, last_at), tls)

    def statistics(self) -> Statistics:
        return Statistics(
            hours=tuple(
                HourCount(from_micros(hour * MICROS_AN_HOUR), client, smarthost, *counts)
                for (hour, client, smarthost), counts in sorted(self.hours.items())
            ),
            seen={
                client: ClientSeen(from_micros(at), None if tls is None else bool(tls))
                for client, (at, tls) in self.seen.items()
            },
        )
