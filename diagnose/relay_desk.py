"""The relay asked: a running one over its API, a stopped one by reading its file.

A stopped one is strictly read: not a byte of its file changes, and no token is refreshed.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from diagnose.blocking import in_thread
from relay.clock import utc_now
from relay.config.model import Config
from relay.control.client import ApiError, RemoteDesk, Silent, Unreachable
from relay.control.errors import Declined
from relay.control.token import read_address, read_token
from relay.spool.errors import SpoolError

if TYPE_CHECKING:
    from relay.spool.sqlite.still import StillSpool

T = TypeVar("T")

UNANSWERED = (
    *(ApiError, Declined, Silent, Unreachable),
    *(SpoolError, sqlite3.Error, OSError, TimeoutError, ValueError),
)
"""What asking may raise where there is no answer."""


def reason_of(error: Exception, language: str) -> str:
    """Why there is no answer, in one line."""
    if isinstance(error, ApiError | Declined):
        return error.text(language)
    return f"{type(error).__name__}: {error}"


async def ask_running(
    config: Config, seconds: float, action: Callable[[RemoteDesk], Awaitable[T]]
) -> T | None:
    """What `action` gets of the relay that works by `config`; None where none can be reached.

    Raises one of UNANSWERED.
    """
    beside = config.spool.beside
    address = read_address(beside)
    if address is None:
        return None
    desk = RemoteDesk(address, read_token(beside), config.web.certificate)

    async def asked() -> T:
        return await action(desk)

    try:
        return await in_thread(lambda: asyncio.run(asked()), seconds)
    except Unreachable:
        return None  # it ended without taking its address back


async def ask_stopped(
    config: Config, seconds: float, action: Callable[[StillSpool], Awaitable[T]]
) -> T | None:
    """What `action` reads in the file of a relay that does not run; None where there is no file.

    Raises one of UNANSWERED.
    """
    from relay.spool.sqlite.still import StillSpool

    path = config.spool.path
    if path is None or not path.exists():
        return None

    async def read() -> T:
        spool = StillSpool(path, utc_now, config.spool.secret_key)
        try:
            return await action(spool)
        finally:
            await spool.close()

    return await in_thread(lambda: asyncio.run(read()), seconds)
