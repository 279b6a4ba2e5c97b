"""What the page and monitoring ask beyond the commands: only a running relay answers these."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from relay.control.daemon import Daemon
from relay.control.desk import Desk
from relay.control.device_report import DeviceReport
from relay.control.documents import Document
from relay.control.inbox import Inbox
from relay.control.messages import Sought
from relay.control.today import Parts, Today
from relay.monitor.statistics import LOOK_BACK
from relay.spool.errors import SpoolError
from relay.spool.protocol import Spool

if TYPE_CHECKING:
    from relay.control.consents import Consents
    from relay.control.diagnosis import Diagnoses, Inquiry


class PageDesk(Desk):
    """The desk with what the page shows: overviews, the messages themselves, examinations."""

    def __init__(self, spool: Spool, daemon: Daemon, clock: Callable[[], datetime]) -> None:
        super().__init__(spool, daemon, clock)
        self._checking = asyncio.Lock()
        self._reading = asyncio.Lock()

    async def today(self) -> Document:
        """How the relay fares, the counts of today, the accounts, the last 24 hours and 30 days."""
        now = self._clock()
        told = Today(self.config(), now)
        status = await self.status()
        if "queued" not in status:
            return told.failing(status)
        try:
            statistics = await self._spool.queue.statistics(now - LOOK_BACK)
            devices = await self._device_report().listed(statistics)
            accounts = await self._accounts().listed("en")
        except SpoolError as error:
            return told.failing(await self.status(), error)
        return told.told(Parts(status, accounts, devices, statistics))

    async def messages(self, sought: Sought) -> Document:
        """The newest messages that fit, finished ones too."""
        return await self._messages().found(sought)

    async def devices(self) -> Document:
        """What each device sent, who fell silent, and who was refused."""
        return await self._device_report().listed()

    def inbox(self) -> Inbox:
        """The messages themselves, as a reader sees them."""
        return Inbox(self._spool, self.config(), self._reading)

    async def diagnose(self, inquiry: Inquiry) -> Document:
        """Examine something with `diagnose`; at most two at once."""
        return await self.diagnoses.run(inquiry, self.config())

    @cached_property
    def diagnoses(self) -> Diagnoses:
        """The examinations that were started from the page."""
        from relay.control.diagnosis import Diagnoses

        return Diagnoses(self._clock)

    @cached_property
    def consents(self) -> Consents:
        """The consents that were started from the page."""
        # Loaded here: most commands have no page.
        from relay.control.consents import Consents

        return Consents(self._accounts, self.account_grant, self._clock)

    async def settings(self) -> Document:
        """The configuration in force, each value with its origin."""
        from relay.control.settings import settings_document

        return await asyncio.to_thread(settings_document, self.config())

    async def settings_check(self, text: str) -> Document:
        """What would become of a text as the configuration. Nothing is written."""
        from relay.control.settings import checked_document

        async with self._checking:  # one at a time: it computes
            return await asyncio.to_thread(checked_document, text, self.config())

    def not_ready(self) -> list[str]:
        """Which of spool, listener and delivery keep the relay from taking and sending mail."""
        free, reserve = self._spool.free_bytes(), self.config().spool.reserve_bytes
        full = free is not None and free < reserve
        spool = ["spool"] if full or self._spool.trouble is not None else []
        return [*spool, *self._daemon.stopped_parts()]

    async def metrics(self) -> tuple[str, bytes]:
        """What Prometheus asks for: its content type, and the text."""
        # Loaded here: most relays are never asked.
        from relay.monitor.metrics import CONTENT_TYPE, Live, exposition

        found = self._daemon.live()
        connections = found.get("connections")
        live = Live(
            version=str(found.get("version", "")),
            connections=connections if isinstance(connections, int) else 0,
            counts=self._daemon.counts(),
            alarms=self._daemon.standing_alarms(),
        )
        return CONTENT_TYPE, await exposition(self._spool, self.config(), live, self._clock())

    def stop(self) -> None:
        """The relay stops: no consent and no examination is awaited any more."""
        if "consents" in self.__dict__:
            self.consents.under_way.stop()
        if "diagnoses" in self.__dict__:
            self.diagnoses.stop()

    def _device_report(self) -> DeviceReport:
        return DeviceReport(self._spool, self.config(), self._clock())
