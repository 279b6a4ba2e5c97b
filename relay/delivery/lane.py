"""One smarthost's queue at work: up to `max_connections` workers, each with one connection.

A worker claims a message only when it can attempt it at once, so that what a crash leaves in
doubt is only what was really under way.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

from presets.verdict import Scope
from relay.config.model import Smarthost
from relay.delivery.blocks import Blocks
from relay.delivery.courier import Courier
from relay.delivery.outcome import Blame, Judgement
from relay.delivery.pacing import Pacer
from relay.smarthost.connect import STANDARD_TIMEOUTS, ConnectFailure, Connection, Timeouts, connect
from relay.spool.errors import SpoolError
from relay.spool.model import BlockedBy, Claim

log = logging.getLogger(__name__)

_IDLE_SECONDS = 5.0  # a connection without mail is kept this long
_MOST_TRANSACTIONS = 100  # on one connection
_LONGEST_SLEEP_SECONDS = 30.0
_BLAMES = {
    Scope.ACCOUNT: Blame.ACCOUNT,
    Scope.QUOTA: Blame.QUOTA,
}


@dataclass(slots=True)
class Tools:
    """What all lanes share."""

    courier: Courier
    blocks: Blocks
    pacer: Pacer
    clock: Callable[[], datetime]
    blocks_changed: Callable[[], Awaitable[None]]  # failover may want to move mail
    timeouts: Timeouts = STANDARD_TIMEOUTS


@dataclass(slots=True)
class Lane:
    """The mail that waits for one smarthost. `smarthost` is swapped by a reload."""

    smarthost: Smarthost
    tools: Tools
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _mail_came: asyncio.Event = field(default_factory=asyncio.Event)
    _workers: set[asyncio.Task[None]] = field(default_factory=set)
    _idle: int = 0  # workers with a warm connection and nothing to send
    _stopping: bool = False

    def wake(self) -> None:
        """Something may be due."""
        self._wake.set()
        self._mail_came.set()
        self._mail_came = asyncio.Event()

    async def run(self) -> None:
        """Work until `stop`."""
        self._wake.set()
        while not self._stopping:
            try:
                seconds = await self._seconds_to_work()
            except SpoolError as error:
                log.error("lane %s: %s", self.smarthost.name, error)
                seconds = _LONGEST_SLEEP_SECONDS
            if seconds is None:
                self._hire()
                seconds = _LONGEST_SLEEP_SECONDS
            try:
                async with asyncio.timeout(seconds):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()

    async def stop(self, seconds: float) -> None:
        """Let running attempts end for at most `seconds`, then cut them off."""
        self._stopping = True
        self.wake()
        if self._workers:
            _, late = await asyncio.wait(self._workers, timeout=seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _seconds_to_work(self) -> float | None:
        """None: now; else how long nothing is to be done, unless woken."""
        if self._idle or len(self._workers) >= self._most_workers():
            return _LONGEST_SLEEP_SECONDS
        now = self.tools.clock()
        if self.tools.blocks.blocked(self.smarthost) is not None:
            until = self.tools.blocks.until(self.smarthost)
            left = _LONGEST_SLEEP_SECONDS if until is None else (until - now).total_seconds()
            return min(max(left, 0.01), _LONGEST_SLEEP_SECONDS)
        due_at = await self.tools.courier.spool.queue.next_due(self.smarthost.name)
        if due_at is None:
            return _LONGEST_SLEEP_SECONDS
        left = (due_at - now).total_seconds()
        return None if left <= 0 else min(left, _LONGEST_SLEEP_SECONDS)

    def _most_workers(self) -> int:
        """One alone finds out whether a smarthost that failed works again."""
        name = self.smarthost.name
        return 1 if self.tools.blocks.has_failed(name) else self.smarthost.max_connections

    def _hire(self) -> None:
        task = asyncio.create_task(self._work(), name=f"lane {self.smarthost.name}")
        self._workers.add(task)
        task.add_done_callback(self._dismiss)

    def _dismiss(self, task: asyncio.Task[None]) -> None:
        self._workers.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("worker of lane %s", self.smarthost.name, exc_info=task.exception())
        self._wake.set()

    async def _work(self) -> None:
        """Deliver one message after another over one connection, until nothing is left."""
        connection: Connection | None = None
        try:
            while not self._stopping and self.tools.blocks.blocked(self.smarthost) is None:
                claim = await self._claim(connection is not None)
                if claim is None:
                    break
                if connection is not None and not _reusable(connection):
                    await connection.exchange.quit()
                    connection = None
                connection = await self._serve(claim, connection)
                if connection is None and self.tools.blocks.blocked(self.smarthost):
                    break
        finally:
            if connection is not None:
                await connection.exchange.quit()

    async def _claim(self, may_wait: bool) -> Claim | None:
        """The next message; with a warm connection a little patience for one to come."""
        queue = self.tools.courier.spool.queue
        deadline = asyncio.get_running_loop().time() + _IDLE_SECONDS
        while True:
            mail_came = self._mail_came
            claims = await queue.claim(self.smarthost.name, 1)
            if claims:
                self._wake.set()  # where there is one there may be more: another worker looks
                return claims[0]
            left = deadline - asyncio.get_running_loop().time()
            if not may_wait or left <= 0 or self._stopping:
                return None
            self._idle += 1
            try:
                async with asyncio.timeout(left):
                    await mail_came.wait()
            except TimeoutError:
                return None
            finally:
                self._idle -= 1

    async def _serve(self, claim: Claim, connection: Connection | None) -> Connection | None:
        """Attempt one claim; the connection if it can be used again."""
        smarthost, tools = self.smarthost, self.tools
        wait = tools.pacer.take(smarthost.account or smarthost.name, smarthost.messages_per_minute)
        if wait.total_seconds() > 0:
            await asyncio.sleep(wait.total_seconds())
        if connection is None:
            found = await connect(smarthost, tools.courier.config.hostname, tools.timeouts)
            if isinstance(found, ConnectFailure):
                await self._no_connection(claim, found)
                return None
            connection = found
            await tools.blocks.learn_size(smarthost, connection.capabilities.size_bytes)
            if await tools.blocks.works(smarthost):
                await tools.blocks_changed()
        judgement = await tools.courier.deliver(connection, claim, smarthost)
        await self._heed(judgement)
        return connection if connection.exchange.usable else None

    async def _no_connection(self, claim: Claim, failure: ConnectFailure) -> None:
        blame = _BLAMES.get(failure.scope, Blame.SMARTHOST)
        await self.tools.courier.give_back(claim, self.smarthost, failure, blame)
        if blame is Blame.ACCOUNT:
            await self.tools.blocks.refused(self.smarthost, failure.cause, failure.reply)
        else:
            by = BlockedBy.QUOTA if blame is Blame.QUOTA else BlockedBy.SMARTHOST
            await self.tools.blocks.failed(
                self.smarthost, by, failure.cause, failure.reply, failure.detail
            )
        await self.tools.blocks_changed()

    async def _heed(self, judgement: Judgement) -> None:
        """What a judgement blames on the smarthost or the account holds up the lane."""
        worst = judgement.worst
        if worst is None:
            return
        if worst.blame is Blame.ACCOUNT:
            await self.tools.blocks.refused(self.smarthost, worst.cause, worst.reply)
        else:
            by = BlockedBy.QUOTA if worst.blame is Blame.QUOTA else BlockedBy.SMARTHOST
            detail = str(worst.reply or worst.cause)
            await self.tools.blocks.failed(self.smarthost, by, worst.cause, worst.reply, detail)
        await self.tools.blocks_changed()


def _reusable(connection: Connection) -> bool:
    return connection.exchange.usable and connection.used < _MOST_TRANSACTIONS
