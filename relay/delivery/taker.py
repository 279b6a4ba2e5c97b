"""A message on its way from intake into the hands of an idle worker, past the queue.

Where a lane has nothing to send and a worker with a warm connection waits, the transaction that
accepts a message claims it at once: nobody has to look for it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine

from relay.spool.model import Claim

Rest = asyncio.Future[Claim | bool]
"""An idle worker's: a message of its own, or whether to look for one."""


class Taker:
    """An idle worker that has been promised the next message. `accept`, or `take`
    or `release`, must follow."""

    def __init__(self, waiter: Rest, put_back: Callable[[Claim], Awaitable[None]]) -> None:
        self._waiter = waiter
        self._put_back = put_back

    async def accept(self, accepting: Coroutine[None, None, Claim | None]) -> bool:
        """Have the message accepted, and take it: as `take`. What `accepting` raises passes on.

        A caller that is cancelled does not stop the commit: a claim that nobody has would keep the
        message from everybody. So it is waited for, and taken all the same.
        """
        task = asyncio.ensure_future(accepting)
        try:
            return await self.take(await asyncio.shield(task))
        except asyncio.CancelledError:
            await asyncio.wait([task])
            if task.cancelled() or task.exception() is not None:
                self.release()
            else:
                await self.take(task.result())
            raise
        except BaseException:
            self.release()
            raise

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
