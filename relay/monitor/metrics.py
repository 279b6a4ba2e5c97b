"""What `/metrics` shows, in Prometheus's text format.

Labels are bounded and name no person: smarthosts and clients as the configuration names them,
outcomes, kinds of alarm. Never an address, a user name or a text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

# Loaded with the first look at /metrics only.
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from relay.config.model import Config
from relay.control.usage import usage_documents
from relay.intake.door import LEARNING
from relay.monitor.counts import BUCKETS, OTHER, OUTCOMES, Counts
from relay.spool.errors import SpoolError
from relay.spool.ledger_entry import BlockedBy, Lane, PausedAccount
from relay.spool.protocol import Spool
from relay.spool.statistics import Totals

K = TypeVar("K", bound=tuple[str, ...])

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4


@dataclass(frozen=True, slots=True)
class Live:
    """What only the process knows: None where nothing runs."""

    version: str
    connections: int
    counts: Counts | None
    alarms: Mapping[str, int]
    """How many stand, by kind."""


@dataclass(frozen=True, slots=True)
class _Stored:
    """What the spool knows."""

    totals: Totals
    lanes: Mapping[str, Lane]
    paused: tuple[PausedAccount, ...]
    usage: list[dict[str, Any]]


async def exposition(spool: Spool, config: Config, live: Live, now: datetime) -> bytes:
    """The text; a spool that cannot be asked leaves its metrics out and `relay_spool_up` at 0."""
    try:
        totals = await spool.queue.totals()
        stored = _Stored(
            totals,
            await spool.ledger.lanes(),
            await spool.ledger.paused(),
            await usage_documents(config, spool.ledger, now),
        )
    except SpoolError:
        stored = None
    families = [
        *_process(live),
        *_room(spool, config, stored is not None),
        *(_queue(stored, config, now) if stored else ()),
        *(_counted(live.counts, config) if live.counts else ()),
    ]
    registry = CollectorRegistry()
    registry.register(_Given(families))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


class _Given(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = tuple(families)

    def collect(self) -> Iterable[Metric]:
        return self._families


def _gauge(name: str, text: str, labels: tuple[str, ...], values: Mapping[K, float]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=labels)
    for label_values, value in values.items():
        family.add_metric(label_values, value)
    return family


def _counter(name: str, text: str, labels: tuple[str, ...], values: Mapping[K, float]) -> Metric:
    family = CounterMetricFamily(name, text, labels=labels)
    for label_values, value in values.items():
        family.add_metric(label_values, value)
    return family


def _process(live: Live) -> Iterator[Metric]:
    yield InfoMetricFamily("relay_build", "This relay", {"version": live.version})
    connections = {(): float(live.connections)}
    yield _gauge("relay_connections", "Open SMTP connections of listed clients", (), connections)
    standing = {(kind,): float(count) for kind, count in live.alarms.items()}
    yield _gauge("relay_alarms", "Alarms that stand", ("kind",), standing)


def _room(spool: Spool, config: Config, up: bool) -> Iterator[Metric]:
    works = {(): float(up and spool.trouble is None)}
    yield _gauge("relay_spool_up", "1 while the spool can be read and takes mail", (), works)
    free = spool.free_bytes()
    if free is not None:
        yield _gauge("relay_spool_free_bytes", "Room on the spool's disk", (), {(): float(free)})
    reserve = {(): float(config.spool.reserve_bytes)}
    yield _gauge("relay_spool_reserve_bytes", "Below it new mail is put off", (), reserve)


def _queue(stored: _Stored, config: Config, now: datetime) -> Iterator[Metric]:
    totals = stored.totals
    states = {("queued",): float(totals.queued), ("held",): float(totals.held)}
    yield _gauge("relay_queue_messages", "Messages that wait", ("state",), states)
    oldest = totals.oldest_queued_at
    age = 0.0 if oldest is None else max(0.0, (now - oldest).total_seconds())
    yield _gauge("relay_queue_oldest_seconds", "Age of the oldest message", (), {(): age})
    names = [each.name for each in config.smarthosts]
    lanes = _by_name(totals.by_lane, names)
    yield _gauge("relay_lane_messages", "Messages queued", ("smarthost",), lanes)
    blocked = {
        (name, by.value): float(_is_blocked(stored.lanes.get(name), by, now))
        for name in names
        for by in BlockedBy
    }
    text = "1 while the smarthost waits, by reason"
    yield _gauge("relay_smarthost_blocked", text, ("smarthost", "by"), blocked)
    paused = {(each.host, each.username) for each in stored.paused}
    accounts = {
        (each.name,): float(each.account in paused) for each in config.smarthosts if each.account
    }
    text = "1 while the smarthost's account is paused"
    yield _gauge("relay_account_paused", text, ("smarthost",), accounts)
    yield from _quotas(stored)


def _quotas(stored: _Stored) -> Iterator[Metric]:
    used: dict[tuple[str, ...], float] = {}
    limits: dict[tuple[str, ...], float] = {}
    for each in stored.usage:
        for what in ("messages", "recipients"):
            key = (each["smarthosts"][0], what)
            used[key] = float(each[what]["used"])
            if each[what]["limit_now"] is not None:
                limits[key] = float(each[what]["limit_now"])
    labels = ("smarthost", "what")
    yield _gauge("relay_quota_used", "Used in 24 hours by the smarthost's account", labels, used)
    yield _gauge("relay_quota_limit", "Its limit in 24 hours, where there is one", labels, limits)


def _is_blocked(lane: Lane | None, by: BlockedBy, now: datetime) -> bool:
    block = None if lane is None else lane.block
    if block is None or block.by is not by:
        return False
    return block.until is None or block.until > now


def _counted(counts: Counts, config: Config) -> Iterator[Metric]:
    clients = [*(each.name for each in config.clients), "local", LEARNING]
    names = [each.name for each in config.smarthosts]
    for name, text, counted in (
        ("relay_messages_accepted", "Messages accepted", counts.messages),
        ("relay_accepted_bytes", "Bytes of messages accepted", counts.bytes),
        ("relay_refused", "Connections and messages refused", counts.refused),
    ):
        yield _counter(name, text, ("client",), _by_name(counted, clients))
    outcomes: Counter[tuple[str, ...]] = Counter()
    for (smarthost, outcome), count in list(counts.recipients.items()):
        outcomes[smarthost if smarthost in names else OTHER, outcome] += count
    for name in names:
        for outcome in OUTCOMES:
            outcomes.setdefault((name, outcome), 0)
    labels = ("smarthost", "outcome")
    yield _counter("relay_recipients", "Recipients by what became of an attempt", labels, outcomes)
    yield _counter("relay_reports", "Delivery reports made", (), {(): float(counts.reports)})
    alerts = {(cause,): float(count) for cause, count in list(counts.alerts.items())}
    yield _counter("relay_alerts", "Alerts in the log", ("cause",), alerts)
    yield _attempts(counts, names)


def _attempts(counts: Counts, names: list[str]) -> Metric:
    family = HistogramMetricFamily(
        "relay_attempt_seconds", "Duration of attempts", labels=("smarthost",)
    )
    for name in names:
        total, buckets = 0, []
        for index, most in enumerate((*BUCKETS, float("inf"))):
            total += counts.attempt_buckets[name, index]
            buckets.append(("+Inf" if most == float("inf") else str(most), float(total)))
        family.add_metric((name,), buckets, counts.attempt_seconds.get(name, 0.0))
    return family


def _by_name(counted: Mapping[str, int], names: Iterable[str]) -> dict[tuple[str, ...], float]:
    """Each of `names`, and what has another name together as `other`."""
    known = dict.fromkeys(names)
    found: dict[tuple[str, ...], float] = {(name,): 0.0 for name in (*known, OTHER)}
    for name, count in list(counted.items()):
        found[(name if name in known else OTHER,)] += count
    return found
