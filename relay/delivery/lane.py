"""One smarthost's queue at work: up to `max_connections` workers, each with one connection.

A worker claims a message only when it can attempt it at once, so that what a crash leaves in
doubt is only what was really under way.
"""

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from presets.verdict import Scope
from relay.config.model import Smarthost
from relay.delivery.blocks import Trouble
from relay.delivery.budget import Account
from relay.delivery.outcome import Blame, Judgement
from relay.delivery.tools import TOO_MANY_CONNECTIONS, Tools
from relay.delivery.usage import Allowance
from relay.smarthost.connect import ConnectFailure, Connection, connect
from relay.spool.errors import SpoolError
from relay.spool.model import BlockedBy, Claim

log = logging.getLogger(__name__)

_IDLE_SECONDS = 5.0  # a connection without mail is kept this long
_MOST_TRANSACTIONS = 100  # on one connection
_LONGEST_SLEEP_SECONDS = 30.0
_PAUSE_SECONDS = 1.0  # between two looks at a disk that takes nothing
_FAIR_TRANSACTIONS = 20  # on one connection while another lane of the account waits for it
_FEWER_FOR = timedelta(minutes=10)
_BLAMES = {
    Scope.ACCOUNT: Blame.ACCOUNT,
    Scope.QUOTA: Blame.QUOTA,
}
_BLOCKS = {
    Blame.QUOTA: BlockedBy.QUOTA,
    Blame.ACCOUNT: BlockedBy.ACCOUNT,
    Blame.SMARTHOST: BlockedBy.SMARTHOST,
}


@dataclass(slots=True)
class Lane:
    """The mail that waits for one smarthost. `smarthost` is swapped by a reload."""

    smarthost: Smarthost
    tools: Tools
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _mail_came: asyncio.Event = field(default_factory=asyncio.Event)
    _workers: set[asyncio.Task[None]] = field(default_factory=set)
    _connected: int = 0  # workers with a connection
    _idle: int = 0  # of these, those with nothing to send
    _ceiling: tuple[int, datetime] | None = None  # fewer connections, until
    _stopping: bool = False

    def wake(self) -> None:
        """Something may be due."""
        self._wake.set()
        self._mail_came.set()
        self._mail_came = asyncio.Event()

    @property
    def is_open(self) -> bool:
        """A message may leave now: nothing blocks the lane, no limit makes it wait."""
        blocked = (
            self._stopping or self.tools.courier.paused or self.tools.blocks.blocked(self.smarthost)
        )
        account = self._account
        return not blocked and account.wait() <= timedelta() and 0 not in account.room()

    @property
    def _account(self) -> Account:
        """Whose limits this lane's mail uses up."""
        return self.tools.budget.of(self.smarthost)

    async def run(self) -> None:
        """Work until `stop`."""
        while not self._stopping:
            self._wake.clear()
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
        if self.tools.courier.paused:
            return _PAUSE_SECONDS
        now = self.tools.clock()
        block = self.tools.blocks.blocked(self.smarthost)
        if block is not None:
            return _LONGEST_SLEEP_SECONDS if block.until is None else _seconds(block.until - now)
        due_at = await self.tools.courier.spool.queue.next_due(self.smarthost.name)
        if due_at is None:
            return _LONGEST_SLEEP_SECONDS
        left = max(due_at - now, self._account.wait())
        return _seconds(left) if left > timedelta() else await self._seconds_to_room()

    async def _seconds_to_room(self) -> float | None:
        """None: there is mail to send, and the account has room for it."""
        account, name = self._account, self.smarthost.name
        if 0 in account.room():
            if account.pace.under_way:
                return 1.0  # it may yet give its place back
            await self.tools.used_up(self.smarthost)
            return 0.01
        free = account.limits().max_connections - account.connections
        if free <= 0:
            if not self._connected:
                account.hungry[name] = self.tools.clock()
            return _LONGEST_SLEEP_SECONDS
        return 1.0 if free <= len(account.starved_by(name)) else None

    def _most_workers(self) -> int:
        """One alone finds out whether a smarthost that failed works again."""
        most = min(self.smarthost.max_connections, self._account.limits().max_connections)
        if self.tools.blocks.has_failed(self.smarthost.name):
            return 1
        if self._ceiling is not None and self.tools.clock() < self._ceiling[1]:
            return min(most, self._ceiling[0])
        return most

    def _hire(self) -> None:
        task = asyncio.create_task(self._work(), name=f"lane {self.smarthost.name}")
        self._workers.add(task)
        task.add_done_callback(self._dismiss)

    def _dismiss(self, task: asyncio.Task[None]) -> None:
        self._workers.discard(task)
        if not task.cancelled() and task.exception() is not None:
            # Not woken: what has just gone wrong is not tried again at once.
            log.error("worker of lane %s", self.smarthost.name, exc_info=task.exception())
            return
        self._wake.set()

    async def _work(self) -> None:
        """Deliver one message after another over one connection, until nothing is left."""
        link = _Link(self.smarthost)
        try:
            while not self._stopping:
                if link.connection is not None and not link.reusable(self.smarthost):
                    await self._part(link)
                if self._must_part(link):
                    return
                claim = await self._next(link)
                if claim is None:
                    return
                await self._deliver(claim, link)
                link.close_allowance()
                await self.tools.budget.save(self._account)
        finally:
            link.close_allowance()
            await self._part(link)

    def _must_part(self, link: "_Link") -> bool:
        """The account has too many connections, or another lane of it waits for one."""
        if link.account is None or link.connection is None:
            return False
        fewer = link.account.connections > link.account.limits().max_connections
        long_enough = link.connection.used >= _FAIR_TRANSACTIONS
        return fewer or (long_enough and bool(link.account.starved_by(self.smarthost.name)))

    async def _next(self, link: "_Link") -> Claim | None:
        """The next message with a connection for it; None: this worker is no longer needed."""
        if link.connection is not None:
            return await self._claim_patiently(link)
        async with self.tools.blocks.turn(self.smarthost):
            # Only now: whoever had the turn before may have found that nothing gets through.
            account = self._account
            full = account.connections >= account.limits().max_connections
            if full or self._connected >= self._most_workers():
                return None
            account.hungry.pop(self.smarthost.name, None)
            claim = await self._claim(link)
            if claim is None or not await self._guarded(claim, self._connect(claim, link)):
                return None
        self._wake.set()  # where there is one there may be more: another worker looks
        return claim

    async def _claim(self, link: "_Link") -> Claim | None:
        """A message that is due and may leave now; what it may use is reserved in `link`."""
        tools, account = self.tools, self._account
        if self._stopping or tools.courier.paused:
            return None
        if tools.blocks.blocked(self.smarthost) is not None:
            return None
        if account.wait() > timedelta() or 0 in account.room():
            return None
        link.allowance = Allowance.open(account)
        # The spool goes on with a claim whose worker is cancelled: it must be given back.
        claiming = asyncio.ensure_future(tools.courier.spool.queue.claim(self.smarthost.name, 1))
        claims: tuple[Claim, ...] = ()
        try:
            claims = await asyncio.shield(claiming)
        except asyncio.CancelledError as error:
            for claim in await claiming:
                await tools.courier.give_up(claim, self.smarthost, error)
            raise
        finally:
            if not claims:
                link.close_allowance()
        return claims[0] if claims else None

    async def _claim_patiently(self, link: "_Link") -> Claim | None:
        """The next message, with a little patience for one to come, as the connection is warm."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _IDLE_SECONDS
        while True:
            mail_came = self._mail_came
            # Before the claim: asked after it, a pace that has just passed would look like none.
            pace = self._account.wait().total_seconds()
            claim = await self._claim(link)
            left = deadline - loop.time()
            if claim is not None:
                self._wake.set()
                return claim
            if left <= 0 or self._stopping or self._is_idle_for_long():
                return None
            self._idle += 1
            try:
                due = await self._seconds_to_due()
                async with asyncio.timeout(min(left, pace or left, due or left)):
                    await mail_came.wait()
            except TimeoutError:
                pass
            finally:
                self._idle -= 1

    async def _seconds_to_due(self) -> float | None:
        """Until what waits for its schedule is due; None where nothing does, or it is due now."""
        due_at = await self.tools.courier.spool.queue.next_due(self.smarthost.name)
        seconds = 0.0 if due_at is None else (due_at - self.tools.clock()).total_seconds()
        return seconds if seconds > 0 else None

    def _is_idle_for_long(self) -> bool:
        """No mail of this lane leaves soon, or that of another has more use of the connection."""
        account = self._account
        blocked = self.tools.blocks.blocked(self.smarthost) is not None
        return blocked or 0 in account.room() or bool(account.starved_by(self.smarthost.name))

    async def _guarded(self, claim: Claim, work: Coroutine[None, None, bool]) -> bool:
        """The result of `work`; where it fails, or is cancelled, the claim is not lost."""
        try:
            return await work
        except BaseException as error:
            await self.tools.courier.give_up(claim, self.smarthost, error)
            raise

    async def _connect(self, claim: Claim, link: "_Link") -> bool:
        """Connect for this claim; where that fails it is given back."""
        tools, smarthost = self.tools, self.smarthost
        hostname = tools.courier.config.hostname
        found = await connect(smarthost, hostname, tools.timeouts, tools.tokens)
        if isinstance(found, ConnectFailure):
            await self._no_connection(claim, found)
            return False
        link.connection, link.smarthost = found, smarthost
        link.account = tools.budget.of(smarthost)
        self._connected += 1
        link.account.connections += 1
        await tools.sightings.note(smarthost.name, found)
        return True

    async def _reconnect(self, claim: Claim, link: "_Link") -> bool:
        """A new connection for a claim whose warm one is of no use any more."""
        await self._part(link)
        async with self.tools.blocks.turn(self.smarthost):
            full = self._account.connections >= self._account.limits().max_connections
            if full or self.tools.blocks.blocked(self.smarthost) is not None:
                await self.tools.courier.give_up(claim, self.smarthost, None)
                return False
            return await self._connect(claim, link)

    async def _part(self, link: "_Link") -> None:
        connection, link.connection = link.connection, None
        if connection is not None:
            self._connected -= 1
            if link.account is not None:
                link.account.connections -= 1
                self.tools.courier.wake(link.account.starved_by(self.smarthost.name))
            await connection.exchange.quit()

    async def _deliver(self, claim: Claim, link: "_Link") -> None:
        """Attempt one claim, if need be over a new connection."""
        judgement: Judgement | None = None
        while judgement is None:
            assert link.connection is not None
            if link.connection.used and not link.reusable(self.smarthost):
                # The server ended it while it was idle, or a reload changed where mail goes.
                if not await self._guarded(claim, self._reconnect(claim, link)):
                    return
                continue
            assert link.allowance is not None
            began = self.tools.clock()
            judgement = await self.tools.courier.deliver(
                link.connection, claim, link.smarthost, link.allowance
            )
            if judgement is not None:
                await self._heed(judgement, link, began)

    async def _no_connection(self, claim: Claim, failure: ConnectFailure) -> None:
        smarthost, tools = self.smarthost, self.tools
        if self._account.connections and failure.cause == TOO_MANY_CONNECTIONS:
            await tools.fewer_connections(smarthost)
            await tools.courier.give_up(claim, smarthost, None)
            self.wake()
            return
        if self._connected and failure.reply is not None and failure.reply.transient:
            # The others work: it wants fewer of them at once.
            self._ceiling = self._connected, tools.clock() + _FEWER_FOR
            await tools.courier.give_up(claim, smarthost, None)
            self.wake()
            return
        blame = _BLAMES.get(failure.scope, Blame.SMARTHOST)
        await tools.courier.give_back(claim, smarthost, failure, blame)
        alarm = failure.scope in (Scope.TLS, Scope.SERVICE) and not _passing(failure)
        trouble = Trouble(_BLOCKS[blame], failure.cause, failure.reply, failure.detail, alarm)
        await tools.block(smarthost, blame, trouble)

    async def _heed(self, judgement: Judgement, link: "_Link", began: datetime) -> None:
        """What a judgement says about the lane: something is in the way, or nothing is."""
        worst, tools, connection = judgement.worst, self.tools, link.connection
        assert connection is not None
        if worst is not None:
            detail = str(worst.reply or worst.cause)
            alarm = worst.cause == "daily-quota"
            trouble = Trouble(_BLOCKS[worst.blame], worst.cause, worst.reply, detail, alarm)
            await tools.block(link.smarthost, worst.blame, trouble)
        elif judgement.passes:
            await tools.blocks.learn_size(link.smarthost, connection.capabilities.size_bytes)
            if await tools.blocks.works(link.smarthost, began):
                await tools.blocks_changed()


@dataclass(slots=True)
class _Link:
    """A worker's connection, and the smarthost it was made for."""

    smarthost: Smarthost
    connection: Connection | None = None
    account: Account | None = None  # whose connection it is
    allowance: Allowance | None = None  # of the message under way

    def close_allowance(self) -> None:
        """What the message under way used counts from now on as it is."""
        allowance, self.allowance = self.allowance, None
        if allowance is not None:
            allowance.close()

    def reusable(self, smarthost: Smarthost) -> bool:
        """Good for another message to `smarthost`, which a reload may have changed."""
        connection = self.connection
        return (
            connection is not None
            and connection.exchange.usable
            and connection.used < _MOST_TRANSACTIONS
            and self.smarthost == smarthost
        )


def _passing(failure: ConnectFailure) -> bool:
    """The server says so; or the issuer of tokens is out of order, or asks for patience."""
    if failure.reply is None:
        return failure.cause.startswith("token-")
    return failure.reply.transient


def _seconds(left: timedelta) -> float:
    return min(max(left.total_seconds(), 0.01), _LONGEST_SLEEP_SECONDS)
