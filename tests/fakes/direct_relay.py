"""Listener and delivery together in direct mode, in this process, on one loop in a thread."""

import asyncio
import logging
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

from fakes.delivery_rig import Events
from fakes.listening import Listening, client
from fakes.smarthost import Smarthost as Fake

from relay.config.model import Delivery, DeliveryMode, Smarthost, TlsMode
from relay.delivery.dispatcher import Dispatcher
from relay.intake.context import Intake
from relay.intake.door import Door
from relay.intake.listener import Listeners
from relay.smarthost.connect import Timeouts
from relay.spool.model import State
from relay.spool.sqlite import open_spool
from relay.spool.view import MessageView

PATIENT_SECONDS = 60.0
"""Longer than a client of the tests waits: what is answered was answered for another reason."""


def plain_smarthost(fake: Fake, name: str = "isp", **keys: Any) -> Smarthost:
    """A smarthost entry for a fake, in clear."""
    keys = {"tls": TlsMode.NONE, "max_connections": 2, **keys}
    return Smarthost(name=name, host=fake.host, port=fake.port, **keys)


class DirectRelay(Listening):
    """A relay with these smarthosts whose clients wait up to `wait_seconds` for a verdict."""

    def __init__(
        self,
        directory: Path,
        *smarthosts: Smarthost,
        wait_seconds: float = PATIENT_SECONDS,
        **settings: Any,
    ) -> None:
        delivery = Delivery(DeliveryMode.DIRECT, timedelta(seconds=wait_seconds))
        settings = {
            "delivery": delivery,
            "postmaster": "beheer@mijnbakkerij.nl",
            "smarthosts": smarthosts,
            **settings,
        }
        clients = settings.pop("clients", (client(),))
        super().__init__(directory, *clients, **settings)
        self.events = Events()
        self.dispatcher: Dispatcher

    def __enter__(self) -> Self:
        logging.getLogger("relay.mail").addHandler(self.events)
        logging.getLogger("relay.mail").setLevel(logging.INFO)
        return super().__enter__()

    async def _start(self) -> None:
        self.spool = await asyncio.to_thread(
            open_spool, self._directory / "spool.db", lambda: self.now
        )
        timeouts = Timeouts(*[20] * 7)
        self.dispatcher = Dispatcher(
            self.config, self.spool, lambda: self.now, lambda: 0.5, timeouts
        )
        self.intake = Intake(
            config=self.config,
            spool=self.spool,
            door=Door(self.config, {}),
            clock=lambda: self.now,
            accepted=self.dispatcher.wake,
            blocked_lanes=self.dispatcher.blocked_names,
            smarthost_size_bytes=lambda: None,
            lanes_open=self.dispatcher.lanes_open,
            waiters=self.dispatcher.waiters,
            patience=self._patience,
        )
        self.listeners = Listeners(self.intake)
        self.listeners.bind()
        await self.dispatcher.start()
        await self.listeners.start()

    async def _stop(self) -> None:
        logging.getLogger("relay.mail").removeHandler(self.events)
        await self.dispatcher.stop(0)
        await super()._stop()

    @property
    def waiting(self) -> int:
        """How many clients wait for a verdict."""
        return len(self.dispatcher.waiters)

    def event(self, name: str, count: int = 1, **fields: Any) -> dict[str, Any]:
        """The `count`-th event of the mail log of that name with these fields, waiting for it."""
        self.until(lambda: len(self.events.named(name, **fields)) >= count)
        return self.events.named(name, **fields)[count - 1]

    def finished(self, state: State) -> tuple[MessageView, ...]:
        """The messages that ended so."""
        return self.run(self.spool.queue.page(state, 1000))[1]

    def wake(self) -> None:
        """Lets the lanes look at the clock."""
        self.call(self.dispatcher.wake)
