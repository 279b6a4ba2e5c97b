"""A message on its way from intake into the hands of an idle worker, past the queue.

Where a lane has nothing to send and a worker with a warm connection waits, the transaction that
accepts a message claims it at once: nobody has to look for it.
"""

import asyncio
from collections.abc import Awaitable, Callable

from relay.spool.model import Claim

Rest = asyncio.Future[Claim | bool]
"""An idle worker's: a message of its own, or whether to look for one."""


class Taker:
    """An idle worker that has been promised the next message. `take` or `release` must follow."""

    def __init__(self, waiter: Rest, put_back: Callable[[Claim], Awaitable[None]]) -> None:
        self._waiter = waiter
        self._put_back = put_back

    async def take(self, claim: Claim | None) -> bool:
        """The message is committed, `claim` is the right to it; False: it waits in the queue, as
        the store gave none."""
        if claim is None:
            self.release()
            return False
        if self._waiter.done():  # the worker has ended meanwhile
            await self._put_back(claim)
        else:
            self._waiter.set_result(claim)
        return True

    def release(self) -> None:
        """It did not come: the worker is idle again."""
        if not self._waiter.done():
            self._waiter.set_result(True)
