"""Work of libraries that block, beside the event loop and within a time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


async def in_thread(work: Callable[[], T], seconds: float) -> T:
    """What `work()` returns or raises. Raises TimeoutError after `seconds`.

    The thread of work that hangs is left behind. It is a daemon: unlike a thread of
    `asyncio.to_thread` it holds up neither the end of the loop nor that of the program.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def tell(how: Callable[[Any], None], what: object) -> None:
        def told() -> None:
            if not done.done():
                how(what)

        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(told)

    def run() -> None:
        try:
            tell(done.set_result, work())
        except Exception as error:  # noqa: BLE001 - raised again where it is awaited
            tell(done.set_exception, error)

    threading.Thread(target=run, daemon=True).start()
    async with asyncio.timeout(seconds):
        return await done
