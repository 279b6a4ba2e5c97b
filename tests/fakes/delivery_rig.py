"""The outgoing side alone: a real spool, the dispatcher on it, and a clock that a test moves.

    async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
        message = await rig.accept("a@example.nl", ["b@example.net"])
        await rig.event("delivered")

Waiting is waiting for events of the mail log; nothing sleeps.
"""

import asyncio
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from fakes.smarthost import Smarthost as Fake

from relay.config.model import AuthMethod, Config, Delivery, Route, Smarthost, Spool, TlsMode
from relay.config.secret import SecretRef
from relay.delivery.dispatcher import Dispatcher
from relay.delivery.route import choose_lane, find_path
from relay.envelope import Envelope, Recipient
from relay.smarthost.connect import Timeouts
from relay.spool.model import NewMessage, Placement, State
from relay.spool.sqlite import SqliteSpool, open_spool
from relay.spool.view import MessageView

START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
CONTENT = b"From: <info@bakkerij.nl>\r\nMessage-ID: <1@bakkerij.nl>\r\n\r\nHello.\r\n"


def rig_smarthost(fake: Fake, name: str = "isp", **keys: Any) -> Smarthost:
    """A smarthost entry for a fake, in clear and without a login unless `keys` say otherwise."""
    keys = {"host": fake.host, "tls": TlsMode.NONE, "max_connections": 1, **keys}
    return Smarthost(name=name, port=fake.port, **keys)


def with_login(secret: Path, username: str = "bakker", password: str = "geheim") -> dict[str, Any]:
    """The keys of a login whose password stands in the file `secret`, which is written."""
    secret.touch(0o600)
    secret.write_text(password)
    reference = SecretRef("file", str(secret))
    return {"auth": AuthMethod.PASSWORD, "username": username, "password": reference}


class Events(logging.Handler):
    """The events of the mail log, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, Any]]] = []
        self.came = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append((record.getMessage(), getattr(record, "fields", {})))
        self.came.set()

    def named(self, name: str, **fields: Any) -> list[dict[str, Any]]:
        """The fields of the events of that name that have these fields."""
        return [
            found for event, found in self.seen if event == name and fields.items() <= found.items()
        ]


class Rig:
    """See the module. `config` keys beside `smarthosts` are those of `Config`."""

    def __init__(
        self,
        directory: Path,
        smarthosts: list[Smarthost],
        timeouts: Timeouts | None = None,
        **keys: Any,
    ) -> None:
        self.now = START
        self.path = directory / "spool.db"
        self.config = Config(
            hostname="relay.test",
            postmaster="beheer@bakkerij.nl",
            spool=Spool(url="sqlite://", path=self.path),
            smarthosts=tuple(smarthosts),
            **keys,
        )
        self.timeouts = timeouts or Timeouts(*[20] * 7)
        self.events = Events()
        self.spool: SqliteSpool
        self.dispatcher: Dispatcher

    async def __aenter__(self) -> Self:
        logging.getLogger("relay.mail").addHandler(self.events)
        logging.getLogger("relay.mail").setLevel(logging.INFO)
        secret_key = self.config.spool.secret_key
        self.spool = await asyncio.to_thread(open_spool, self.path, lambda: self.now, secret_key)
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.dispatcher.stop(0)
        await self.spool.close()
        logging.getLogger("relay.mail").removeHandler(self.events)

    async def start(self) -> None:
        """A new dispatcher, as after a restart of the process."""
        self.dispatcher = Dispatcher(
            self.config, self.spool, lambda: self.now, lambda: 0.5, self.timeouts
        )
        await self.dispatcher.start()

    async def restart(self) -> None:
        await self.dispatcher.stop(0)
        await self.start()

    async def reload(self, **keys: Any) -> None:
        """With these keys of the configuration changed."""
        self.config = replace(self.config, **keys)
        await self.dispatcher.reload(self.config)

    def advance(self, **time: float) -> None:
        """Move the clock, and let the lanes look at it."""
        self.now += timedelta(**time)
        self.dispatcher.wake()

    async def accept(
        self,
        sender: str | None,
        recipients: list[str | Recipient],
        content: bytes = CONTENT,
        **keys: Any,
    ) -> int:
        """Put a message into the spool as intake does; `keys` are those of the envelope."""
        every = tuple(
            each if isinstance(each, Recipient) else Recipient(each) for each in recipients
        )
        blocked = self.dispatcher.blocked_names()
        placements = tuple(
            Placement(choose_lane(find_path(self.config, "kassa", sender, each.address), blocked))
            for each in every
        )
        number = self.spool.queue.new_id()
        body = self.spool.queue.body_writer(number)
        for at in range(0, len(content), 65536):
            await body.write(content[at : at + 65536])
        message = NewMessage(
            id=number,
            received_at=self.now,
            expires_at=self.now + self.config.spool.lifetime,
            client="kassa",
            client_address="192.168.1.20",
            envelope=Envelope(sender, every, **keys),
            placements=placements,
            message_id="<1@bakkerij.nl>",
        )
        await self.spool.queue.accept(message, body)
        self.dispatcher.wake({place.lane for place in placements})
        return number

    async def event(
        self, name: str, count: int = 1, seconds: float = 60, **fields: Any
    ) -> dict[str, Any]:
        """The `count`-th event of that name with these fields, waiting for it."""
        async with asyncio.timeout(seconds):
            while len(found := self.events.named(name, **fields)) < count:
                self.events.came.clear()
                await self.events.came.wait()
        return found[count - 1]

    async def settled(self) -> None:
        """Nothing that could be done now is left to do: the lanes and the spool have had turns."""
        for _ in range(20):
            await self.spool.queue.totals()
            await self.spool.ledger.setting("x")
            await asyncio.sleep(0)

    async def show(self, message: int) -> MessageView:
        view = await self.spool.queue.show(message)
        assert view is not None
        return view

    async def states(self, message: int) -> list[State]:
        return [each.state for each in (await self.show(message)).recipients]

    async def waiting(self) -> tuple[MessageView, ...]:
        """What is neither delivered nor failed."""
        return (await self.spool.queue.page(None, 1000))[1]


__all__ = ["CONTENT", "START", "Delivery", "Events", "Rig", "Route", "rig_smarthost", "with_login"]
