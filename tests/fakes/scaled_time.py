"""Time that runs faster: a clock, and an event loop whose sleeps and time-outs follow it.

On a scale of 60 one real second is a minute. The machine's monotonic clock underneath makes
clocks of several processes agree that were made from the same `ScaledClock.origin`.
"""

import asyncio
import selectors
import time
from datetime import UTC, datetime, timedelta


class ScaledClock:
    """Runs `factor` times as fast as the machine's, from `start` at the monotonic time `origin`."""

    def __init__(
        self, factor: float, origin: float | None = None, start: datetime | None = None
    ) -> None:
        self.factor = factor
        self.origin = time.monotonic() if origin is None else origin
        self.start = start or datetime.now(UTC)

    def seconds(self) -> float:
        """Since the origin; never runs back."""
        return (time.monotonic() - self.origin) * self.factor

    def now(self) -> datetime:
        """This moment on the scale, aware."""
        return self.start + timedelta(seconds=self.seconds())


class _Selector(selectors.DefaultSelector):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self._factor = factor

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(timeout / self._factor if timeout else timeout)


class ScaledLoop(asyncio.SelectorEventLoop):
    """An event loop to which a second is 1/`factor` of one: its clock, sleeps and time-outs."""

    def __init__(self, factor: float) -> None:
        self._factor = factor
        super().__init__(_Selector(factor))

    def time(self) -> float:
        return super().time() * self._factor
