"""The command line of the benchmark."""

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import text, workloads
from bench.backlog import backlogs
from bench.claims import claims
from bench.cost import curve
from bench.counted import Offer
from bench.figures import figures
from bench.fleet import fleet
from bench.large import large
from bench.machine import describe
from bench.nodes import nodes
from bench.probe import latency
from bench.startup import startup
from bench.throughput import compare, side_by_side
from fakes.certificates import Authority

PARTS = ("throughput", "latency", "large", "backlog", "curves", "startup", "fleet", "nodes")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs what was asked for. 1: a round does not count, its messages were not all there."""
    options = _options(arguments)
    # Whoever ends the run early shall find no Postfix and no relay of it alive.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        place = Path(directory)
        run = _Run(options, Authority(place))
        document: dict[str, Any] = {
            "schema": "bench/1",
            "short": options.short,
            "rounds": options.rounds,
            "machine": describe(place),
        }
        for part in PARTS:
            if result := getattr(run, part)():
                document[part] = result
    document["figures"] = [] if options.short else figures(document)
    document["seconds"] = round(time.monotonic() - began)
    tables = text.tables(document)
    print(f"\n{tables}")
    if options.save:
        options.save.with_suffix(".json").write_text(f"{json.dumps(document, indent=1)}\n")
        options.save.with_suffix(".txt").write_text(tables)
    return 1 if _void(document) else 0


class _Run:
    """The parts, each its document or nothing where it was not asked for."""

    def __init__(self, options: argparse.Namespace, authority: Authority) -> None:
        self._only = [part.lower() for part in options.only or [""]]
        self._short, self._rounds, self._authority = options.short, options.rounds, authority

    def _wanted(self, name: str) -> bool:
        return any(part in name.lower() for part in self._only)

    def throughput(self) -> list[dict[str, Any]]:
        documents = []
        for workload in workloads.throughput(self._short):
            if self._wanted(f"throughput: {workload.name}"):
                _tell(workload.name)
                documents.append(compare(workload, self._rounds, self._authority))
        return documents

    def latency(self) -> list[dict[str, Any]]:
        if not self._wanted("latency"):
            return []
        _tell("latency")
        messages, load = workloads.latency(self._short)
        with side_by_side(("relay", "postfix"), Offer(), self._authority) as pairs:
            return [latency(peer, smarthost, messages, load) for peer, smarthost in pairs]

    def large(self) -> list[dict[str, Any]]:
        if not self._wanted("large"):
            return []
        _tell("large messages")
        return large(workloads.large(self._short), self._authority)

    def backlog(self) -> list[dict[str, Any]]:
        if not self._wanted("backlog"):
            return []
        _tell("backlog")
        depths, load = workloads.backlog(self._short)
        return backlogs(depths, load, self._rounds, self._authority)

    def curves(self) -> dict[str, Any]:
        documents = {}
        for name, loads in workloads.curves(self._short).items():
            if self._wanted(f"curves: {name}"):
                _tell(f"curve of {name}")
                documents[name] = curve(loads, min(self._rounds, 3), self._authority)
        return documents

    def startup(self) -> dict[str, Any]:
        if not self._wanted("startup"):
            return {}
        _tell("startup")
        return startup(1 if self._short else 5, self._authority)

    def fleet(self) -> list[dict[str, Any]]:
        if not self._wanted("fleet"):
            return []
        _tell("fleet")
        return fleet(200 if self._short else 10_000)

    def nodes(self) -> dict[str, Any]:
        if not self._wanted("nodes"):
            return {}
        _tell("nodes over one PostgreSQL")
        counts, settings = workloads.nodes(self._short)
        return {
            "together": nodes(counts, settings, min(self._rounds, 3), self._authority),
            "claims": claims(*workloads.claims(self._short)),
        }


def _tell(what: str) -> None:
    print(f"{what} ...", file=sys.stderr, flush=True)


def _void(document: Any) -> bool:
    """Something in it is marked as not valid."""
    if isinstance(document, dict):
        return document.get("valid") is False or any(map(_void, document.values()))
    return isinstance(document, list) and any(map(_void, document))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python tests/bench",
        description="Measures the relay and Postfix side by side. Needs root and Postfix.",
    )
    parser.add_argument("--short", action="store_true", help="few messages: does it work?")
    parser.add_argument("--rounds", type=int, help="of each load; default 5, short 1")
    parser.add_argument(
        "--only",
        action="append",
        metavar="TEXT",
        help=f"what has this in its name: a part ({', '.join(PARTS)}) or a load; repeatable",
    )
    parser.add_argument(
        "--save", type=Path, metavar="FILE", help="write FILE.json and FILE.txt as well"
    )
    options = parser.parse_args(arguments)
    options.rounds = options.rounds or (1 if options.short else 5)
    return options
