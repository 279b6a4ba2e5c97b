"""Scaled time runs as fast as it says, in a clock and in an event loop."""

import asyncio
import time

from fakes.scaled_time import ScaledClock, ScaledLoop


def test_a_minute_on_the_scale_is_a_second() -> None:
    clock = ScaledClock(60)
    again = ScaledClock(60, clock.origin, clock.start)
    before, began = clock.seconds(), time.monotonic()
    with asyncio.Runner(loop_factory=lambda: ScaledLoop(600)) as runner:
        runner.run(asyncio.sleep(60))
    took = time.monotonic() - began
    assert 0.1 <= took < 5
    passed = clock.seconds() - before
    assert 60 * took <= passed < 60 * (took + 1)
    assert abs((again.now() - clock.now()).total_seconds()) < 60


def test_time_outs_follow_the_loops_scale() -> None:
    async def wait() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(30):
                await asyncio.Event().wait()
        except TimeoutError:
            pass
        return loop.time() - began

    began = time.monotonic()
    with asyncio.Runner(loop_factory=lambda: ScaledLoop(600)) as runner:
        assert runner.run(wait()) >= 30
    assert time.monotonic() - began < 5
