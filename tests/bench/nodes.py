"""Several `relay serve` on this machine over one PostgreSQL, as one relay: what each has to spend.

Nodes, database, clients and smarthost share the machine's processors, so more nodes are not faster
here. What can be carried to machines of their own is the processor time, the log and the commits
of a message.
"""

import resource
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from statistics import median
from typing import Any

from bench.counted import CountingSmarthost, Offer
from bench.load import CLIENT_SECONDS, Load, client
from bench.memory import resident
from bench.peers import Relay, Upstream
from bench.probe import Probe, milliseconds
from bench.server_cost import Spent, used_by, used_by_server, wal
from fakes.certificates import Authority
from fakes.postgresql import PostgreSQL
from tabulate import tabulate

_DONE_SECONDS = 60.0
_PAUSE_SECONDS = 0.03


@dataclass(frozen=True, slots=True)
class Setting:
    """A smarthost, its account, and a load that is divided among the nodes."""

    name: str
    load: Load
    offer: Offer = field(default_factory=Offer)
    account: str = ""
    """More keys of `[[smarthost]]`."""


@dataclass(frozen=True, slots=True)
class _Group:
    """Nodes that run, their database, and where all of them send."""

    nodes: Sequence[Relay]
    server: PostgreSQL
    database: str
    smarthost: CountingSmarthost

    def sql(self, statement: str) -> str:
        return self.server.psql(statement, self.database)


def nodes(
    counts: Sequence[int], settings: Sequence[Setting], rounds: int, authority: Authority
) -> list[dict[str, Any]]:
    """A row for each setting and number of nodes: medians of its rounds."""
    rows: list[dict[str, Any]] = []
    with PostgreSQL() as server:
        for setting in settings:
            for count in counts:
                with _group(count, setting, server, authority) as group:
                    _round(group, Load(4 * count, setting.load.bytes, 2 * count, kept=True))
                    done = [_round(group, setting.load) for _ in range(rounds)]
                rows.append(_row(setting, count, done))
    return rows


@contextmanager
def _group(
    count: int, setting: Setting, server: PostgreSQL, authority: Authority
) -> Iterator[_Group]:
    offer = setting.offer
    database = server.database()
    with ExitStack() as stack:
        smarthost = stack.enter_context(CountingSmarthost(offer, authority.issue()))
        upstream = Upstream(smarthost.port, offer.tls, authority.ca_file, offer.max_connections)
        running: list[Relay] = []
        for _ in range(count):
            node = Relay(upstream)
            stack.callback(node.close)
            node.spool_url = server.url(database)
            # The files of all nodes are alike, down to where the secret is.
            node.tables = running[0].tables if running else f"{node.tables}{setting.account}\n"
            node.start()
            running.append(node)
        yield _Group(running, server, database, smarthost)
    server.drop(database)


def _round(group: _Group, load: Load) -> dict[str, Any]:
    """The load through all nodes at once, and a message now and then whose 250 is timed."""
    group.smarthost.reset()
    before = int(group.sql("SELECT count(*) FROM message"))
    group.sql("CHECKPOINT")
    start = group.sql("SELECT pg_current_wal_lsn()")
    spent = _spent(group)
    began = time.monotonic()
    times, fault = _send(group, load)
    accepted = time.monotonic()
    sent = load.messages + len(times)
    report = group.smarthost.wait_for(sent)
    fault = fault or _unfinished(group, before + sent)
    used = _spent(group) - spent
    end = group.sql("SELECT pg_current_wal_flush_lsn()")
    seconds = max(report["last"], accepted) - began
    limit = group.smarthost.offer.max_connections
    if report["recipients"] != sent:
        fault = f"{sent} sent, {report['recipients']} counted"
    elif report["refused_connections"]:
        fault = f"{report['refused_connections']} connections beyond the limit of {limit}"
    connections = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{group.database}'"
    return {
        "messages": sent,
        "rate": round(sent / seconds, 2),
        "accept_rate": round(sent / (accepted - began), 2),
        "accept": milliseconds(times),
        "processor_milliseconds": used.per(sent),
        **wal(group.server, start, end, sent),
        # Without the one that asks.
        "connections_per_node": (int(group.sql(connections)) - 1) / len(group.nodes),
        "resident_bytes_per_node": round(sum(map(resident, group.nodes)) / len(group.nodes)),
        "most_connections": report["most_open"],
        "why": fault,
        "valid": not fault,
    }


def _send(group: _Group, load: Load) -> tuple[list[float], str]:
    """The times from final dot to 250 at the first node, and what went wrong."""
    count = len(group.nodes)
    cuts = [load.messages * place // count for place in range(count + 1)]
    sessions = max(load.sessions // count, 1)
    times: list[float] = []
    probe = Probe(group.nodes[0])
    clients = [
        subprocess.Popen(
            client(f"{node.host}:{node.port}", Load(end - start, load.bytes, sessions, load.kept)),
            stdout=subprocess.DEVNULL,
        )
        for node, (start, end) in zip(group.nodes, pairwise(cuts), strict=True)
    ]
    limit = time.monotonic() + CLIENT_SECONDS
    try:
        while any(each.poll() is None for each in clients) and time.monotonic() < limit:
            times.append(probe.message())
            time.sleep(_PAUSE_SECONDS)  # noqa: TID251 -- a client at an office's pace
    finally:
        probe.close()
        for each in clients:
            each.kill()  # Harmless to those that have ended.
            each.wait()
    bad = [each.returncode for each in clients if each.returncode]
    return times, f"smtp-source ended with {bad}" if bad else ""


def _unfinished(group: _Group, messages: int) -> str:
    """Waits until the nodes have recorded all of it; what is not as it should be.

    As many copies as messages, and each recorded as delivered without a doubt: none came twice.
    """
    wanted = (
        "SELECT count(*) FROM message m JOIN recipient r ON r.message = m.id"
        " WHERE m.finished_at IS NOT NULL AND m.in_doubt = 0 AND r.state = 'delivered'"
    )
    limit = time.monotonic() + _DONE_SECONDS
    while (found := int(group.sql(wanted))) != messages:
        if time.monotonic() > limit:
            return f"{messages} messages, {found} recorded as delivered"
        time.sleep(0.1)  # noqa: TID251 -- other processes
    return ""


def _spent(group: _Group) -> Spent:
    """Processor seconds until now. `clients` are smtp-source, smarthost and this process."""
    here = sum(
        used.ru_utime + used.ru_stime
        for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )
    return Spent(
        nodes=sum(used_by(pid) for node in group.nodes for pid in node.processes()),
        server=used_by_server(group.server),
        clients=here + used_by(group.smarthost.pid),
    )


def _row(setting: Setting, count: int, rounds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    rates = [one["rate"] for one in rounds]
    middle = sorted(rounds, key=lambda one: float(one["rate"]))[len(rounds) // 2]
    return {
        "setting": setting.name,
        "nodes": count,
        "load": asdict(setting.load),
        "rate": round(median(rates), 2),
        "rate_range": [min(rates), max(rates)],
        "middle_round": middle,
        "rounds": list(rounds),
        "valid": all(one["valid"] for one in rounds),
    }


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Rates, and what a message costs; of the round with the median rate."""
    lines = []
    for row in rows:
        one = row["middle_round"]
        low, high = row["rate_range"]
        void = [each["why"] for each in row["rounds"] if not each["valid"]]
        rate = f"VOID: {void[0]}" if void else f"{row['rate']:.0f} ({low:.0f}-{high:.0f})"
        spent = one["processor_milliseconds"]
        lines.append(
            [
                *(row["setting"], row["nodes"], rate, one["accept"]["p50"], one["accept"]["p99"]),
                *(f"{spent[part]:.2f}" for part in ("nodes", "server", "clients")),
                *(f"{one['wal_record_bytes'] / 1e3:.1f}", f"{one['wal_page_bytes'] / 1e3:.1f}"),
                *(f"{one['commits']:.2f}", f"{one['connections_per_node']:g}"),
                f"{one['resident_bytes_per_node'] / 1e6:.0f}",
            ]
        )
    headers = ["nodes over one PostgreSQL", "nodes", "messages/s", "250: p50 ms", "p99"]
    headers += ["CPU ms a message: nodes", "PostgreSQL", "clients", "WAL kB: records", "pages"]
    headers += ["commits", "connections a node", "MB a node"]
    text: str = tabulate(lines, headers, disable_numparse=True)
    return text
