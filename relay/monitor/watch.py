"""Looks every half minute for what somebody has to hear, and sees to it that they do.

What was told is kept in the ledger under `alarms`: a restart repeats nothing. Of the nodes that
share a spool one tells of what all of them see; each other one, under `alarms:<host>`, of what it
alone can see. Nothing here stops mail: what fails is logged and tried again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from relay.access.rules import AccessRules
from relay.config.model import Config
from relay.delivery.schedule import smarthost_delay
from relay.monitor import mail_log
from relay.monitor.alarm_paths import AlarmPaths, Telling, Told
from relay.monitor.alarm_texts import KINDS
from relay.monitor.alarms import ONLY_HAPPENED, AlarmBook, Condition, Notice, Stage
from relay.monitor.conditions import Look, refused_devices, slow_ones, standing
from relay.spool.errors import SpoolError
from relay.spool.node import this_node
from relay.spool.protocol import Spool

log = logging.getLogger(__name__)

BOOK_SETTING = "alarms"

SEEN_BY_ALL = frozenset(
    {
        "account-paused",
        "smarthost-fails",
        "quota-reached",
        "quota-nearly-used",
        "queue-old",
        "nodes-differ",
        "token-ends",
        "refused-device",
        "refused-internet",
        "client-silent",
    }
)
"""Kinds that stand in the spool itself: of the nodes that share it one tells of them."""

_EVERY_SECONDS = 30.0
_PAUSE_SECONDS = 1.0  # between two looks, however many alerts come
_SLOW_EVERY = timedelta(hours=1)
_MOST_ALERTS = 1000


class Alerts(logging.Handler):
    """Gathers the mail log's alerts and wakes the watch; usable from any thread."""

    def __init__(self) -> None:
        super().__init__(mail_log.ALERT)
        self._seen: deque[Condition] = deque(maxlen=_MOST_ALERTS)
        self._loop: asyncio.AbstractEventLoop | None = None
        self.came = asyncio.Event()

    def attach(self) -> None:
        """From now on; within the loop that `came` is waited for in."""
        self._loop = asyncio.get_running_loop()
        mail_log.logger.addHandler(self)

    def detach(self) -> None:
        """No more."""
        mail_log.logger.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        fields = getattr(record, "fields", {})
        cause = str(fields.get("cause", ""))
        subject = str(fields.get("smarthost") or fields.get("domain") or "")
        values = {key: str(value) for key, value in fields.items() if key in _USED_FIELDS}
        values["reason"] = str(fields.get("text", ""))
        if cause not in KINDS:
            cause, subject = "log-alert", cause
        self._seen.append(Condition(cause, subject, values))
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.came.set)

    def drain(self) -> list[Condition]:
        """Those since the last time."""
        seen = []
        while self._seen:
            seen.append(self._seen.popleft())
        return seen


_USED_FIELDS = ("smarthost", "domain", "host", "account", "limit")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the watch sees of the relay besides its spool, each as it is at this moment."""

    config: Callable[[], Config]
    rules: Callable[[], AccessRules]
    leads: Callable[[], bool] = lambda: True
    """Of the nodes that share the spool this one tells of what all of them see."""


class Watch:
    """The alarms of one relay: `run` until cancelled."""

    def __init__(
        self,
        spool: Spool,
        surroundings: Surroundings,
        paths: AlarmPaths,
        clock: Callable[[], datetime],
    ) -> None:
        self._spool = spool
        self._around = surroundings
        self._paths = paths
        self._clock = clock
        self._alerts = Alerts()
        self._book: AlarmBook | None = None
        self._book_of = ""  # the setting that it stands in
        self._kept = ""
        self._slow_look: tuple[datetime, Config, Look] | None = None
        self._failures = 0
        self._retry_at: datetime | None = None

    async def run(self) -> None:
        """Until cancelled."""
        self._alerts.attach()
        try:
            while True:
                try:
                    await self.look()
                except Exception:
                    log.exception("the watch")
                await asyncio.sleep(_PAUSE_SECONDS)
                try:
                    async with asyncio.timeout(_EVERY_SECONDS):
                        await self._alerts.came.wait()
                except TimeoutError:
                    pass
        finally:
            self._alerts.detach()

    async def look(self) -> None:
        """Once: what is wrong now, and telling what is new of it."""
        self._alerts.came.clear()
        alerts = self._alerts.drain()
        config, now = self._around.config(), self._clock()
        if not config.alarms:
            return
        leads = self._around.leads()
        setting = BOOK_SETTING if leads else f"{BOOK_SETTING}:{this_node().host}"
        book = await self._restored(setting)
        known = [*alerts, *book.standing()]
        found = [
            await standing(self._spool, config, now, known),
            await self._slow(config, now, known),
            await self._visitors(now),
        ]
        conditions = [each for look in found for each in look.conditions]
        if not leads:
            conditions = [each for each in conditions if each.kind not in SEEN_BY_ALL]
            alerts = [each for each in alerts if each.kind not in SEEN_BY_ALL]
        kinds = {each.kind for each in conditions}
        # What the status does not show any more, or never does, was an alert all the same.
        conditions += [
            each for each in alerts if each.kind not in kinds and each.kind not in ONLY_HAPPENED
        ]
        book.see(now, conditions, complete=all(look.complete for look in found))
        for each in alerts:
            if each.kind in ONLY_HAPPENED:
                book.happened(now, each)
        await self._tell(book, config, now)
        await self._keep(book)

    def standing(self) -> Iterable[Condition]:
        """The alarms that stand."""
        return () if self._book is None else self._book.standing()

    async def test(self) -> list[Told]:
        """Tell on every path that this is a test."""
        return await tell_test(self._paths, self._around.config(), self._clock())

    async def _restored(self, setting: str) -> AlarmBook:
        if self._book is None or self._book_of != setting:
            self._kept = await self._spool.ledger.setting(setting) or ""
            self._book, self._book_of = AlarmBook.restore(self._kept), setting
        return self._book

    async def _slow(self, config: Config, now: datetime, known: list[Condition]) -> Look:
        """What changes slowly: the last look at it, or a new one each hour and after a reload."""
        if self._slow_look is not None:
            at, seen_config, look = self._slow_look
            if seen_config is config and abs(now - at) < _SLOW_EVERY and look.complete:
                return look
        look = await slow_ones(self._spool, config, now, known)
        self._slow_look = now, config, look
        return look

    async def _visitors(self, now: datetime) -> Look:
        try:
            devices = await self._spool.ledger.refused()
        except SpoolError:
            return Look((), complete=False)
        return Look(tuple(refused_devices(devices, self._around.rules(), now)), complete=True)

    async def _tell(self, book: AlarmBook, config: Config, now: datetime) -> None:
        if self._retry_at is not None and timedelta() < self._retry_at - now < timedelta(hours=1):
            return
        failed: set[tuple[str, str]] = set()
        for notice in book.pending(now):
            told = await self._paths.tell(Telling(notice, config, now), failed)
            failed |= {(each.way, each.target) for each in told if each.error}
            if all(each.error for each in told):
                self._failures += 1
                self._retry_at = now + smarthost_delay(self._failures, 0.5)
                return
            book.told(notice, now)
            _log(notice, told)
            await self._keep(book)
        self._failures, self._retry_at = 0, None

    async def _keep(self, book: AlarmBook) -> None:
        text = book.dump()
        if text == self._kept:
            return
        try:
            await self._spool.ledger.remember(self._book_of, text)
        except SpoolError as error:
            log.warning("what was told of the alarms is not kept: %s", error)
        else:
            self._kept = text


async def tell_test(paths: AlarmPaths, config: Config, now: datetime) -> list[Told]:
    """Tell on every path of `config` that this is a test; what came of each."""
    notice = Notice(Stage.TEST, "test", "", {}, now)
    return await paths.tell(Telling(notice, config, now))


def _log(notice: Notice, told: list[Told]) -> None:
    mail_log.event(
        "alarm",
        stage=notice.stage.value,
        kind=notice.kind,
        subject=notice.subject or None,
        ways=[each.way for each in told if not each.error],
    )
