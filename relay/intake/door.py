"""Who comes in: the access rules, the learning window and the connection limits, together."""

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache

from relay.access.address import Address, Network, peer_address
from relay.access.learning import is_open, may_learn
from relay.access.limits import ConnectionCount, RateWindow
from relay.access.refused import RefusedTally
from relay.access.rules import AccessRules
from relay.config.model import Client, Config
from relay.intake.descriptors import most_connections
from relay.monitor.statistics import ArrivalTally

MOST_STRANGERS = 16
_SECOND = timedelta(seconds=1)

LEARNING = "learning"
"""The client name of mail from a device that is not listed yet."""

_BALANCER = Client("balancer", ())
_UNKNOWN = Client("", (), max_connections=sys.maxsize)  # no client of the file has this name


@dataclass(frozen=True, slots=True)
class Admission:
    """A machine that may send. With `learning` its mail is held until somebody adopts it.

    With `balancer` it is one that speaks for itself, and may send only where it is listed.
    """

    address: Address
    client: Client
    learning: bool = False
    balancer: bool = False
    rules: AccessRules | None = field(default=None, compare=False, repr=False)
    """Which gave it; None: the learning window did."""


class Door:
    """Decides on each connection, and keeps the tally of those refused."""

    def __init__(self, config: Config, adopted: Mapping[Address, str]) -> None:
        self.refused = RefusedTally()
        self.refusal = asyncio.Event()
        self.arrivals = ArrivalTally()
        self.learning_until: datetime | None = None
        self.rates = RateWindow()
        self._strangers = 0
        self._last_told: dict[str, datetime] = {}
        self._connections = ConnectionCount(most_connections(config))
        self.rules = AccessRules.build(config.clients, adopted)

    @property
    def crowded(self) -> bool:
        """Most of the connections that there may be are open: patience is short."""
        return self._connections.total > 0.8 * self._connections.total_limit

    @property
    def connections(self) -> int:
        """Admitted connections that are open."""
        return self._connections.total

    def change(self, config: Config, adopted: Mapping[Address, str]) -> None:
        """New rules; open sessions meet them at their next MAIL."""
        self.rules = AccessRules.build(config.clients, adopted)
        self.rates.keep(frozenset(client.name for client in config.clients))
        self._connections.total_limit = most_connections(config)

    def admit(self, peer: str, now: datetime) -> Admission | str:
        """An admission, to be given back with `leave`, or the slug of the reply that refuses."""
        try:
            address = peer_address(peer)
        except ValueError:
            return "not-listed"
        found = self.find(address, now)
        if found is None:
            self.refused.note(address, now)
            self.refusal.set()
            return "not-listed"
        return self._enter(found)

    def admit_balancer(self, peer: str, now: datetime) -> Admission | str:
        """The same of a trusted balancer itself: it may look whether somebody answers."""
        address = peer_address(peer)
        client = self.rules.match(address)
        rules = None if client is None else self.rules
        return self._enter(Admission(address, client or _BALANCER, balancer=True, rules=rules))

    def _enter(self, found: Admission) -> Admission | str:
        if self._connections.enter(found.client):
            return found
        crowded = self._connections.total >= self._connections.total_limit
        return "overload" if crowded else "too-many-connections"

    def find(self, address: Address, now: datetime) -> Admission | None:
        """What the rules of this moment say of an address."""
        client = self.rules.match(address)
        if client is not None:
            return Admission(address, client, rules=self.rules)
        if is_open(self.learning_until, now) and may_learn(address):
            return Admission(address, Client(LEARNING, ()), learning=True)
        return None

    def find_again(self, admission: Admission, now: datetime) -> Admission | None:
        """What they say of one who was let in."""
        if admission.rules is self.rules:
            return admission
        found = self.find(admission.address, now)
        return None if admission.balancer and found is not None and found.learning else found

    def is_news(self, refusal: str, now: datetime) -> bool:
        """Whether the log needs this refusal: a flood of one kind is one line a second.

        Those of unlisted machines are counted, and told by the housekeeping.
        """
        last = self._last_told.get(refusal)
        if refusal == "not-listed" or (last is not None and abs(now - last) < _SECOND):
            return False
        self._last_told[refusal] = now
        return True

    def receive_stranger(self) -> bool:
        """Whether one more who will be refused may have a TLS handshake before; then counted."""
        if self._strangers >= MOST_STRANGERS:
            return False
        self._strangers += 1
        return True

    def receive_unknown(self) -> bool:
        """Whether there may be one connection more, of whose client the header is awaited; then
        counted."""
        return self._connections.enter(_UNKNOWN)

    def dismiss_unknown(self) -> None:
        """The header of one of those has come, or will not."""
        self._connections.leave(_UNKNOWN)

    def dismiss_stranger(self) -> None:
        """The connection of one of those has ended."""
        self._strangers -= 1

    def leave(self, admission: Admission) -> None:
        """The connection of an admission has ended."""
        self._connections.leave(admission.client)

    def delay(self, admission: Admission, now: datetime) -> float | None:
        """Seconds that a message must wait to keep the client's rate; None: refuse it."""
        seconds = self.rates.delay(admission.client, now)
        return seconds if seconds <= self.rates.longest_delay_seconds else None


def is_within(peer: str, networks: tuple[Network, ...]) -> bool:
    """Whether a peer's address, as `peer_text` writes it, is in one of the networks."""
    if not networks:
        return False
    try:
        address = peer_address(peer)
    except ValueError:
        return False
    return any(address in network for network in networks)


@lru_cache(maxsize=1024)
def peer_text(peer: str) -> str:
    """A peer's address as the rules and the log write it; what is no address stays as it is."""
    try:
        return str(peer_address(peer))
    except ValueError:
        return peer
