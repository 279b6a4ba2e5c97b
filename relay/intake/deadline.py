"""How long a client may keep us waiting."""

import asyncio
import math
from collections.abc import Callable


class Deadline:
    """Calls `expired` when what is waited for does not come in time.

    One timer that looks at a deadline costs less than a new timer for each command.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, expired: Callable[[], None]) -> None:
        self._loop = loop
        self._expired = expired
        self._at = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def wait(self, seconds: float) -> None:
        """It is the client's turn, for at most `seconds`."""
        self._at = self._loop.time() + seconds
        if self._timer is None or self._timer.when() > self._at:
            self.cancel()
            self._set_timer()

    def met(self) -> None:
        """It is our turn: no time counts until the next `wait`."""
        self._at = math.inf

    def cancel(self) -> None:
        """No further call."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set_timer(self) -> None:
        self._timer = self._loop.call_at(self._at, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._loop.time() >= self._at:
            self._expired()
        elif self._at < math.inf:
            self._set_timer()
