"""What attempts came to, brought to a disk that may refuse for a while."""

import asyncio
import logging
from typing import TypeVar

from relay.delivery.direct import Handover
from relay.monitor import mail_log
from relay.spool.errors import SpoolError, SpoolGone
from relay.spool.model import Claim, Settlement
from relay.spool.protocol import Queue

log = logging.getLogger(__name__)

T = TypeVar("T")

_LONGEST_PAUSE_SECONDS = 5.0  # after which the mail of all lanes moves again
_LAST_SECONDS = 1.0  # for the record of an attempt whose worker is cancelled


class Recorder:
    """Records outcomes in `queue`, however long it takes."""

    def __init__(self, queue: Queue) -> None:
        self.unrecorded = 0
        """Outcomes that the spool did not take yet."""
        self._queue = queue

    async def record(self, handover: Handover) -> bool:
        """Settle it; False: the claim had been lost. While the disk refuses, only the record is tried
        again, not the mail, and no other attempt begins. Raises SpoolGone."""
        try:
            return await self._queue.settle(handover.settlement)
        except SpoolError as error:
            handover.failed()
            mail_log.alert("outcome-not-recorded", str(error))
        self.unrecorded += 1
        try:
            return await self._record_patiently(handover.settlement)
        finally:
            self.unrecorded -= 1

    async def _record_patiently(self, settlement: Settlement) -> bool:
        pause = 1.0
        while True:
            await asyncio.sleep(pause)
            try:
                return await self._queue.settle(settlement)
            except SpoolGone:
                raise
            except SpoolError as error:
                log.info("outcome of %s not recorded yet: %s", settlement.claim.message, error)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    async def put_back(self, claim: Claim) -> None:
        """Nothing was begun with this claim: it is as if it had never been made."""
        pause = 1.0
        while True:
            try:
                return await self._queue.unclaim(claim)
            except SpoolGone:
                return  # the next start does it
            except SpoolError as error:
                log.info("claim of %s not put back yet: %s", claim.message, error)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)


async def seen_through(recording: asyncio.Task[None]) -> None:
    """Until it has ended; cancelled, for a moment more."""
    try:
        await asyncio.shield(recording)
    except asyncio.CancelledError:
        await at_last(recording)
        raise


async def at_last(recording: asyncio.Task[T]) -> T | BaseException:
    """What came of it within a moment; if nothing did it is given up."""
    await asyncio.wait([recording], timeout=_LAST_SECONDS)
    recording.cancel()
    return (await asyncio.gather(recording, return_exceptions=True))[0]
