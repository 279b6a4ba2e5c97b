"""Counts of mail: what waits, what each client sent by the hour, how a smarthost fared last."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from presets.reply import Reply
from relay.spool.model import Outcome


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts for `relay status`: recipients queued and held, the oldest message waiting."""

    queued: int
    held: int
    oldest_queued_at: datetime | None
    by_lane: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Failure:
    """An attempt that delivered to none of those it was for."""

    at: datetime
    outcome: Outcome
    phase: str | None
    reply: Reply | None
    address: str | None


@dataclass(frozen=True, slots=True)
class History:
    """A lane's last attempt that delivered, and the first ones after it that did not, in order."""

    delivered_at: datetime | None = None
    address: str | None = None  # where it was delivered
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True, slots=True)
class HourCount:
    """What one client's mail came to in the hour that begins at `hour`, through one smarthost.

    Messages: `accepted`, `bytes` and `tls` in the hour in which they came, `delivered` and `failed`
    in the one in which they were finished; `failed` where one recipient at least did. `refused` are
    messages and recipients that intake did not take. TLS and refusals stand at no smarthost ("").
    """

    hour: datetime
    client: str
    smarthost: str
    accepted: int = 0
    delivered: int = 0
    failed: int = 0
    bytes: int = 0
    tls: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class ClientSeen:
    """When a client's latest message came, and whether over TLS (None: not known)."""

    last_at: datetime
    tls: bool | None = None


@dataclass(frozen=True, slots=True)
class Statistics:
    """The hours asked for, in order, and when each client was last seen, however long ago."""

    hours: tuple[HourCount, ...]
    seen: Mapping[str, ClientSeen]


@dataclass(slots=True)
class Arrivals:
    """What intake alone sees, until the next roll-up: by hour and client how many messages came
    over TLS and how much was not taken; by client when the latest came, and whether over TLS."""

    hours: dict[tuple[datetime, str], tuple[int, int]] = field(default_factory=dict)
    seen: dict[str, tuple[datetime, bool]] = field(default_factory=dict)
