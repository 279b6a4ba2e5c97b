"""The figures that the project set itself, beside what this run gave."""

from collections.abc import Iterator
from typing import Any

Figure = tuple[str, float, str, float]
"""What, as measured, "at least" or "at most", the figure to reach."""


def figures(document: dict[str, Any]) -> list[dict[str, Any]]:
    """A row for each figure whose part was run."""
    return [
        {
            "figure": what,
            "measured": measured,
            "wanted": f"{bound} {wanted:g}",
            "reached": measured >= wanted if bound == "at least" else measured <= wanted,
        }
        for what, measured, bound, wanted in _all(document)
    ]


def _all(document: dict[str, Any]) -> Iterator[Figure]:
    for workload in document.get("throughput", []):
        wanted = _RATIOS.get(workload["name"])
        if wanted is not None and workload["valid"]:
            yield f"{workload['name']}: x Postfix", workload["ratios"]["postfix"], *wanted
    for row in document.get("large", []):
        if row["peer"] == "relay":
            yield "memory, 20 x 25 MB at once: MB more", row["more_bytes"] / 1e6, "at most", 150
    for row in document.get("backlog", []):
        if row["queued"] == 100_000:
            yield "100k queued: seconds to ready", row["ready_seconds"], "at most", 10
            yield "100k queued: rate, of an empty queue's", row["of_empty"], "at least", 0.8
            yield "100k queued: MB of memory", row["peak_bytes"] / 1e6, "at most", 200
    if startup := document.get("startup"):
        yield "memory, idle: MB", startup["idle_bytes"]["relay"] / 1e6, "at most", 70
        yield "relay serve: seconds to ready", startup["ready_seconds"]["relay"], "at most", 1.5
        seconds = startup["command_seconds"]["diagnose explain"]
        yield "diagnose explain: seconds", seconds, "at most", 0.6


_RATIOS = {
    "4 kB, 10 sessions, one connection a message": ("at least", 1.5),
    "4 kB, 10 sessions, kept": ("at least", 1.5),
    "200 kB, 5 sessions": ("at least", 1.0),
    "60 kB, TLS, login, 20 ms, 3 connections": ("at least", 4.0),
    "60 kB, TLS, login, 20 ms, 3 connections, CHUNKING": ("at least", 4.0),
}
