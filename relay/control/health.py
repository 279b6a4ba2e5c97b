"""What `relay status` tells: counts, what stands in the way, and which of it is a problem."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

from relay.config.certificate_dates import dated_certificates
from relay.config.dkim_key import private_key
from relay.config.fault import BadValueError
from relay.config.model import Config
from relay.config.secret import SecretError
from relay.control import documents
from relay.control.documents import Document
from relay.control.nodes import node_documents, node_problems
from relay.control.usage import quota_warnings, usage_documents
from relay.delivery.sightings import Seen, read_seen
from relay.spool.errors import SpoolError, disk_cause
from relay.spool.ledger_entry import BlockedBy, Lane, PausedAccount
from relay.spool.protocol import Spool
from relay.spool.sqlite.aside import damaged_files
from relay.spool.sqlite.opening import LOG_KEPT_BYTES, log_bytes
from relay.spool.statistics import History, Totals

OLDEST_WAIT = timedelta(hours=1)
"""How long the oldest message may wait before it is a problem."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What the spool knows at one moment."""

    totals: Totals
    lanes: dict[str, Lane]
    paused: tuple[PausedAccount, ...]
    accounts: list[Document]
    nodes: list[Document]
    free_bytes: int | None


async def health(spool: Spool, config: Config, now: datetime) -> Document:
    """The keys of the status that come from the spool, `problems` among them."""
    room: Document = {
        "free_bytes": spool.free_bytes(),
        "reserve_bytes": config.spool.reserve_bytes,
    }
    try:
        known = await _read(spool, config, now)
        names = _names(config, known.totals)
        pasts = {name: await _past(spool, name) for name in names}
    except SpoolError as error:
        return {**room, **_unreadable(spool, error)}
    return {
        **_counts(known.totals, now),
        **room,
        "smarthosts": _smarthosts(config, known.totals, known.lanes, pasts),
        "accounts": known.accounts,
        "nodes": known.nodes,
        **await _findings(spool, config, now, known),
    }


async def trouble(spool: Spool, config: Config, now: datetime) -> Document:
    """`problems` and `warnings` alone, without what reads the history of attempts."""
    try:
        known = await _read(spool, config, now)
    except SpoolError as error:
        return _unreadable(spool, error)
    return await _findings(spool, config, now, known)


async def _read(spool: Spool, config: Config, now: datetime) -> _Known:
    totals = await spool.queue.totals()
    return _Known(
        totals,
        await spool.ledger.lanes(),
        await spool.ledger.paused(),
        await usage_documents(config, spool.ledger, now, totals),
        await node_documents(spool),
        spool.free_bytes(),
    )


async def _findings(spool: Spool, config: Config, now: datetime, known: _Known) -> Document:
    ended, ending = await asyncio.to_thread(_certificates, config, now)
    return {
        "problems": [
            *_account_problems(known.paused),
            *_smarthost_problems(config, known.lanes),
            *_waiting_problems(known.totals, now),
            *_trouble(spool),
            *_disk_problems(known.free_bytes, config.spool.reserve_bytes),
            *_damaged(config),
            *ended,
            *node_problems(known.nodes),
            *await asyncio.to_thread(_dkim_problems, config),
        ],
        # Nobody has to act: what exceeds a limit waits, and nothing is lost.
        "warnings": [
            *_large_log(config),
            *_quota_blocks(config, known.lanes, now),
            *quota_warnings(known.accounts),
            *ending,
        ],
    }


def _unreadable(spool: Spool, error: SpoolError) -> Document:
    """A spool that cannot be asked is the one problem."""
    return {
        "problems": _trouble(spool) or [{"id": "spool-failing", "detail": str(error)}],
        "warnings": [],
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
        warnings=[],
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


def _quota_blocks(config: Config, lanes: dict[str, Lane], now: datetime) -> list[Document]:
    configured = {smarthost.name for smarthost in config.smarthosts}
    return [
        {
            "id": "quota-waiting",
            "smarthost": lane.name,
            **documents.block_document(lane.block),
        }
        for lane in lanes.values()
        if lane.name in configured
        and lane.block is not None
        and lane.block.by is BlockedBy.QUOTA
        and (lane.block.until is None or lane.block.until > now)
    ]


def _waiting_problems(totals: Totals, now: datetime) -> list[Document]:
    waited = _seconds_since(totals.oldest_queued_at, now)
    if waited <= OLDEST_WAIT.total_seconds():
        return []
    return [{"id": "queue-old", "oldest_queued_seconds": waited}]


def _trouble(spool: Spool) -> list[Document]:
    """The disk takes nothing new: no message, and no attempt whose outcome could not be kept."""
    trouble = spool.trouble
    return [] if trouble is None else [{"id": disk_cause(trouble), "detail": str(trouble)}]


def _damaged(config: Config) -> list[Document]:
    """Damaged spools that a start replaced, until somebody has looked and deletes them."""
    path = config.spool.path
    found = [] if path is None else damaged_files(path)
    return [{"id": "spool-damaged", "path": str(each)} for each in found]


def _large_log(config: Config) -> list[Document]:
    """Another program has been reading the spool for so long that its log cannot be written back."""
    path = config.spool.path
    size_bytes = 0 if path is None else log_bytes(path)
    return [{"id": "spool-log", "bytes": size_bytes}] if size_bytes > LOG_KEPT_BYTES else []


def _disk_problems(free_bytes: int | None, reserve_bytes: int) -> list[Document]:
    if free_bytes is None or free_bytes >= reserve_bytes:
        return []
    return [{"id": "disk-low", "free_bytes": free_bytes, "reserve_bytes": reserve_bytes}]


def _certificates(config: Config, now: datetime) -> tuple[list[Document], list[Document]]:
    """Those that have ended, and those that soon will; reads each."""
    soon = [each for each in dated_certificates(config) if each.ends_soon(now)]
    ended: list[Document] = []
    ending: list[Document] = []
    for each in soon:
        if each.days_left(now) > 0:
            ending.append({"id": "certificate-ends", **each.values(now)})
        else:
            ended.append({"id": "certificate-ended", **each.values(now)})
    return ended, ending


def _dkim_problems(config: Config) -> list[Document]:
    """The domains whose mail waits, as it cannot be signed; reads each key."""
    found: list[Document] = []
    for each in config.dkim:
        try:
            private_key(each.key.read())
        except (SecretError, BadValueError) as error:
            found.append({"id": "dkim-key", "domain": each.domain, "detail": str(error)})
    return found
