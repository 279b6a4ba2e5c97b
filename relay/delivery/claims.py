"""The claims of one worker: of the message that it is about to send, and of the one after it.

A message is claimed only when it can be attempted at once, so that what a crash leaves in doubt is
only what was really under way. Over a connection that has just passed a message the next one is
claimed while one is on its way.
"""

import asyncio
import logging
from dataclasses import dataclass
from datetime import timedelta

from relay.delivery.errand import Errand
from relay.delivery.lane import Lane
from relay.delivery.usage import Allowance
from relay.spool.errors import SpoolError
from relay.spool.model import Claim

log = logging.getLogger(__name__)

_PAUSE_SECONDS = 1.0  # after a claim that the spool refused
_AHEAD_SECONDS = 1.0  # a message that is claimed ahead waits this long for the one before


@dataclass(frozen=True, slots=True)
class _Claiming:
    """A claim that is under way since the loop's clock said `began`; `looks` is the lane's."""

    claims: asyncio.Task[tuple[Claim, ...]]
    looks: int
    began: float


class Claims:
    """See the module. A spool that refuses gives no claim."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self._ahead: _Claiming | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._forgoing: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """No claim is left over."""
        if self._patience is not None:
            self._patience.cancel()
        await self.forgo()
        if self._forgoing is not None:
            await self._forgoing

    def look_ahead(self) -> None:
        """Claim the next message while one is on its way.

        Not where a limit may make it wait: it would be in doubt after a crash for nothing.
        """
        lane = self._lane
        if self._ahead is not None or lane.account.limits().counted or not lane.worth_a_claim:
            return
        if lane.account.hungry and lane.account.starved_by(lane.smarthost.name):
            return
        self._ahead = self._begin()
        if self._patience is None:
            # One timer for many claims, as hardly one of them waits so long.
            loop = asyncio.get_running_loop()
            until = self._ahead.began + _AHEAD_SECONDS
            self._patience = loop.call_at(until, self._lose_patience, loop)

    def _lose_patience(self, loop: asyncio.AbstractEventLoop) -> None:
        self._patience = None
        if self._ahead is None:
            return
        until = self._ahead.began + _AHEAD_SECONDS
        if loop.time() < until:
            self._patience = loop.call_at(until, self._lose_patience, loop)
        else:
            self._forgoing = asyncio.create_task(self.forgo())

    async def peek(self) -> Claim | None:
        """What is being claimed ahead, without taking it."""
        if self._ahead is None:
            return None
        try:
            claims = await asyncio.shield(self._ahead.claims)
        except SpoolError:
            return None  # told to who takes it
        return claims[0] if claims else None

    async def claimed_ahead(self) -> Errand | None:
        """What was claimed ahead, if it may leave still."""
        if not self.may_leave():
            await self.forgo()
        claim = await self._ahead_if_any()
        return None if claim is None else Errand(claim, Allowance.open(self._lane.account))

    async def forgo(self) -> None:
        """What was claimed ahead is for another worker, or for later."""
        claim = await self._ahead_if_any()
        if claim is not None:
            await self._lane.put_back(claim)

    async def _ahead_if_any(self) -> Claim | None:
        ahead, self._ahead = self._ahead, None
        if ahead is None:
            return None
        return await self._claimed(ahead)

    def may_leave(self) -> bool:
        """Nothing is in the way of a message, and no limit makes it wait."""
        lane, account = self._lane, self._lane.account
        tools = lane.tools
        blocked = tools.blocks.blocked(lane.smarthost) is not None
        if lane.stopping or tools.courier.paused or blocked:
            return False
        return account.wait() <= timedelta() and 0 not in account.room()

    async def claim(self) -> Errand | None:
        """A message that is due and may leave now, with what it may use reserved."""
        if not self.may_leave():
            self._lane.be_unsure()  # it may have been told of a message
            return None
        allowance = Allowance.open(self._lane.account)
        claim: Claim | None = None
        try:
            if await self._agreed(allowance):
                claim = await self._claimed(self._begin())
        finally:
            if claim is None:
                allowance.close()
        return None if claim is None else Errand(claim, allowance)

    async def given(self, claim: Claim) -> Errand | None:
        """What was claimed for this worker as it was accepted, if it may still leave."""
        allowance = Allowance.open(self._lane.account) if self.may_leave() else None
        if allowance is None or not await self._agreed(allowance):
            if allowance is not None:
                allowance.close()
            await self._lane.put_back(claim)
            return None
        return Errand(claim, allowance)

    async def _agreed(self, allowance: Allowance) -> bool:
        try:
            agreed = await allowance.agreed()
        except SpoolError as error:
            await self._refused(error)
            return False
        if not agreed:
            self._lane.be_unsure()
        return agreed

    async def _refused(self, error: SpoolError) -> None:
        log.error("lane %s: nothing was claimed: %s", self._lane.smarthost.name, error)
        self._lane.be_unsure()
        await asyncio.sleep(_PAUSE_SECONDS)

    def _begin(self) -> _Claiming:
        lane = self._lane
        claiming = self._lane.tools.courier.spool.queue.claim(lane.smarthost.name, 1)
        now = asyncio.get_running_loop().time()
        return _Claiming(asyncio.create_task(claiming), lane.claim_begins(), now)

    async def _claimed(self, claiming: _Claiming) -> Claim | None:
        try:
            # The spool goes on with a claim whose worker is cancelled: it must be put back.
            claims = await asyncio.shield(claiming.claims)
        except asyncio.CancelledError:
            for claim in await claiming.claims:
                await self._lane.put_back(claim)
            raise
        except SpoolError as error:
            await self._refused(error)
            return None
        if not claims:
            self._lane.found_empty(claiming.looks)
        return claims[0] if claims else None
