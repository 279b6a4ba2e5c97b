"""Being one of several nodes that share a store: saying that one lives, and following what the
others change."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import datetime

import relay
from relay.config.model import Config
from relay.spool.errors import SpoolError
from relay.spool.protocol import Spool
from relay.spool.sharing import BEAT_SECONDS, GONE_AFTER, Topic, Vitals

log = logging.getLogger(__name__)

_LOOK_SECONDS = 2.0  # after a change elsewhere, where no hint comes
_USAGE_EVERY_SECONDS = 60.0
_RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Follower:
    """What follows the other nodes: `acted` works by what the ledger says now of these topics;
    `used` takes up what all nodes used, or with True only where that is known to be more than was
    thought; `outlived` is told that the others had taken this node for gone."""

    acted: Callable[[Collection[Topic]], Awaitable[None]]
    used: Callable[[bool], Awaitable[None]]
    outlived: Callable[[], None]


class Fleet:
    """Runs beside intake and delivery; a store that does not answer is asked again."""

    def __init__(
        self,
        spool: Spool,
        config: Callable[[], Config],
        started_at: datetime,
        follower: Follower,
    ) -> None:
        self._nodes = spool.nodes
        self._config = config
        self._started_at = started_at
        self._follower = follower
        self.leads = not self._nodes.shared
        """It tells of what all nodes see: the one that has lived longest does."""

    async def join(self) -> None:
        """Be one of the nodes. Raises SpoolError."""
        await self._nodes.beat(self._vitals())
        # What is read from now on is as new as this.
        await self._nodes.changed()

    async def tell(self) -> None:
        """The configuration is another one. Where the store does not answer, the next beat tells."""
        with contextlib.suppress(SpoolError):
            await self._nodes.beat(self._vitals())

    async def run(self) -> None:
        """Until cancelled; ends at once where there are no others."""
        if self._nodes.shared:
            await asyncio.gather(self._live(), self._follow())

    async def leave(self) -> None:
        """End in good order. Raises SpoolError."""
        await self._nodes.leave()

    def _vitals(self) -> Vitals:
        return Vitals(relay.__version__, self._config().digest, self._started_at)

    async def _live(self) -> None:
        loop = asyncio.get_running_loop()
        beaten_at = loop.time()
        while True:
            try:
                await self._nodes.beat(self._vitals())
                if loop.time() - beaten_at > GONE_AFTER.total_seconds():
                    self._follower.outlived()
                beaten_at = loop.time()
                living = [each for each in await self._nodes.listed() if not each.gone]
                self.leads = bool(living) and living[0].id == self._nodes.id
                pause = BEAT_SECONDS
            except SpoolError as error:
                log.warning("the other nodes do not hear of this one: %s", error)
                pause = _RETRY_SECONDS
            await asyncio.sleep(pause)

    async def _follow(self) -> None:
        topics: set[Topic] = set()
        loop = asyncio.get_running_loop()
        usage_at = loop.time() + _USAGE_EVERY_SECONDS
        while True:
            await self._nodes.wait(_LOOK_SECONDS)
            try:
                topics |= await self._nodes.changed()
                if topics:
                    await self._follower.acted(topics)
                    topics.clear()
                every = loop.time() >= usage_at
                await self._follower.used(not every)
                if every:
                    usage_at = loop.time() + _USAGE_EVERY_SECONDS
            except SpoolError as error:
                log.warning("what other nodes changed is not known: %s", error)
            except Exception:
                log.exception("following the other nodes")
