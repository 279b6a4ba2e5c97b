"""What the processes that share a store do together: who they are, what they may use up of an
account between them, and what one of them changed.

`relay.spool.alone` is all of this for a store with one process, which asks nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

GONE_AFTER = timedelta(seconds=30)
"""Without a beat for so long a node is gone, and what it held is there for others."""
BEAT_SECONDS = 10.0

AccountKey = tuple[str, str]
"""Host and user name; without a login an empty host, and the smarthost's name."""


class Topic(StrEnum):
    """What a node may change that others work by; the values stand in the store."""

    ACCESS = "access"
    """Adopted devices, and the learning window."""
    SENDERS = "senders"
    """Adopted sender rules."""
    LANES = "lanes"
    """Which smarthosts wait, which accounts are paused."""
    LIMITS = "limits"
    """What was learned of an account's limits."""


@dataclass(frozen=True, slots=True)
class Vitals:
    """What a node tells of itself with each beat. `configuration` is a digest of its file."""

    version: str
    configuration: str
    started_at: datetime


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node as the status tells it. Times are the store's. `claims` and `connections` are what
    it holds now: messages under way, and connections to smarthosts. `messages_per_minute` is how
    many smarthosts took from it in the last minute."""

    id: str
    host: str
    boot_id: str
    pid: int
    version: str
    configuration: str
    started_at: datetime
    seen_at: datetime
    gone: bool
    claims: int
    connections: int
    messages_per_minute: int


@dataclass(frozen=True, slots=True)
class Terms:
    """The limits of an account that all nodes keep together; None: there is none.

    `burst` messages may leave at once, then one each `interval`; and never more than
    `messages_per_minute` in any sixty seconds.
    """

    messages_per_minute: int | None
    burst: int
    interval: timedelta
    messages_per_day: int | None
    recipients_per_day: int | None


@dataclass(frozen=True, slots=True)
class Permit:
    """The right to one transaction with so many recipients; `end` must follow."""

    id: int
    recipients: int


@dataclass(frozen=True, slots=True)
class NotYet:
    """No right to a transaction for now. `day`: a limit of 24 hours is used up."""

    wait: timedelta
    day: bool = False


@dataclass(frozen=True, slots=True)
class Slot:
    """Whether a connection may be opened, and how many other nodes have of the account."""

    taken: bool
    elsewhere: int


class Shares(Protocol):
    """What nodes use up together of an account. Each answer counts what every node has. Where the
    store does not answer nothing may be used: these raise SpoolError."""

    async def connect(self, account: AccountKey, most: int) -> Slot:
        """Take a connection, before dialling, if all nodes together have fewer than `most`."""

    def hang_up(self, account: AccountKey) -> None:
        """Give a connection back that has been closed."""

    async def begin(self, account: AccountKey, terms: Terms, recipients: int) -> Permit | NotYet:
        """Reserve a transaction, with as many of `recipients` as the day leaves room for."""

    async def widen(
        self, account: AccountKey, terms: Terms, permit: Permit, recipients: int
    ) -> Permit:
        """The same transaction with more recipients, as far as there is room."""

    def end(self, permits: Sequence[Permit], used: int) -> None:
        """The first `used` of these began at the smarthost; the rest is given back. To be called
        when the ledger has what they used."""

    async def recent(self, account: AccountKey) -> int:
        """How many transactions other nodes had in the last minute, about."""

    def turn(self, name: str) -> AbstractAsyncContextManager[None]:
        """Held by one node at a time; waits for it."""


class Nodes(Protocol):
    """The processes that share a store."""

    @property
    def shared(self) -> bool:
        """There may be others."""

    @property
    def id(self) -> str:
        """This one's."""

    async def beat(self, vitals: Vitals) -> None:
        """This node lives; to be called each `BEAT_SECONDS`. What gone nodes held is given back."""

    async def changed(self) -> frozenset[Topic]:
        """What anybody changed since the last time; the first time: all of it."""

    async def wait(self, seconds: float) -> None:
        """Until something may have changed; so long at most."""

    def on_mail(self, wake: Callable[[Collection[str] | None], None]) -> None:
        """Have `wake` called with the lanes in which mail became due by another node, or by the end
        of its lease; and every few seconds with None, for any."""

    async def leave(self) -> None:
        """This node ends in good order: nobody needs to wait until it is gone."""

    async def listed(self) -> tuple[NodeView, ...]:
        """The nodes of the last day, the one that has lived longest first, then the gone."""
