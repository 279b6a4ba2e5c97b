"""All lanes together: starting them, waking them, moving mail between them."""

import asyncio
import logging
from collections.abc import Callable, Collection
from datetime import datetime

from relay.config.model import Config
from relay.delivery.blocks import Blocks
from relay.delivery.courier import Courier
from relay.delivery.lane import Lane, Tools
from relay.delivery.pacing import Pacer
from relay.delivery.route import choose_lane, find_path
from relay.delivery.sightings import Sightings
from relay.smarthost.connect import STANDARD_TIMEOUTS, Timeouts
from relay.spool.model import MessageView, RecipientView, State
from relay.spool.protocol import Spool

log = logging.getLogger(__name__)

_PAGE = 500
_WATCH_EVERY_SECONDS = 10.0
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
        self._config = config
        self._spool = spool
        self._tools = Tools(
            courier=Courier(config, spool, clock, chance, self.wake, timeouts),
            blocks=self.blocks,
            pacer=Pacer(clock),
            sightings=Sightings(spool.ledger, clock),
            clock=clock,
            blocks_changed=self._fail_over,
            timeouts=timeouts,
        )
        self._lanes: dict[str, Lane] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._watch: asyncio.Task[None] | None = None
        self._realigning = asyncio.Lock()

    async def start(self) -> None:
        """Take up the ledger, put queued mail into the lanes of this configuration, deliver."""
        await self.blocks.restore()
        await self.blocks.forget_changed_secrets()
        await self.realign()
        self._open_lanes()
        self._watch = asyncio.create_task(self._watch_over())

    async def stop(self, seconds: float) -> None:
        """Let running attempts end for at most `seconds`."""
        if self._watch is not None:
            self._watch.cancel()
        await asyncio.gather(*(lane.stop(seconds) for lane in self._lanes.values()))
        tasks = [*self._tasks.values(), *([self._watch] if self._watch else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def wake(self, lanes: Collection[str] | None = None) -> None:
        """Mail came for these lanes, or may be due in any."""
        for name, lane in self._lanes.items():
            if lanes is None or name in lanes:
                lane.wake()

    async def reload(self, config: Config) -> None:
        """Work by `config` from now on; queued mail follows its routes and credentials."""
        self._config = self._tools.courier.config = self.blocks.config = config
        await self.blocks.forget_backoff()
        await self.blocks.forget_changed_secrets()
        await self.realign()
        self._open_lanes()
        self.wake()
        gone = self._lanes.keys() - {smarthost.name for smarthost in config.smarthosts}
        await asyncio.gather(*map(self._close_lane, gone))

    async def try_now(self) -> None:
        """Forget the smarthosts' waiting times; a paused account stays paused."""
        await self.blocks.forget_backoff()
        await self.blocks.reread_accounts()
        self.wake()

    async def account_resumed(self, host: str, username: str) -> None:
        """The ledger's pause of this account has ended: try it again."""
        await self.blocks.reread_accounts()
        for smarthost in self._config.smarthosts:
            if smarthost.account == (host, username):
                await self.blocks.resume(smarthost)
        self.wake()

    def blocked_names(self) -> frozenset[str]:
        """The smarthosts that new mail should avoid."""
        return self.blocks.blocked_names()

    def _open_lanes(self) -> None:
        for smarthost in self._config.smarthosts:
            lane = self._lanes.get(smarthost.name)
            if lane is not None:
                lane.smarthost = smarthost
                continue
            lane = self._lanes[smarthost.name] = Lane(smarthost, self._tools)
            self._tasks[smarthost.name] = asyncio.create_task(
                lane.run(), name=f"lane {smarthost.name}"
            )

    async def _close_lane(self, name: str) -> None:
        lane, task = self._lanes.pop(name), self._tasks.pop(name)
        await lane.stop(_CLOSING_SECONDS)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def _fail_over(self) -> None:
        """A smarthost failed or recovered: mail with another way takes it."""
        if any(len(route.smarthosts) > 1 for route in self._config.routes):
            await self.realign()
            self.wake()

    async def realign(self) -> None:
        """Give each waiting recipient the lane that the routes and blocks of this moment say."""
        async with self._realigning:
            blocked, after = self.blocked_names(), 0
            while True:
                page = await self._spool.queue.unfinished(after, _PAGE)
                if not page:
                    return
                moves = [move for view in page for move in _moves(self._config, view, blocked)]
                if moves:
                    await self._spool.queue.relane(moves)
                after = page[-1].id

    async def _watch_over(self) -> None:
        """What no event tells: a new password, and mail that was accepted by routes of before."""
        while True:
            await asyncio.sleep(_WATCH_EVERY_SECONDS)
            try:
                if await self.blocks.forget_changed_secrets():
                    self.wake()
                if set(await self._spool.queue.lanes_waiting()) - self._lanes.keys():
                    await self.realign()
                    self.wake()
            except Exception:
                log.exception("watching over the lanes")


def _moves(
    config: Config, view: MessageView, blocked: frozenset[str]
) -> list[tuple[int, int, str]]:
    """The recipients of one message that belong in another lane, as (message, position, lane)."""
    if view.leased:
        return []
    moves = []
    for position, recipient in enumerate(view.recipients):
        if recipient.state not in (State.QUEUED, State.HELD):
            continue
        lane = _lane(config, view, recipient, blocked)
        if lane != recipient.lane:
            moves.append((view.id, position, lane))
    return moves


def _lane(
    config: Config, view: MessageView, recipient: RecipientView, blocked: frozenset[str]
) -> str:
    names = {smarthost.name for smarthost in config.smarthosts}
    if recipient.pinned in names:
        return str(recipient.pinned)
    path = find_path(config, view.client, view.sender or None, recipient.address)
    if view.in_doubt and recipient.lane in path.smarthosts:
        # It may have arrived through this smarthost; another must not send it again.
        return recipient.lane
    return choose_lane(path, blocked)
