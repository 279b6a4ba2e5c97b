"""A test message by the configuration to come: the relay's own delivery, over a spool of its own."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from relay.config.defaults import default_spool_url
from relay.config.model import Config
from relay.control.daemon import Offline
from relay.control.desk import Desk
from relay.control.test_message import Wanted
from relay.delivery.dispatcher import Dispatcher
from relay.spool.protocol import Spool
from relay.spool.sqlite import open_spool
from relay.spool.vault_entry import Grant

_WAIT_SECONDS = 90.0
_LOOK_EVERY_SECONDS = 0.1
_LAST_SECONDS = 5.0
_ENDED = ("delivered", "failed", "held")


def on_trial(config: Config, directory: Path) -> Config:
    """The same configuration over a spool in `directory`; nobody is alarmed by a trial."""
    path = directory / "spool.db"
    spool = replace(config.spool, url=default_spool_url(directory), path=path, secret_key=None)
    return replace(config, spool=spool, alarms=())


class _Delivering(Offline):
    """No relay runs, and yet mail leaves."""

    def __init__(self, config: Config, spool: Spool, dispatcher: Dispatcher) -> None:
        super().__init__(config, spool)
        self._delivering = dispatcher

    def mail_due(self) -> None:
        self._delivering.wake()


async def send_test_message(
    config: Config, wanted: Wanted, clock: Callable[[], datetime]
) -> dict[str, Any]:
    """Send one, and wait for what becomes of it: the document of `queue show`.

    Its `state` is queued where no server took or refused it in time. Raises Declined and
    SpoolError. What is left in the spool is of no use to anybody.
    """
    async with _spool(config, clock) as spool:
        dispatcher = Dispatcher(config, spool, clock, random.random)
        await dispatcher.start()
        try:
            desk = Desk(spool, _Delivering(config, spool, dispatcher), clock)
            id_ = (await desk.test_message(wanted))["id"]
            return await _outcome(desk, id_, wanted.language)
        finally:
            await dispatcher.stop(_LAST_SECONDS)


async def keep_grant(
    config: Config, name: str, grant: Grant, clock: Callable[[], datetime]
) -> None:
    """Put a consent into the trial's spool."""
    async with _spool(config, clock) as spool:
        await Desk(spool, Offline(config, spool), clock).account_grant(name, grant)


async def kept_grant(config: Config, clock: Callable[[], datetime]) -> Grant | None:
    """The consent as the trial left it: an issuer may have changed its token meanwhile."""
    account = config.smarthosts[0].account
    assert account is not None
    async with _spool(config, clock) as spool:
        return await spool.vault.grant(*account)


@asynccontextmanager
async def _spool(config: Config, clock: Callable[[], datetime]) -> AsyncIterator[Spool]:
    assert config.spool.path is not None
    spool = open_spool(config.spool.path, clock)
    try:
        yield spool
    finally:
        await spool.close()


async def _outcome(desk: Desk, id_: str, language: str) -> dict[str, Any]:
    """The message once it has ended, or was tried and put off."""
    deadline = asyncio.get_running_loop().time() + _WAIT_SECONDS
    while True:
        found = await desk.queue_show(id_, language)
        tried = any(attempt["outcome"] for attempt in found["attempts"])
        if found["state"] in _ENDED or tried:
            return found
        if asyncio.get_running_loop().time() > deadline:
            return found
        await asyncio.sleep(_LOOK_EVERY_SECONDS)
