"""Memory while large messages pass, all at once."""

from typing import Any

from bench.counted import Offer
from bench.load import Load, measure
from bench.memory import resident, watched
from bench.throughput import side_by_side, warm_up
from fakes.certificates import Authority

_FEW = Load(20, 4_000, 5)


def large(load: Load, authority: Authority) -> list[dict[str, Any]]:
    """A row for each peer: memory before, and the most while the load passes."""
    rows = []
    with side_by_side(("relay", "postfix"), Offer(), authority) as pairs:
        warm_up(pairs, _FEW)
        for peer, smarthost in pairs:
            before = resident(peer)
            with watched(peer) as peak:
                passed = measure(peer, smarthost, load)
            rows.append(
                {
                    "peer": peer.name,
                    "before_bytes": before,
                    "peak_bytes": peak.bytes,
                    "more_bytes": peak.bytes - before,
                    "megabytes_per_second": round(passed.rate * load.bytes / 1e6, 1),
                    "valid": passed.valid,
                    "why": passed.why,
                }
            )
    return rows
