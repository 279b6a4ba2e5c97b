"""What `relay status` tells: counts, what stands in the way, and which of it is a problem."""

from __future__ import annotations

from datetime import datetime, timedelta

from relay.config.model import Config
from relay.control import documents
from relay.control.documents import Document
from relay.delivery.sightings import Seen, read_seen
from relay.spool.errors import SpoolError
from relay.spool.model import BlockedBy, History, Lane, PausedAccount, Totals
from relay.spool.protocol import Spool

OLDEST_WAIT = timedelta(hours=1)
"""How long the oldest message may wait before it is a problem."""


async def health(spool: Spool, config: Config, now: datetime) -> Document:
    """The keys of the status that come from the spool, `problems` among them."""
    free_bytes = spool.free_bytes()
    room: Document = {"free_bytes": free_bytes, "reserve_bytes": config.spool.reserve_bytes}
    try:
        totals = await spool.queue.totals()
        lanes = await spool.ledger.lanes()
        paused = await spool.ledger.paused()
        names = _names(config, totals)
        pasts = {name: await _past(spool, name) for name in names}
    except SpoolError as error:
        return {**room, "problems": [{"id": "spool-failing", "detail": str(error)}]}
    return {
        **_counts(totals, now),
        **room,
        "smarthosts": _smarthosts(config, totals, lanes, pasts),
        "problems": [
            *_account_problems(paused),
            *_smarthost_problems(config, lanes),
            *_waiting_problems(totals, now),
            *_disk_problems(free_bytes, config.spool.reserve_bytes),
        ],
    }


def not_running(config: Config) -> Document:
    """The status where there is no process, and no spool to ask."""
    return _without_spool(config, {"id": "not-running"})


def spool_failing(config: Config, detail: str) -> Document:
    """The status where there is no process, and a spool that cannot be opened."""
    return _without_spool(config, {"id": "not-running"}, {"id": "spool-failing", "detail": detail})


def _without_spool(config: Config, *problems: Document) -> Document:
    return documents.document(
        "status",
        verdict="fail",
        running=False,
        sandbox=config.sandbox,
        problems=list(problems),
    )


def _counts(totals: Totals, now: datetime) -> Document:
    oldest_at = totals.oldest_queued_at
    return {
        "queued": totals.queued,
        "held": totals.held,
        "oldest_queued_at": documents.time_text(oldest_at),
        "oldest_queued_seconds": _seconds_since(oldest_at, now),
    }


def _seconds_since(at: datetime | None, now: datetime) -> int:
    return 0 if at is None else max(0, round((now - at).total_seconds()))


def _names(config: Config, totals: Totals) -> list[str]:
    names = [smarthost.name for smarthost in config.smarthosts]
    # A lane that the configuration lost still has mail to show.
    return names + sorted(name for name in totals.by_lane if name and name not in names)


async def _past(spool: Spool, name: str) -> tuple[History, Seen | None]:
    return await spool.queue.history(name), await read_seen(spool.ledger, name)


def _smarthosts(
    config: Config,
    totals: Totals,
    lanes: dict[str, Lane],
    pasts: dict[str, tuple[History, Seen | None]],
) -> list[Document]:
    return [
        {
            "name": name,
            "queued": totals.by_lane.get(name, 0),
            **documents.block_document(lanes[name].block if name in lanes else None),
            **documents.history_document(history, documents.provider_of(config, name)),
            "seen": seen,
        }
        for name, (history, seen) in pasts.items()
    ]


def _account_problems(paused: tuple[PausedAccount, ...]) -> list[Document]:
    return [
        {
            "id": "account-paused",
            "host": account.host,
            "username": account.username,
            **documents.pause_document(account),
        }
        for account in paused
    ]


def _smarthost_problems(config: Config, lanes: dict[str, Lane]) -> list[Document]:
    configured = {smarthost.name for smarthost in config.smarthosts}
    return [
        {
            "id": "smarthost-backing-off",
            "smarthost": lane.name,
            **documents.block_document(lane.block),
        }
        for lane in lanes.values()
        if lane.name in configured and lane.block and lane.block.by is BlockedBy.SMARTHOST
    ]


def _waiting_problems(totals: Totals, now: datetime) -> list[Document]:
    waited = _seconds_since(totals.oldest_queued_at, now)
    if waited <= OLDEST_WAIT.total_seconds():
        return []
    return [{"id": "queue-old", "oldest_queued_seconds": waited}]


def _disk_problems(free_bytes: int | None, reserve_bytes: int) -> list[Document]:
    if free_bytes is None or free_bytes >= reserve_bytes:
        return []
    return [{"id": "disk-low", "free_bytes": free_bytes, "reserve_bytes": reserve_bytes}]
