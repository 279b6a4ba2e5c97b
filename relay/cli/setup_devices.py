"""The learning window of `relay setup`: which machines of the office sent something, and may they."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import typer

import relay
from presets.reply import sanitise
from relay.cli.ask import AnyDesk, NoAnswer, NoSpool, consult
from relay.cli.findings import is_held
from relay.cli.output import cell
from relay.cli.session import Session, talk
from relay.cli.setup_questions import office_address
from relay.cli.setup_talk import ask_line
from relay.cli.setup_wishes import Wishes
from relay.control.client import ApiError, Silent
from relay.control.errors import Declined
from relay.intake.door import LEARNING
from relay.setup.answers import means_no
from relay.spool.errors import SpoolError

T = TypeVar("T")

_HOME = Path(relay.__file__).resolve().parents[1]
_START_SECONDS = 60.0
_STOP_SECONDS = 20.0
_LOOK_EVERY_SECONDS = 0.5
_MOST_MESSAGES = 1000


class NoSearch(Exception):
    """The search cannot go on; the reason is in the person's language."""


@dataclass(slots=True)
class Device:
    """A machine that is not listed and sent something during the window."""

    address: str
    senders: list[str | None] = field(default_factory=list)
    name: str | None = None
    """What it was let in as; None: it was not."""

    def document(self) -> dict[str, Any]:
        return {
            "address": self.address,
            "messages": len(self.senders),
            "senders": sorted({each or "" for each in self.senders}),
            "allowed_as": self.name,
        }

    def values(self) -> dict[str, object]:
        """For the texts."""
        shown = ", ".join(sorted({each or "<>" for each in self.senders}))
        return {"address": self.address, "count": len(self.senders), "sender": shown}


class Search:
    """One learning window at a relay that runs, or that is started for it."""

    def __init__(self, session: Session, wishes: Wishes, client: str | None) -> None:
        self._session = session
        self._wishes = wishes
        self._client = client  # whose settings the devices get
        self._devices: dict[str, Device] = {}
        self._seen: set[str] = set()

    def run(self) -> list[Device]:
        """The devices that sent, let in or not. Raises NoSearch, and what a terminal raises."""
        with _running(self._session):
            self._ask(lambda desk: desk.client_learn(self._wishes.learn_minutes))
            self._tell_open()
            try:
                if self._wishes.unattended:
                    self._watch()
                else:
                    self._converse()
            finally:
                self._ask(lambda desk: desk.client_learn(0))
        return [*self._devices.values()]

    def _tell_open(self) -> None:
        listener = self._session.config.listeners[0]
        address = office_address() if listener.host in ("0.0.0.0", "::") else listener.host
        values = {"address": address or listener.host, "port": listener.port}
        talk(
            "", self._session.text("setup.learn.open", **values, minutes=self._wishes.learn_minutes)
        )

    def _converse(self) -> None:
        ask_line(self._session.text("setup.learn.press"))
        while not self._look():
            if ask_line(self._session.text("setup.learn.nobody")).strip():
                return
        for device in self._devices.values():
            name = self._client or device.address
            prompt = self._session.text("setup.learn.device", **device.values(), name=name)
            typed = ask_line(cell(prompt) + " ").strip()
            if not means_no(typed):
                self._allow(device, typed or name)

    def _watch(self) -> None:
        """Until the window ends, or as many machines sent as were expected."""
        end = time.monotonic() + 60 * self._wishes.learn_minutes
        while time.monotonic() < end:
            for device in self._look():
                if self._wishes.allow_found:
                    self._allow(device, self._client or device.address)
            if len(self._devices) >= (self._wishes.expect or sys.maxsize):
                return
            asyncio.run(asyncio.sleep(_LOOK_EVERY_SECONDS))

    def _look(self) -> list[Device]:
        """The devices that are new since the last look."""
        known = set(self._devices)

        async def held(desk: AnyDesk) -> list[dict[str, Any]]:
            listed = await desk.queue_list("held", _MOST_MESSAGES, LEARNING)
            new = [each["id"] for each in listed["messages"] if each["id"] not in self._seen]
            return [await desk.queue_show(id_) for id_ in new]

        for message in self._ask(held):
            if "unknown" not in message:
                self._seen.add(message["id"])
                address = message["client_address"]
                device = self._devices.setdefault(address, Device(address))
                device.senders.append(message["sender"])
        return [device for address, device in self._devices.items() if address not in known]

    def _allow(self, device: Device, name: str) -> None:
        try:
            answer = self._ask(lambda desk: desk.client_allow(device.address, name))
        except Declined as error:
            talk(cell(error.text(self._session.language)))
            return
        device.name = answer["name"]
        text = self._session.text("client.allowed", address=device.address, name=device.name)
        talk(cell(text))

    def _ask(self, action: Callable[[AnyDesk], Awaitable[T]]) -> T:
        try:
            return asyncio.run(consult(self._session, action))
        except ApiError as error:
            raise NoSearch(error.text(self._session.language)) from error
        except (NoAnswer, NoSpool, Silent, SpoolError, OSError, typer.Exit) as error:
            raise NoSearch(str(error) or type(error).__name__) from error


@contextmanager
def _running(session: Session) -> Iterator[None]:
    """A relay runs meanwhile: the one that does, or one of our own. Raises NoSearch."""
    if is_held(session.config.spool.path):
        yield
        return
    talk("", session.text("setup.learn.starting"))
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "relay", "serve", "--config", str(session.config.path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            cwd=_HOME,
            # Ctrl-C at the terminal is for the conversation, which then ends the relay in order.
            start_new_session=sys.platform != "win32",
        )
        try:
            if not _ready(session, process):
                log.seek(0)
                said = log.read(100_000).decode("utf-8", "replace").splitlines()
                reason = sanitise(said[-1], 500) if said else "-"
                raise NoSearch(session.text("setup.learn.no-start", reason=reason))
            yield
        finally:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _ready(session: Session, process: subprocess.Popen[bytes]) -> bool:
    """Whether the relay came to its API; its spool is not touched before."""
    web = session.config.web
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(web.host, web.host)
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            socket.create_connection((host, web.port), timeout=1).close()
        except OSError:
            asyncio.run(asyncio.sleep(_LOOK_EVERY_SECONDS))
        else:
            # Somebody else's port would let us in as well; then ours ends at once.
            asyncio.run(asyncio.sleep(_LOOK_EVERY_SECONDS))
            return process.poll() is None
    return False
