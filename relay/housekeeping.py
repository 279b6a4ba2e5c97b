"""What must happen now and then: refused devices noted, learning windows ended, lifetimes kept,
old history forgotten."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from datetime import datetime

from presets.reply import Reply
from presets.verdict import Phase
from relay.access.address import peer_address
from relay.access.learning import WINDOW_SETTING
from relay.config.model import Config
from relay.delivery.outcome import Fate
from relay.delivery.outgoing import load
from relay.delivery.report_pace import ReportPace
from relay.delivery.reports import Original, Report, Reporter
from relay.delivery.schedule import LONGEST_DELAY
from relay.envelope import Recipient
from relay.intake.door import Door
from relay.monitor import mail_log
from relay.monitor.statistics import ROLL_UP_SECONDS, RollUp
from relay.spool.errors import disk_cause
from relay.spool.ledger_entry import RefusedDevice
from relay.spool.model import HeldFor, Outcome
from relay.spool.protocol import Spool

log = logging.getLogger(__name__)

_TICK_SECONDS = 1.0
_PURGE_EVERY_TICKS = 600
_LIFETIME_EVERY_TICKS = 60
_PURGE_PAGE = 500


class Housekeeping:
    """Runs beside intake and delivery; a task that fails is logged and tried again.

    `wake` is called with the lanes that got a report to send.
    """

    def __init__(
        self,
        spool: Spool,
        door: Door,
        config: Callable[[], Config],
        clock: Callable[[], datetime],
        wake: Callable[[Collection[str]], None],
    ) -> None:
        self._spool = spool
        self._door = door
        self._config = config
        self._clock = clock
        self._wake = wake
        self._tick = 0
        self._trouble: str | None = None
        self._report_pace = ReportPace()
        self.statistics = RollUp(
            spool, door.arrivals, clock, lambda: self._config().spool.statistics
        )

    async def run(self) -> None:
        """Until cancelled."""
        await asyncio.gather(self._each_tick(), self._each_refusal(), self._each_minute())

    async def _each_tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            self._tick += 1
            for task in self._due():
                await self._try(task)

    async def _each_refusal(self) -> None:
        """The first refusal is in the ledger at once, further ones within a second."""
        while True:
            await self._door.refusal.wait()
            self._door.refusal.clear()
            await self._try(self.note_refused)
            await asyncio.sleep(_TICK_SECONDS)

    async def _each_minute(self) -> None:
        """Beside the rest: after an upgrade all of the history is counted, which takes a while."""
        while True:
            await self._try(self.statistics.run)
            await asyncio.sleep(ROLL_UP_SECONDS)

    async def _try(self, task: Callable[[], Awaitable[None]]) -> None:
        try:
            await task()
        except Exception:
            log.exception("housekeeping")

    def _due(self) -> list[Callable[[], Awaitable[None]]]:
        tasks: list[Callable[[], Awaitable[None]]] = [self.watch_disk]
        if self._spool.trouble is None:
            tasks.append(self.end_learning)
        if self._tick % _LIFETIME_EVERY_TICKS == 1:
            tasks.append(self.heed_clock)
        if self._tick % _LIFETIME_EVERY_TICKS == 0:
            tasks.append(self.keep_lifetimes)
        if self._tick % _PURGE_EVERY_TICKS == 1:
            tasks += [self.purge, self.forget_refused]
        return tasks

    async def watch_disk(self) -> None:
        """An alert when the spool's disk takes nothing new, an event when it does again."""
        trouble = self._spool.trouble
        cause = None if trouble is None else disk_cause(trouble)
        if cause == self._trouble:
            return
        self._trouble = cause
        if trouble is None or cause is None:
            mail_log.event("disk-works")
        else:
            mail_log.alert(
                cause, f"{trouble}; no mail is taken and no attempt begins until it works"
            )

    async def note_refused(self) -> None:
        """Add the refusals since the last time to the ledger, one log line for each device."""
        seen = self._door.refused.drain()
        if not seen:
            return
        try:
            await self._spool.ledger.note_refused(
                [
                    RefusedDevice(str(each.address), each.count, each.first_at, each.last_at)
                    for each in seen
                ]
            )
        finally:
            # After it: who is woken by the event finds the device in the ledger.
            for each in seen:
                mail_log.refused(str(each.address), "554 5.7.1 not listed", count=each.count)

    async def end_learning(self) -> None:
        """When no window is open, what was held for one fails with a report."""
        until = self._door.learning_until
        if until is not None and self._clock() < until:
            return
        if until is not None:
            self._door.learning_until = None
            await self._spool.ledger.remember(WINDOW_SETTING, None)
        for message in await self._spool.queue.ids(HeldFor.LEARNING):
            await self._fail_unlearned(message)

    async def _fail_unlearned(self, message: int) -> None:
        view = await self._spool.queue.show(message)
        loaded = await load(self._spool.queue, message)
        if view is None or loaded is None:
            return
        if self._door.rules.match(peer_address(view.client_address)) is not None:
            return  # adopted this very moment: its release is on the way
        reply = Reply(554, "5.7.1", f"{view.client_address} is not listed")
        report = await self._report(message, loaded.header, reply)
        await self._spool.queue.fail([(message, reply, report)])
        mail_log.failed(message, [each.address for each in view.recipients], reply=reply)
        if report is not None:
            sent, _ = report
            mail_log.dsn(sent.id, message, "report", sent.envelope.recipients[0].address)
            self._wake({place.lane for place in sent.placements})

    async def _report(self, message: int, header: bytes, reply: Reply) -> Report | None:
        claim = await self._spool.queue.read(message)
        if claim is None:
            return None
        config = self._config()
        smarthost = config.smarthosts[0] if config.smarthosts else None
        reporter = Reporter(config, self._spool.queue.new_id, smarthost, self._report_pace)
        fate = Fate(Outcome.FAILED, Phase.RCPT, reply, cause="not-listed")
        pairs: list[tuple[Recipient, Fate]] = [
            (recipient, fate) for recipient in claim.envelope.recipients
        ]
        return reporter.failure(Original(claim, header, None), pairs, self._clock())

    async def keep_lifetimes(self) -> None:
        """Hold what is past its lifetime while a whole lane waits: nobody gave it up."""
        held = await self._spool.queue.hold_expired()
        for message in held:
            mail_log.held(message, [], cause="lifetime")
        if held:
            mail_log.alert("lifetime", f"{len(held)} messages are past their lifetime and held")

    async def heed_clock(self) -> None:
        """A clock that was ahead, and is set right, must not keep mail waiting."""
        hastened = await self._spool.queue.hasten(self._clock() + LONGEST_DELAY)
        if hastened:
            mail_log.event("clock-set-back", messages=hastened)

    async def purge(self) -> None:
        """Forget what was finished longer ago than `[spool] history`."""
        before = self._clock() - self._config().spool.history
        forgotten = _PURGE_PAGE
        while forgotten == _PURGE_PAGE:
            forgotten = await self._spool.queue.purge(before, _PURGE_PAGE)

    async def forget_refused(self) -> None:
        """Forget who was turned away, where not seen for as long as `[spool] refused`."""
        await self._spool.ledger.forget_refused(self._clock() - self._config().spool.refused)
