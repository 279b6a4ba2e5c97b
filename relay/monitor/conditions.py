"""What is wrong at this moment, as the alarms see it: the status's findings and what only people
have to hear of, such as a refused device or a certificate about to end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from relay.access.address import is_private, peer_address
from relay.access.rules import AccessRules
from relay.account.validity import works_until
from relay.config.certificate_dates import ENDS_SOON, dated_certificates
from relay.config.model import Config
from relay.control.device_report import DeviceReport
from relay.control.documents import Document
from relay.control.health import trouble
from relay.delivery.budget import USED_UP
from relay.delivery.trouble import ALARMING_FAILURES, BY_OPERATOR
from relay.monitor.alarms import Condition
from relay.monitor.statistics import SILENT_ALARM_DAYS
from relay.spool.errors import SpoolError
from relay.spool.ledger_entry import RefusedDevice
from relay.spool.protocol import Spool

TESTING_ENDS_SOON = timedelta(days=3)
"""A consent that lives for seven days is not always about to end."""
REFUSED_FOR = timedelta(hours=24)
"""So long after its last try a refused device is an alarm."""
MOST_DEVICES = 50

_DAY_LIMITS = (USED_UP, "daily-quota")


@dataclass(frozen=True, slots=True)
class Look:
    """What was found; not `complete` where the spool could not be asked for all of it."""

    conditions: tuple[Condition, ...]
    complete: bool


async def standing(
    spool: Spool, config: Config, now: datetime, alerted: Collection[Condition]
) -> Look:
    """What the status calls a problem, and quotas; `alerted` are those that need no further proof."""
    found = await trouble(spool, config, now)
    complete = all(each["id"] != "spool-failing" for each in found["problems"])
    known = {(each.kind, each.subject): each.values.get("reason", "") for each in alerted}
    conditions = [
        condition
        for document in (*found["problems"], *found["warnings"])
        if (condition := _of_status(document, known)) is not None
    ]
    return Look(tuple(conditions), complete)


Known = Mapping[tuple[str, str], str]
"""The reasons of conditions that were alerted or stand, by kind and subject."""


def _of_status(found: Document, known: Known) -> Condition | None:
    """The condition that a problem or warning of the status is; None: nobody needs to be called."""
    read = _READERS.get(found["id"])
    return None if read is None else read(found, known)


def _account_paused(found: Document, known: Known) -> Condition | None:
    if found["cause"] == BY_OPERATOR:
        return None
    values = {"username": found["username"], "host": found["host"], "reason": _reason(found)}
    return Condition("account-paused", f"{found['username']} {found['host']}", values)


def _smarthost_fails(found: Document, known: Known) -> Condition | None:
    """From the fourth failure in a row on, or at once where the alert said that it will not pass."""
    name = found["smarthost"]
    reason = known.get(("smarthost-fails", name))
    if reason is None and found["failures"] < ALARMING_FAILURES:
        return None
    values = {"smarthost": name, "reason": reason or _reason(found)}
    return Condition("smarthost-fails", name, values)


def _quota_reached(found: Document, known: Known) -> Condition | None:
    name = found["smarthost"]
    if found["cause"] not in _DAY_LIMITS and ("quota-reached", name) not in known:
        return None
    return Condition("quota-reached", name, {"smarthost": name})


def _quota_nearly_used(found: Document, known: Known) -> Condition | None:
    account = found["username"] or found["smarthost"]
    values = {key: str(found[key]) for key in ("host", "used", "most", "limit", "smarthost")}
    subject = f"{account} {found['host']} {found['limit']}"
    return Condition("quota-nearly-used", subject, {**values, "username": account})


def _queue_old(found: Document, known: Known) -> Condition | None:
    return Condition("queue-old", "", {"minutes": str(found["oldest_queued_seconds"] // 60)})


def _disk_low(found: Document, known: Known) -> Condition | None:
    values = {
        "free_megabytes": str(found["free_bytes"] // 10**6),
        "reserve_megabytes": str(found["reserve_bytes"] // 10**6),
    }
    return Condition("disk-low", "", values)


def _spool_fails(found: Document, known: Known) -> Condition | None:
    return Condition(found["id"], "", {"reason": found["detail"]})


def _spool_damaged(found: Document, known: Known) -> Condition | None:
    return Condition("spool-damaged", found["path"], {"path": found["path"]})


def _dkim_key(found: Document, known: Known) -> Condition | None:
    values = {"domain": found["domain"], "reason": found["detail"]}
    return Condition("dkim-key", found["domain"], values)


def _nodes_differ(found: Document, known: Known) -> Condition | None:
    return Condition("nodes-differ", "", {"nodes": found["names"]})


_READERS: Mapping[str, Callable[[Document, Known], Condition | None]] = {
    "account-paused": _account_paused,
    "smarthost-backing-off": _smarthost_fails,
    "quota-waiting": _quota_reached,
    "quota-nearly-used": _quota_nearly_used,
    "queue-old": _queue_old,
    "disk-low": _disk_low,
    "disk-full": _spool_fails,
    "spool-failing": _spool_fails,
    "spool-damaged": _spool_damaged,
    "dkim-key": _dkim_key,
    "nodes-differ": _nodes_differ,
}


def _reason(found: Document) -> str:
    reply = found["reply"]
    if not reply:
        return str(found["cause"])
    return " ".join(str(reply[key]) for key in ("code", "enhanced", "text") if reply[key])


def refused_devices(
    devices: Collection[RefusedDevice], rules: AccessRules, now: datetime
) -> Iterator[Condition]:
    """Each machine of the office that was turned away in the last day; those of outside as one."""
    recent = [
        (device, peer_address(device.address))
        for device in devices
        if now - device.last_at < REFUSED_FOR
    ]
    unlisted = [(device, address) for device, address in recent if rules.match(address) is None]
    own = [device for device, address in unlisted if is_private(address)]
    for device in own[:MOST_DEVICES]:
        values = {"address": device.address, "count": str(device.count)}
        yield Condition("refused-device", device.address, values)
    foreign = [device for device, address in unlisted if not is_private(address)]
    if foreign:
        values = {"address": foreign[0].address, "count": str(len(foreign))}
        yield Condition("refused-internet", "", values)


async def slow_ones(
    spool: Spool, config: Config, now: datetime, alerted: Collection[Condition]
) -> Look:
    """Tokens and certificates that are about to end, and clients that fell silent; reads the
    vault, files, and five weeks of statistics."""
    found = list(await asyncio.to_thread(_certificates, config, now))
    try:
        found += [each async for each in _tokens(spool, config, now)]
        devices = (await DeviceReport(spool, config, now).listed())["devices"]
    except SpoolError:
        return Look(tuple(found), complete=False)
    known = {each.subject for each in alerted if each.kind == "client-silent"}
    return Look((*found, *_silent(devices, known)), complete=True)


def _silent(devices: Collection[Document], known: Collection[str]) -> Iterator[Condition]:
    """Each client that the page calls silent; one that is an alarm until it is heard again, also
    when the statistics have forgotten that it ever sent."""
    for each in devices:
        still = each["name"] in known and (each["silent_working_days"] or 0) >= SILENT_ALARM_DAYS
        if not each["silent_alarm"] and not still:
            continue
        day = datetime.fromisoformat(each["last_mail_at"]).astimezone().date().isoformat()
        values = {"client": each["name"], "day": day, "days": str(each["silent_days"])}
        yield Condition("client-silent", each["name"], values)


async def _tokens(spool: Spool, config: Config, now: datetime) -> AsyncIterator[Condition]:
    accounts = {each.account: each for each in reversed(config.smarthosts) if each.oauth2}
    for account, smarthost in accounts.items():
        if account is None:
            continue
        host, username = account
        grant = await spool.vault.grant(host, username)
        validity = await asyncio.to_thread(works_until, smarthost.oauth2, grant, now)
        soon = TESTING_ENDS_SOON if validity.reason == "google-testing" else ENDS_SOON
        if validity.until is None or validity.until - now > soon:
            continue
        values = {
            "username": username,
            "host": host,
            "smarthost": smarthost.name,
            "day": validity.until.astimezone().date().isoformat(),
            "reason": validity.text(config.language),
        }
        yield Condition("token-ends", f"{username} {host}", values)


def _certificates(config: Config, now: datetime) -> Iterator[Condition]:
    for each in dated_certificates(config):
        if each.ends_soon(now):
            kind = "certificate-ends" if each.days_left(now) > 0 else "certificate-ended"
            values = {name: str(value) for name, value in each.values(now).items()}
            yield Condition(kind, f"{each.key} {each.path}", values)
