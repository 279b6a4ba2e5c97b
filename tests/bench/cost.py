"""How the cost grows with the work: one curve for each of size, recipients and connections."""

from dataclasses import asdict
from typing import Any

from bench.counted import Offer
from bench.load import Load
from bench.throughput import alternate, side_by_side, summary, warm_up
from fakes.certificates import Authority

_PEERS = ("relay", "postfix")


def curve(loads: list[tuple[int, Load]], rounds: int, authority: Authority) -> list[dict[str, Any]]:
    """A row for each (step, load): the relay and Postfix, the rounds alternating."""
    rows = []
    with side_by_side(_PEERS, Offer(), authority) as pairs:
        warm_up(pairs, loads[0][1])
        for step, load in loads:
            results = alternate(pairs, load, rounds)
            rows.append(
                {
                    "step": step,
                    "load": asdict(load),
                    "peers": {
                        name: summary([one for one in results if one.peer == name])
                        for name in _PEERS
                    },
                    "valid": all(one.valid for one in results),
                }
            )
    return rows
