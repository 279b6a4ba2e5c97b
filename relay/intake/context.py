"""What all sessions of the listener share."""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime

from relay.config.model import Config
from relay.delivery.direct import Waiters
from relay.delivery.taker import Taker
from relay.intake.door import Door
from relay.spool.errors import SpoolFull
from relay.spool.model import Placement
from relay.spool.protocol import Spool

_AMPLE_BYTES = 1_000_000_000
_AMPLE_SECONDS = 0.1
"""So much beyond the reserve no disk of an office fills in this time: 10 GB a second."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long, and how often, a session may try ours.

    The server's side of RFC 5321 section 4.5.3.2.7 is at least five minutes for a command.
    """

    command_seconds: float = 300
    overload_seconds: float = 10
    data_idle_seconds: float = 300
    handshake_seconds: float = 30  # for TLS, before anybody knows who it is
    header_seconds: float = (
        5  # a balancer sends it at once; the least that covers a packet lost is 3
    )
    least_bytes_per_second: float = 200
    slow_start_seconds: float = 30  # before the rate is looked at
    errors: int = 20
    commands_without_message: int = 100
    closing_seconds: float = 10  # for the last reply to reach the client


@dataclass(slots=True)
class Intake:
    """The relay as a session sees it. `config` is swapped whole by a reload."""

    config: Config
    spool: Spool
    door: Door
    clock: Callable[[], datetime]
    accepted: Callable[[Collection[str]], None]  # called with the lanes that got mail
    blocked_lanes: Callable[[], Collection[str]]
    smarthost_size_bytes: Callable[[], int | None]
    lanes_open: Callable[[Collection[str]], bool] = lambda lanes: True  # mail may leave by them now
    taker: Callable[[Collection[Placement]], Taker | None] = lambda placements: None
    waiters: Waiters = field(default_factory=Waiters)
    patience: Patience = Patience()
    stopping: bool = False
    _ample_until: float = 0.0  # of the machine's monotonic clock

    def has_room(self) -> bool:
        """False when less than `reserve_bytes` is free on the spool's disk, or it is full.

        Where there is ample room the disk is not asked again for a moment: it takes its time.
        """
        if isinstance(self.spool.trouble, SpoolFull):
            return False
        now = time.monotonic()
        if now < self._ample_until:
            return True
        free_bytes = self.spool.free_bytes()
        reserve_bytes = self.config.spool.reserve_bytes
        if free_bytes is None:
            return True
        if free_bytes >= reserve_bytes + _AMPLE_BYTES:
            self._ample_until = now + _AMPLE_SECONDS
        return free_bytes >= reserve_bytes
