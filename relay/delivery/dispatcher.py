"""All lanes together: starting them, waking them, moving mail between them."""

import asyncio
import logging
from collections.abc import Callable, Collection
from datetime import datetime, timedelta

from presets.verdict import Scope
from relay.account.keeper import TokenKeeper
from relay.account.login_test import LoginTest, try_login
from relay.config.model import Config, Smarthost
from relay.delivery.blocks import Blocks
from relay.delivery.budget import Budget
from relay.delivery.courier import Courier
from relay.delivery.crew import Crew
from relay.delivery.direct import Waiters
from relay.delivery.moving import Mover, Standing
from relay.delivery.recording import Recorder
from relay.delivery.sightings import Sightings
from relay.delivery.taker import Taker
from relay.delivery.tools import Tools
from relay.delivery.trouble import Trouble
from relay.smarthost.connect import (
    STANDARD_TIMEOUTS,
    ConnectFailure,
    Connection,
    Timeouts,
    connect,
)
from relay.smarthost.tokens import NoToken
from relay.spool.ledger_entry import BlockedBy, PausedAccount
from relay.spool.model import Placement
from relay.spool.protocol import Spool
from relay.spool.sharing import Topic

log = logging.getLogger(__name__)

_WATCH_EVERY_SECONDS = 10.0
_STRAYS_EVERY = timedelta(minutes=10)
_LAST_TOKENS_SECONDS = 1.0  # at least, for an issuer's answer that is under way at the end
_CLOSING_SECONDS = 5.0  # for what is under way to a smarthost that a reload removed


class Dispatcher:
    """Delivers what is queued. One lane, with its own workers, for each smarthost."""

    def __init__(
        self,
        config: Config,
        spool: Spool,
        clock: Callable[[], datetime],
        chance: Callable[[], float],
        timeouts: Timeouts = STANDARD_TIMEOUTS,
    ) -> None:
        self.blocks = Blocks(config, spool.ledger, clock, chance)
        self.tokens = TokenKeeper(config, spool.vault, clock, spool.shares)
        self.waiters = Waiters()
        self._config = config
        self._spool = spool
        self._tools = Tools(
            courier=Courier(
                config,
                spool,
                Recorder(spool.queue),
                clock,
                chance,
                self.wake,
                timeouts,
                self.waiters,
            ),
            blocks=self.blocks,
            budget=Budget(config, spool.ledger, clock, spool.shares),
            sightings=Sightings(spool.ledger, clock),
            tokens=self.tokens,
            clock=clock,
            blocks_changed=self._fail_over,
            timeouts=timeouts,
        )
        self._crews: dict[str, Crew] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._watches: list[asyncio.Task[None]] = []
        self._mover = Mover(spool.queue, self._standing)
        self._moved_at = clock()

    async def start(self) -> None:
        """Take up the ledger, put queued mail into the lanes of this configuration, deliver."""
        await self.sender_rules_changed()
        await self._tools.budget.restore()
        await self._tools.budget.note_lanes()
        await self.blocks.restore()
        await self.blocks.forget_changed_secrets()
        await self.realign()
        self._open_lanes()
        refreshing = self.tokens.run(self._is_paused, self._token_refused)
        self._watches = [asyncio.create_task(each) for each in (self._watch_over(), refreshing)]

    async def stop(self, seconds: float) -> None:
        """Let running attempts end for at most `seconds`."""
        for watch in self._watches:
            watch.cancel()
        deadline = asyncio.get_running_loop().time() + seconds
        await asyncio.gather(*(crew.stop(seconds) for crew in self._crews.values()))
        tasks = [*self._tasks.values(), *self._watches]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        left = deadline - asyncio.get_running_loop().time()
        await self.tokens.stop(max(left, _LAST_TOKENS_SECONDS))

    def wake(self, lanes: Collection[str] | None = None) -> None:
        """A message came for each of these lanes; None: mail may be due in any."""
        for name, crew in self._crews.items():
            if lanes is None:
                crew.lane.wake()
            elif name in lanes:
                crew.lane.mail_came()

    async def reload(self, config: Config) -> None:
        """Work by `config` from now on; queued mail follows its routes and credentials."""
        self._config = self._tools.courier.config = self.blocks.config = config
        self._tools.budget.config = config
        await self._tools.budget.note_lanes()
        self.tokens.reload(config)
        await self.blocks.forget_backoff()
        await self.blocks.forget_changed_secrets()
        await self.realign()
        self._open_lanes()
        self.wake()
        gone = self._crews.keys() - {smarthost.name for smarthost in config.smarthosts}
        await asyncio.gather(*map(self._close_lane, gone))

    async def sender_rules_changed(self) -> None:
        """Take up the sender rules of the ledger; each attempt that begins follows them."""
        self._tools.courier.sender_rules = await self._spool.ledger.sender_rules()

    async def others_acted(self, topics: Collection[Topic]) -> None:
        """Other nodes changed the ledger: work by what it says now. May raise SpoolError."""
        if Topic.SENDERS in topics:
            await self.sender_rules_changed()
        if Topic.LIMITS in topics:
            await self._tools.budget.reread_learned()
        if Topic.LANES not in topics:
            return
        found = await self.blocks.reread()
        for host, username in found.resumed:
            self.tokens.retry(host, username)
        if found.changed:
            await self._fail_over()
            self.wake()

    async def others_used(self, outdated: bool) -> None:
        """Take up what all nodes used; `outdated`: only where it is known that more was used."""
        await self._tools.budget.reread_usage(outdated=outdated)

    def outlived(self) -> None:
        """Other nodes took this one for gone, and have what it held."""
        self._tools.budget.part()
        self.wake()

    async def try_now(self) -> None:
        """Forget the smarthosts' waiting times; a paused account stays paused."""
        await self.blocks.forget_backoff()
        await self.blocks.reread_accounts()
        self.wake()

    async def account_resumed(self, host: str, username: str) -> None:
        """The ledger's pause of this account has ended: try it again."""
        self.tokens.retry(host, username)
        await self.blocks.reread_accounts()
        for smarthost in self._config.smarthosts:
            if smarthost.account == (host, username):
                await self.blocks.resume(smarthost)
        await self._fail_over()
        self.wake()

    async def granted(self, host: str, username: str) -> None:
        """The vault has a new grant for this account: work with it, and try again."""
        self.tokens.granted(host, username)
        await self.account_resumed(host, username)

    async def pause(self, smarthost: Smarthost) -> None:
        """Pause its account until somebody resumes it."""
        await self.blocks.pause(smarthost)
        await self._fail_over()

    async def test_account(self, smarthost: Smarthost, force: bool) -> LoginTest | PausedAccount:
        """Log in once; the pause instead where the account has one, unless `force`.

        A refusal is the try of its period, and opens the next; a login ends a pause, but not an
        operator's.
        """
        async with self.blocks.turn(smarthost):
            pause = self.blocks.paused(smarthost)
            if pause is not None and not force:
                return pause
            if smarthost.account is not None and force:
                self.tokens.retry(*smarthost.account)
            began = self._tools.clock()
            timeouts = self._tools.timeouts
            test = await try_login(smarthost, self._config.hostname, self.tokens, timeouts)
            if test.accepted:
                await self.blocks.works(smarthost, began)
            elif test.scope is Scope.ACCOUNT:
                cause = test.cause or "login-refused"
                trouble = Trouble(BlockedBy.ACCOUNT, cause, test.reply, test.detail)
                await self.blocks.refused(smarthost, trouble, forced=force)
        await self._fail_over()
        self.wake()
        return test

    async def dial(self, smarthost: Smarthost) -> Connection | ConnectFailure | PausedAccount:
        """A connection of one's own, past the lane, for what cannot wait for it; the breaker is
        asked before and told of a refused login. One more than `max_connections` may be open."""
        async with self.blocks.turn(smarthost):
            pause = self.blocks.paused(smarthost)
            if pause is not None:
                return pause
            hostname, timeouts = self._config.hostname, self._tools.timeouts
            found = await connect(smarthost, hostname, timeouts, self.tokens)
            if isinstance(found, ConnectFailure) and found.scope is Scope.ACCOUNT:
                trouble = Trouble(BlockedBy.ACCOUNT, found.cause, found.reply, found.detail)
                await self.blocks.refused(smarthost, trouble)
        return found

    @property
    def alive(self) -> bool:
        """It has started, and none of its tasks has ended."""
        tasks = [*self._tasks.values(), *self._watches]
        return bool(self._watches) and not any(task.done() for task in tasks)

    def _is_paused(self, smarthost: Smarthost) -> bool:
        return self.blocks.paused(smarthost) is not None

    async def _token_refused(self, smarthost: Smarthost, why: NoToken) -> None:
        """A refresh ahead of time failed for good: nobody needs to find out by a login."""
        trouble = Trouble(BlockedBy.ACCOUNT, why.cause, None, why.detail)
        # In its turn: a login that waits for the same answer must not count it once more.
        async with self.blocks.turn(smarthost):
            await self.blocks.refused(smarthost, trouble)
        await self._fail_over()

    def taker(self, placements: Collection[Placement]) -> Taker | None:
        """An idle worker for a message that is about to be accepted, if one can have all of it."""
        lanes = {place.lane for place in placements}
        crew = self._crews.get(lanes.pop()) if len(lanes) == 1 else None
        if crew is None or any(place.held_for is not None for place in placements):
            return None
        return crew.lane.taker()

    def blocked_names(self) -> frozenset[str]:
        """The smarthosts that new mail should avoid."""
        return self.blocks.blocked_names()

    def lanes_open(self, names: Collection[str]) -> bool:
        """Mail may leave by each of these lanes now: nothing blocks it, no limit makes it wait."""
        crews = [self._crews.get(name) for name in names]
        return all(crew is not None and crew.lane.is_open for crew in crews)

    def _open_lanes(self) -> None:
        for smarthost in self._config.smarthosts:
            crew = self._crews.get(smarthost.name)
            if crew is not None:
                crew.lane.smarthost = smarthost
                continue
            crew = self._crews[smarthost.name] = Crew(smarthost, self._tools)
            self._tasks[smarthost.name] = asyncio.create_task(
                crew.run(), name=f"lane {smarthost.name}"
            )

    async def _close_lane(self, name: str) -> None:
        crew, task = self._crews.pop(name), self._tasks.pop(name)
        await crew.stop(_CLOSING_SECONDS)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def _fail_over(self) -> None:
        """A smarthost failed or recovered: mail with another way takes it."""
        self.waiters.release(self.blocked_names())
        self._moved_at = self._tools.clock()
        if await self._mover.fail_over(self._config):
            self.wake()

    async def realign(self) -> None:
        """Give each waiting recipient the lane that the routes and blocks of this moment say."""
        await self._mover.realign(self._config)

    def _standing(self) -> Standing:
        blocked = self.blocked_names()
        failed = {
            each.name for each in self._config.smarthosts if self.blocks.has_failed(each.name)
        }
        return Standing(blocked, frozenset(failed - blocked))

    async def _watch_over(self) -> None:
        """What no event tells: a new password, and mail that was accepted by routes of before."""
        while True:
            await asyncio.sleep(_WATCH_EVERY_SECONDS)
            try:
                if await self.blocks.forget_changed_secrets():
                    self.wake()
                if set(await self._spool.queue.lanes_waiting()) - self._crews.keys():
                    await self.realign()
                    self.wake()
                # The time of a block has passed; or mail was under way when others were moved.
                overdue = self._tools.clock() - self._moved_at >= _STRAYS_EVERY
                if self._mover.is_stale or overdue:
                    await self._fail_over()
                await self._tools.budget.forget_old()  # at most hourly
            except Exception:
                log.exception("watching over the lanes")
