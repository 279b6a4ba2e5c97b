"""The relay's listener alone, in this process: a real spool behind it, and nothing that delivers."""

import asyncio
import contextlib
import dataclasses
import gc
import re
import sqlite3
import threading
from collections.abc import AsyncIterator, Collection, Coroutine
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from fakes.raw_client import RawClient

from relay.config.model import Client, Config, Listener, Smarthost, Spool
from relay.intake.context import Intake, Patience
from relay.intake.door import Door
from relay.intake.listener import Listeners
from relay.spool.sqlite import SqliteSpool, open_spool
from relay.spool.view import MessageView

T = TypeVar("T")

HOSTNAME = "relay.mijnbakkerij.nl"
NOON = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
SENDER, RECIPIENT = "info@mijnbakkerij.nl", "klant@example.net"
MESSAGE = (
    f"From: {SENDER}\r\nTo: {RECIPIENT}\r\nDate: Mon, 02 Nov 2026 12:00:00 +0000\r\n"
    "Message-ID: <1@mijnbakkerij.nl>\r\nSubject: Factuur 1\r\n\r\nHierbij de factuur.\r\n"
).encode()

_REPLY = re.compile(r"([245])\d\d[ -]\1\.\d{1,3}\.\d{1,3} \S")
_PROGRAMMERS_TALK = re.compile(r"Error|Exception|Traceback|Errno|None\b|0x[0-9a-f]{6}")


def client(name: str = "kassa", *networks: str, **settings: Any) -> Client:
    """A client of these networks, by default this machine's usual address."""
    return Client(name, tuple(map(ip_network, networks or ("127.0.0.1/32",))), **settings)


class CheckedClient(RawClient):
    """A client that looks at each reply: ASCII, an enhanced code, no exception's text."""

    def __init__(self, host: str, port: int, source: str | None = None) -> None:
        super().__init__(host, port, source, timeout_seconds=10)
        self._greeted = False
        self._in_hello = False

    def line(self) -> str:
        line = super().line()
        if line:
            self._check(line)
        return line

    def greet(self, hello: str = "EHLO kassa") -> Self:
        """Reads the greeting and says hello."""
        greeting = self.reply()
        assert greeting.startswith("220 "), greeting
        assert self.command(hello).startswith("250")
        return self

    def mail(self, sender: str = SENDER, *recipients: str, parameters: str = "") -> None:
        """MAIL and RCPT, both of which must be taken."""
        commands = [f"RCPT TO:<{one}>" for one in recipients or (RECIPIENT,)]
        for command in (f"MAIL FROM:<{sender}>{parameters}", *commands):
            reply = self.command(command)
            assert reply.startswith("250 2.1."), (command, reply)

    def _check(self, line: str) -> None:
        assert line.isascii(), line
        assert not _PROGRAMMERS_TALK.search(line), line
        if line[:3] == "250" and line[4:] == HOSTNAME:
            self._in_hello = True
        exempt = self._in_hello or line.startswith("3")
        if not self._greeted:
            self._greeted = True
            exempt = exempt or line.startswith("220 ")
        assert exempt or _REPLY.match(line), f"no enhanced code: {line}"
        if line[3:4] != "-":
            self._in_hello = False


class Listening:
    """A listener on loopback whose loop runs in a thread of its own.

    What the loop could not hand to anybody, such as a task whose exception nobody saw, fails the
    test that leaves this context.
    """

    def __init__(
        self,
        directory: Path,
        *clients: Client,
        listener: Listener | None = None,
        patience: Patience | None = None,
        **settings: Any,
    ) -> None:
        self.now = NOON
        self.lanes: list[set[str]] = []
        self.faults: list[dict[str, Any]] = []
        self._directory = directory
        self._patience = patience or Patience()
        self.config = Config(
            hostname=HOSTNAME,
            spool=settings.pop("spool", Spool(url="sqlite:", reserve_bytes=0)),
            listeners=(listener or Listener("127.0.0.1", 0),),
            clients=clients,
            smarthosts=settings.pop("smarthosts", (Smarthost(name="isp", host="127.0.0.1"),)),
            **settings,
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.smarthost_size_bytes: int | None = None
        self.spool: SqliteSpool
        self.intake: Intake
        self.listeners: Listeners

    def __enter__(self) -> Self:
        self._loop.set_exception_handler(lambda loop, context: self.faults.append(context))
        self._thread.start()
        self.run(self._start())
        return self

    async def _start(self) -> None:
        self.spool = open_spool(self._directory / "spool.db", lambda: self.now)
        self.intake = Intake(
            config=self.config,
            spool=self.spool,
            door=Door(self.config, {}),
            clock=lambda: self.now,
            accepted=self._accepted,
            blocked_lanes=lambda: (),
            smarthost_size_bytes=lambda: self.smarthost_size_bytes,
            patience=self._patience,
        )
        self.listeners = Listeners(self.intake)
        self.listeners.bind()
        await self.listeners.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
        gc.collect()  # a task whose exception nobody saw says so only now
        assert error is not None or not self.faults, self.faults

    async def _stop(self) -> None:
        await self.listeners.stop(0)
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        _, late = await asyncio.wait(tasks, timeout=1) if tasks else (set(), set())
        for task in late:
            task.cancel()
        await asyncio.sleep(0)
        await self.spool.close()

    @property
    def host(self) -> str:
        return self.listeners.addresses()[0][0]

    @property
    def port(self) -> int:
        """The port that the system chose."""
        return self.listeners.addresses()[0][1]

    def connect(self, source: str | None = None) -> CheckedClient:
        """A connection whose greeting has not been read."""
        return CheckedClient(self.host, self.port, source)

    def greeted(self, hello: str = "EHLO kassa") -> CheckedClient:
        """A connection after its greeting and EHLO."""
        return self.connect().greet(hello)

    def run(self, work: Coroutine[Any, Any, T], timeout_seconds: float = 20) -> T:
        """The result of `work`, done by the listener's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout_seconds)

    def call(self, work: Any) -> Any:
        """The result of calling `work()` in the listener's loop."""

        async def called() -> Any:
            return work()

        return self.run(called())

    def until(self, true: Any) -> None:
        """Lets the loop work until `true()`; raises TimeoutError after 10 seconds."""

        async def waited() -> None:
            async with asyncio.timeout(10):
                while not true():
                    await asyncio.sleep(0.002)

        self.run(waited())

    def change(self, *clients: Client, **settings: Any) -> None:
        """A reload with other clients."""
        self.config = dataclasses.replace(self.config, clients=clients, **settings)

        def changed() -> None:
            self.intake.config = self.config
            self.intake.door.change(self.config, {})

        self.call(changed)

    def later(self, seconds: float) -> None:
        """Moves the relay's clock."""
        self.now += timedelta(seconds=seconds)

    def messages(self) -> tuple[MessageView, ...]:
        """What is in the queue, oldest first, with all that is known of it."""
        _, listed = self.run(self.spool.queue.page(None, 1000))
        shown = [self.run(self.spool.queue.show(each.id)) for each in listed]
        return tuple(each for each in shown if each is not None)

    def body(self, message: int) -> bytes:
        """A stored message below the Received field that the relay put in front."""
        stored = b"".join(self.run(_all(self.spool.queue.body(message))))
        end = re.search(rb"\r\n(?![ \t])", stored)
        assert end is not None
        assert stored.startswith(b"Received: ")
        return stored[end.end() :]

    def bodies(self) -> list[bytes]:
        """All stored messages below their Received field."""
        return [self.body(message.id) for message in self.messages()]

    def stored_bytes(self) -> bytes:
        """Everything that the spool has written to the disk."""
        return b"".join(path.read_bytes() for path in sorted(self._directory.glob("spool.db*")))

    def body_rows(self) -> int:
        """How many rows of message bytes are committed, those of unfinished messages too."""
        with contextlib.closing(sqlite3.connect(self._directory / "spool.db")) as reader:
            return int(reader.execute("SELECT count(*) FROM body").fetchone()[0])

    @property
    def connections(self) -> int:
        """Connections that the door counts."""
        return self.intake.door.connections

    def tasks(self) -> int:
        """Sessions that still do something, their clients gone or not."""
        return sum("_serve" in repr(task) for task in asyncio.all_tasks(self._loop))

    def _accepted(self, lanes: Collection[str]) -> None:
        self.lanes.append(set(lanes))


async def _all(pieces: AsyncIterator[bytes]) -> list[bytes]:
    return [piece async for piece in pieces]
