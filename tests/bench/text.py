"""The results as tables for people."""

from collections.abc import Iterator, Sequence
from typing import Any

from bench import claims, fleet, nodes
from tabulate import tabulate

_Row = list[object]


def tables(document: dict[str, Any]) -> str:
    """All that was run, one table a part."""
    return "\n\n".join(_tables(document)) + "\n"


def _tables(document: dict[str, Any]) -> Iterator[str]:
    yield _machine(document)
    for part, table in (
        ("throughput", throughput),
        ("latency", _latency),
        ("large", _large),
        ("backlog", _backlog),
        ("fleet", fleet.table),
    ):
        if document.get(part):
            yield table(document[part])
    for name, rows in document.get("curves", {}).items():
        yield _curve(name, rows)
    if startup := document.get("startup"):
        yield _startup(startup)
    if found := document.get("nodes"):
        yield nodes.table(found["together"])
        yield claims.table(found["claims"])
    if document["figures"]:
        rows = [
            [one["figure"], f"{one['measured']:.3g}", one["wanted"], _yes(one["reached"])]
            for one in document["figures"]
        ]
        yield _table(["figure", "measured", "wanted", "reached"], rows)


def throughput(documents: Sequence[dict[str, Any]]) -> str:
    """Messages a second, end to end, side by side."""
    rows: list[_Row] = []
    for document in documents:
        peers = document["peers"]
        row: _Row = [document["name"], _rate(peers.get("relay"))]
        for name in ("postfix", "postfix reuse"):
            row += [_rate(peers.get(name)), document["ratios"].get(name, "")]
        accepted = " / ".join(f"{one['accept_rate']:.0f}" for one in peers.values())
        ceiling = "" if document["ceiling"] is None else f"{document['ceiling']:.0f}"
        rows.append([*row, accepted, ceiling])
    headers = ["messages a second", "relay", "postfix", "ratio", "postfix, TLS reuse", "ratio"]
    return _table([*headers, "accepted", "ceiling"], rows)


def _rate(peer: dict[str, Any] | None, times: float = 1.0) -> str:
    """The median and the range, or why it does not count."""
    if peer is None:
        return ""
    void = [one["why"] for one in peer["rounds"] if not one["valid"]]
    if void:
        return f"VOID: {void[0]}"
    low, high = (value * times for value in peer["rate_range"])
    return f"{_short(peer['rate'] * times)} ({_short(low)}-{_short(high)})"


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def _machine(document: dict[str, Any]) -> str:
    machine = document["machine"]
    rows: list[_Row] = [[key.replace("_", " "), value] for key, value in machine.items()]
    return _table(["machine", ""], rows)


def _latency(documents: Sequence[dict[str, Any]]) -> str:
    rows: list[_Row] = []
    for document in documents:
        for when in ("idle", "loaded"):
            for what in ("accept", "noop"):
                one = document[when][what]
                void = "" if document["valid"] else "VOID"
                rows.append([document["peer"], when, what])
                rows[-1] += [one["p50"], one["p99"], one["max"], one["count"], void]
    return _table(["milliseconds", "", "", "p50", "p99", "max", "count", ""], rows)


def _large(documents: Sequence[dict[str, Any]]) -> str:
    rows: list[_Row] = [
        [
            one["peer"],
            *(_megabytes(one[key]) for key in ("before_bytes", "peak_bytes", "more_bytes")),
            one["megabytes_per_second"],
            one["why"],
        ]
        for one in documents
    ]
    return _table(["large messages at once: MB", "before", "most", "more", "MB/s", ""], rows)


def _backlog(documents: Sequence[dict[str, Any]]) -> str:
    rows: list[_Row] = [
        [
            *(one["queued"], one["ready_seconds"], _rate(one), one["of_empty"]),
            *(_megabytes(one["resident_bytes"]), _megabytes(one["peak_bytes"])),
        ]
        for one in documents
    ]
    headers = ["queued", "seconds to ready", "new mail a second", "of empty", "MB after", "MB most"]
    return _table(headers, rows)


def _curve(name: str, documents: Sequence[dict[str, Any]]) -> str:
    rows: list[_Row] = []
    for one in documents:
        relay, postfix = one["peers"]["relay"], one["peers"]["postfix"]
        row: _Row = [one["step"], _rate(relay), _rate(postfix)]
        if name in ("recipients", "bytes"):
            times = one["step"] / (1e6 if name == "bytes" else 1)
            row += [_rate(relay, times), _rate(postfix, times)]
        rows.append(row)
    more = {"recipients": "recipients/s", "bytes": "MB/s"}.get(name)
    headers = [name, "relay, messages/s", "postfix, messages/s"]
    return _table([*headers, *([f"relay, {more}", f"postfix, {more}"] if more else [])], rows)


def _startup(document: dict[str, Any]) -> str:
    rows: list[_Row] = [
        *([f"{name}: ready", one] for name, one in document["ready_seconds"].items()),
        *([name, one] for name, one in document["command_seconds"].items()),
    ]
    idle: list[_Row] = [[name, _megabytes(one)] for name, one in document["idle_bytes"].items()]
    return f"{_table(['', 'seconds'], rows)}\n\n{_table(['idle', 'MB'], idle)}"


def _megabytes(value: int) -> str:
    return _short(value / 1e6)


def _yes(value: bool) -> str:
    return "yes" if value else "NO"


def _table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    text: str = tabulate(rows, headers, disable_numparse=True)
    return text
