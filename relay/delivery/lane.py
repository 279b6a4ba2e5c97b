"""The mail that waits for one smarthost: when it needs a worker, and how many it may have."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto

from relay.config.model import Smarthost
from relay.delivery.account import Account
from relay.delivery.taker import Rest, Taker
from relay.delivery.tools import Tools
from relay.spool.model import Claim

LONGEST_SLEEP_SECONDS = 30.0
_SOON_SECONDS = 0.02  # in which a worker that is busy now may be free, its connection warm
_PAUSE_SECONDS = 1.0  # between two looks at a disk that takes nothing
_BETWEEN_NODES_SECONDS = 1.0  # between two looks whether another node gave a connection back
_FEWER_FOR = timedelta(minutes=10)
_WITHOUT_FOR = timedelta(hours=1)


class Shortcut(Enum):
    """What spares a round trip where the smarthost bears it out."""

    CHUNKING = auto()
    AHEAD = auto()
    """The next envelope leaves with the end of the message before."""


@dataclass(slots=True)
class Lane:
    """See the module. `smarthost` is swapped by a reload."""

    smarthost: Smarthost
    tools: Tools
    connected: int = 0
    """Workers with a connection."""
    stopping: bool = False
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    """Something may be due, or another worker needed."""
    _untaken: int = 0  # messages that came, and for which nobody has looked yet
    _empty: bool = False  # but for these
    _looks: int = 0  # counts what makes that uncertain
    _idle: dict[Rest, asyncio.TimerHandle] = field(default_factory=dict)  # the warmest last
    _looking: asyncio.TimerHandle | None = None
    _ceiling: tuple[int, datetime] | None = None  # fewer connections, until
    _without: dict[Shortcut, datetime] = field(default_factory=dict)  # until when

    def wake(self) -> None:
        """Something may be due: who is idle looks, and it is seen whether they are enough."""
        self.woken.set()
        self.rouse()

    def rouse(self) -> None:
        """Something is due: every idle worker looks for it."""
        self.be_unsure()
        while self._rouse_one():
            pass

    def mail_came(self) -> None:
        """One message more: one idle worker takes it, the one whose connection is the warmest."""
        if not self._rouse_one():
            self._untaken += 1
            self.look_soon()

    def be_unsure(self) -> None:
        """Mail may be due that nobody was told of."""
        self._looks += 1
        self._empty = False

    @property
    def worth_a_claim(self) -> bool:
        """False: a claim would find nothing. It spares one claim for each message."""
        return self._untaken > 0 or not self._empty

    def claim_begins(self) -> int:
        """To be given to `found_empty`."""
        self._untaken = max(self._untaken - 1, 0)
        return self._looks

    def found_empty(self, looks: int) -> None:
        """A claim found nothing: what came before it began others have, or it is not due yet."""
        self._empty = looks == self._looks
        self.look_soon()  # when it will be due

    @property
    def idle(self) -> int:
        """Workers with a connection and nothing to send."""
        return sum(not waiter.done() for waiter in self._idle)

    async def rest(self, seconds: float) -> Claim | bool:
        """An idle worker waits for mail, so long at most: a message of its own; or True: it should
        look for one."""
        loop = asyncio.get_running_loop()
        waiter: Rest = loop.create_future()
        self._idle[waiter] = timer = loop.call_later(seconds, _end, waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            given = waiter.done() and not waiter.cancelled() and waiter.result()
            if isinstance(given, Claim):
                await self.put_back(given)
            raise
        finally:
            timer.cancel()
            self._idle.pop(waiter, None)

    def taker(self) -> Taker | None:
        """An idle worker for a message that is about to come; None where there is no such worker,
        or mail that has waited longer, or a limit that may make it wait."""
        if self.worth_a_claim or self.account.limits().counted or not self.is_open:
            return None
        waiter = self._next_idle()
        return None if waiter is None else Taker(waiter, self.put_back)

    async def put_back(self, claim: Claim) -> None:
        """Nothing was begun with it: it is there for others."""
        await self.tools.courier.recorder.put_back(claim)
        self.mail_came()

    def _rouse_one(self) -> bool:
        """False: nobody is idle."""
        waiter = self._next_idle()
        if waiter is not None:
            waiter.set_result(True)
        return waiter is not None

    def _next_idle(self) -> Rest | None:
        """One who waits no longer by the clock."""
        while self._idle:
            waiter, timer = self._idle.popitem()
            timer.cancel()
            if not waiter.done():
                return waiter
        return None

    def look_soon(self) -> None:
        """See whether another worker is needed: in a moment, as one may be free by then."""
        if not self.connected:
            self.woken.set()
        elif self._looking is None:
            loop = asyncio.get_running_loop()
            self._looking = loop.call_later(_SOON_SECONDS, self._look)

    def _look(self) -> None:
        self._looking = None
        self.woken.set()

    def avoid(self, shortcut: Shortcut) -> None:
        """By what the smarthost offers it should work, and it did not: not for a while."""
        self._without[shortcut] = self.tools.clock() + _WITHOUT_FOR

    def avoids(self, shortcut: Shortcut) -> bool:
        """It has failed within the hour."""
        until = self._without.get(shortcut)
        return until is not None and self.tools.clock() < until

    @property
    def is_open(self) -> bool:
        """A message may leave now: nothing blocks the lane, no limit makes it wait."""
        blocked = (
            self.stopping or self.tools.courier.paused or self.tools.blocks.blocked(self.smarthost)
        )
        account = self.account
        return not blocked and account.wait() <= timedelta() and 0 not in account.room()

    @property
    def account(self) -> Account:
        """Whose limits this lane's mail uses up."""
        return self.tools.budget.of(self.smarthost)

    async def seconds_to_work(self, workers: int) -> float | None:
        """None: mail is due, for who is idle or one worker more; else how long `workers` are
        enough, unless something wakes the lane."""
        if not self.idle and workers >= self.most_workers():
            return LONGEST_SLEEP_SECONDS
        if self.tools.courier.paused:
            return _PAUSE_SECONDS
        now = self.tools.clock()
        block = self.tools.blocks.blocked(self.smarthost)
        if block is not None:
            return LONGEST_SLEEP_SECONDS if block.until is None else _seconds(block.until - now)
        due_at = await self.tools.courier.spool.queue.next_due(self.smarthost.name)
        if due_at is None:
            return LONGEST_SLEEP_SECONDS
        left = max(due_at - now, self.account.wait())
        if left > timedelta():
            return _seconds(left)
        return None if self.idle else await self._seconds_to_room()

    async def _seconds_to_room(self) -> float | None:
        """None: there is mail to send, and the account has room for it."""
        account, name = self.account, self.smarthost.name
        if 0 in account.room():
            if account.pace.under_way:
                return 1.0  # it may yet give its place back
            await self.tools.used_up(self.smarthost)
            return 0.01
        free = account.limits().max_connections - account.connections
        if free <= 0:
            if not self.connected:
                account.hungry[name] = self.tools.clock()
            return LONGEST_SLEEP_SECONDS
        if account.others_have_all():
            return _BETWEEN_NODES_SECONDS
        return 1.0 if free <= len(account.starved_by(name)) else None

    def most_workers(self) -> int:
        """One alone finds out whether a smarthost that failed works again."""
        most = min(self.smarthost.max_connections, self.account.limits().max_connections)
        if self.tools.blocks.has_failed(self.smarthost.name):
            return 1
        if self._ceiling is not None and self.tools.clock() < self._ceiling[1]:
            return min(most, self._ceiling[0])
        return most

    def take_fewer(self) -> None:
        """The smarthost wants no more connections at once than there are now, for a while."""
        self._ceiling = self.connected, self.tools.clock() + _FEWER_FOR


def _end(waiter: Rest) -> None:
    if not waiter.done():
        waiter.set_result(False)


def _seconds(left: timedelta) -> float:
    return min(max(left.total_seconds(), 0.01), LONGEST_SLEEP_SECONDS)
