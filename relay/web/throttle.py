"""How often one peer may try a password."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_network

from relay.access.address import peer_address

FREE_TRIES = 5
FIRST_WAIT_SECONDS = 10.0
LONGEST_WAIT_SECONDS = 900.0
FORGET_SECONDS = 3600.0
MOST_PEERS = 1_000


@dataclass(slots=True)
class _Tally:
    tries: int
    until: float
    last_at: float


class Throttle:
    """Five wrong passwords in a row are free; then each one costs a wait twice as long.

    A try counts before it is judged, so that many at once gain nothing. One IPv6 network of 64
    bits is one peer. Of more than `MOST_PEERS` the one that was silent longest is forgotten.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._tallies: dict[str, _Tally] = {}

    def begin(self, peer: str) -> float:
        """0 where the peer may try now, and that try counts; else the seconds it has to wait."""
        now, key = self._clock(), _network(peer)
        tally = self._tallies.get(key)
        if tally is None or now - tally.last_at > FORGET_SECONDS:
            tally = _Tally(0, 0.0, now)
        elif now < tally.until:
            return tally.until - now
        tally.tries += 1
        tally.last_at = now
        if tally.tries >= FREE_TRIES:
            doublings = min(tally.tries - FREE_TRIES, 10)
            tally.until = now + min(FIRST_WAIT_SECONDS * 2**doublings, LONGEST_WAIT_SECONDS)
        self._tallies[key] = tally
        if len(self._tallies) > MOST_PEERS:
            del self._tallies[min(self._tallies, key=lambda each: self._tallies[each].last_at)]
        return 0.0

    def succeeded(self, peer: str) -> None:
        """The password was right: what went before is forgiven."""
        self._tallies.pop(_network(peer), None)


def _network(peer: str) -> str:
    try:
        address = peer_address(peer)
    except ValueError:
        return peer[:64]
    if isinstance(address, IPv6Address):
        return str(ip_network((address, 64), strict=False))
    return str(address)
