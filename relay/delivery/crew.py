"""The workers of one lane: hired when there is mail, let go when there is none."""

import asyncio
import logging

from relay.config.model import Smarthost
from relay.delivery.lane import LONGEST_SLEEP_SECONDS, Lane
from relay.delivery.tools import Tools
from relay.delivery.worker import Worker
from relay.spool.errors import SpoolError

log = logging.getLogger(__name__)


class Crew:
    """Up to `max_connections` workers for the mail of `lane`."""

    def __init__(self, smarthost: Smarthost, tools: Tools) -> None:
        self.lane = Lane(smarthost, tools)
        self._workers: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Work until `stop`."""
        lane = self.lane
        while not lane.stopping:
            lane.woken.clear()
            try:
                seconds = await lane.seconds_to_work(len(self._workers))
            except SpoolError as error:
                log.error("lane %s: %s", lane.smarthost.name, error)
                seconds = LONGEST_SLEEP_SECONDS
            if seconds is None:
                if lane.idle:
                    lane.rouse()
                else:
                    self._hire()
                seconds = LONGEST_SLEEP_SECONDS
            try:
                async with asyncio.timeout(seconds):
                    await lane.woken.wait()
            except TimeoutError:
                pass

    async def stop(self, seconds: float) -> None:
        """Let running attempts end for at most `seconds`, then cut them off."""
        self.lane.stopping = True
        self.lane.wake()
        if self._workers:
            _, late = await asyncio.wait(self._workers, timeout=seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _hire(self) -> None:
        worker = Worker(self.lane)
        task = asyncio.create_task(worker.run(), name=f"lane {self.lane.smarthost.name}")
        self._workers.add(task)
        task.add_done_callback(self._dismiss)

    def _dismiss(self, task: asyncio.Task[None]) -> None:
        self._workers.discard(task)
        if not task.cancelled() and task.exception() is not None:
            # Not woken: what has just gone wrong is not tried again at once.
            name = self.lane.smarthost.name
            log.error("worker of lane %s", name, exc_info=task.exception())
            return
        self.lane.woken.set()
