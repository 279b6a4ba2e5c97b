"""Peers side by side: rounds alternate between them, medians and ratios are of the same run."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from statistics import median
from typing import Any

from bench.counted import CountingSmarthost, Offer
from bench.load import Load, Round, ceiling, measure
from bench.peers import Peer, Relay, Upstream
from bench.postfix_relay import PostfixRelay
from fakes.certificates import Authority, ServerCertificate

MAKERS: dict[str, Callable[[Upstream], Peer]] = {
    "relay": Relay,
    "postfix": PostfixRelay,
    "postfix reuse": lambda upstream: PostfixRelay(upstream, reuse=True),
}


@dataclass(frozen=True, slots=True)
class Workload:
    """A load, the smarthost it goes to, and between whom it is compared."""

    name: str
    load: Load
    offer: Offer = field(default_factory=Offer)
    peers: tuple[str, ...] = ("relay", "postfix")


@contextmanager
def side_by_side(
    names: Sequence[str], offer: Offer, authority: Authority
) -> Iterator[list[tuple[Peer, CountingSmarthost]]]:
    """These peers, running, each with a smarthost of its own, all alike: the connections that one
    keeps count against its own limit only."""
    certificate = authority.issue()
    with ExitStack() as stack:
        pairs: list[tuple[Peer, CountingSmarthost]] = []
        for name in names:
            smarthost = stack.enter_context(CountingSmarthost(offer, certificate))
            upstream = Upstream(smarthost.port, offer.tls, authority.ca_file, offer.max_connections)
            peer = MAKERS[name](upstream)
            stack.callback(peer.close)
            peer.start()
            pairs.append((peer, smarthost))
        yield pairs


def warm_up(pairs: Sequence[tuple[Peer, CountingSmarthost]], load: Load) -> None:
    """A few messages through each. Raises RuntimeError with its log where they do not arrive."""
    few = replace(load, messages=min(load.messages, 2 * load.sessions))
    for peer, smarthost in pairs:
        first = measure(peer, smarthost, few)
        if not first.valid:
            raise RuntimeError(f"{peer.name}: {first.why}\n{peer.log()}")


def alternate(
    pairs: Sequence[tuple[Peer, CountingSmarthost]], load: Load, rounds: int
) -> list[Round]:
    """The load through each in turn, so many times."""
    return [measure(peer, smarthost, load) for _ in range(rounds) for peer, smarthost in pairs]


def compare(workload: Workload, rounds: int, authority: Authority) -> dict[str, Any]:
    """The document of one workload."""
    most = _ceiling(workload, authority.issue())
    with side_by_side(workload.peers, workload.offer, authority) as pairs:
        warm_up(pairs, workload.load)
        results = alternate(pairs, workload.load, rounds)
    return _document(workload, results, most)


def _ceiling(workload: Workload, certificate: ServerCertificate) -> float | None:
    """Only without TLS, which smtp-source does not speak."""
    if workload.offer.tls:
        return None
    with CountingSmarthost(workload.offer, certificate) as smarthost:
        return ceiling(smarthost, workload.load).rate


def _document(workload: Workload, results: list[Round], most: float | None) -> dict[str, Any]:
    peers = {name: summary([one for one in results if one.peer == name]) for name in workload.peers}
    return {
        "name": workload.name,
        "load": asdict(workload.load),
        "smarthost": asdict(workload.offer),
        "ceiling": most,
        "peers": peers,
        "ratios": {
            name: _ratio(results, name) for name in workload.peers if name != workload.peers[0]
        },
        "valid": all(one.valid for one in results),
    }


def summary(rounds: Sequence[Round]) -> dict[str, Any]:
    """The rounds of one peer and their median."""
    rates = [one.rate for one in rounds]
    return {
        "rate": round(median(rates), 2),
        "rate_range": [min(rates), max(rates)],
        "accept_rate": round(median(one.accept_rate for one in rounds), 2),
        "rounds": [one.document() for one in rounds],
    }


def _ratio(results: list[Round], other: str) -> float:
    """The median over the rounds of relay / other, each of the same round."""
    ours = [one.rate for one in results if one.peer == "relay"]
    theirs = [one.rate for one in results if one.peer == other]
    pairs = zip(ours, theirs, strict=True)
    return round(median(our / their if their else float("inf") for our, their in pairs), 2)
