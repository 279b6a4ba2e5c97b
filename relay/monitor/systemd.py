"""What the service manager is told: that we are ready, how it goes, and that we are alive.

The protocol of sd_notify(3): a datagram of `NAME=value` lines to the socket in `$NOTIFY_SOCKET`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from relay.config.model import Language
from relay.spool.errors import SpoolError, SpoolFull
from relay.spool.protocol import Spool

log = logging.getLogger(__name__)

_STATUS_EVERY_SECONDS = 30.0
_LOOK_AGAIN_SECONDS = 1.0
_WATCHDOG_SETTING = "watchdog"

_TEXTS: Mapping[str, tuple[str, str]] = {
    "well": (
        "neemt mail aan op {listeners}; {queued} wachtend, {held} vastgehouden",
        "takes mail on {listeners}; {queued} queued, {held} held",
    ),
    "full": (
        "de schijf is vol: geen nieuwe mail; {queued} wachtend, {held} vastgehouden",
        "the disk is full: no new mail; {queued} queued, {held} held",
    ),
    "ill": (
        "niet in orde ({reason}); de bewaker krijgt geen teken van leven",
        "not well ({reason}); the watchdog gets no sign of life",
    ),
    "stopping": ("rondt af wat onderweg is", "finishes what is under way"),
}


class Notifier:
    """The service manager's socket. Where there is none every call does nothing."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        self.watchdog_seconds = _watchdog_seconds(environ)
        """Within this time a sign of life is expected; None: nobody waits for one."""

    @property
    def is_heard(self) -> bool:
        """Somebody asked to be told."""
        return self._address is not None

    def tell(self, *lines: str) -> None:
        """Send these lines in one datagram; what cannot be sent at once is not sent."""
        if sys.platform == "win32" or self._address is None:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.setblocking(False)
                sender.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            log.warning("the service manager does not listen: %s", error)


def _address(named: str) -> str | None:
    """A path, or a name in Linux's abstract space, which `@` stands for; None for other kinds."""
    if named.startswith("@"):
        return "\0" + named[1:]
    return named if named.startswith("/") else None


def _watchdog_seconds(environ: Mapping[str, str]) -> float | None:
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None  # meant for another process
    try:
        microseconds = int(environ.get("WATCHDOG_USEC", ""))
    except ValueError:
        return None
    return microseconds / 1e6 if microseconds > 0 else None


@dataclass(frozen=True, slots=True)
class Vitals:
    """What a sign of life depends on besides the event loop."""

    spool: Spool
    stopped_parts: Callable[[], list[str]]
    listeners: Callable[[], list[str]]


class Supervision:
    """Tells the service manager how the relay does, until cancelled.

    A sign of life goes out at half the time that the watchdog gives, only while the loop is in
    time, the spool can be read and written, and listener and dispatcher run. A full disk withholds
    none: a new start would free nothing, and the relay goes on by itself.
    """

    def __init__(self, notifier: Notifier, vitals: Vitals, language: Language) -> None:
        self._notifier = notifier
        self._vitals = vitals
        self._language = language
        watchdog = notifier.watchdog_seconds
        self._every = _STATUS_EVERY_SECONDS if watchdog is None else watchdog / 2
        self._ill = False

    async def run(self) -> None:
        """READY=1 at once, then a look now and then; nothing where nobody asked to be told."""
        if not self._notifier.is_heard:
            return
        self._notifier.tell("READY=1", f"STATUS={await self._status()}")
        while True:
            try:
                await self._beat()
            except Exception:
                log.exception("telling the service manager")

    async def _beat(self) -> None:
        late = await _sleep(self._every)
        while (reason := await self._ailment(late)) is not None:
            self._withhold(reason)
            late = await _sleep(min(_LOOK_AGAIN_SECONDS, self._every / 4))
        self._ill = False
        self._notifier.tell("WATCHDOG=1", f"STATUS={await self._status()}")

    def stopping(self) -> None:
        """The end has begun."""
        self._notifier.tell("STOPPING=1", f"STATUS={self._text('stopping')}")

    def _withhold(self, reason: str) -> None:
        if not self._ill:
            log.error("no sign of life for the watchdog: %s", reason)
            self._notifier.tell(f"STATUS={self._text('ill', reason=reason)}")
        self._ill = True

    async def _ailment(self, late: float) -> str | None:
        """Why a new start might help; None while all is well."""
        if late > self._every / 2:
            return f"the event loop is {late:.1f} s late"
        if stopped := self._vitals.stopped_parts():
            return f"stopped: {', '.join(stopped)}"
        trouble = self._vitals.spool.trouble
        if trouble is not None and not isinstance(trouble, SpoolFull):
            return f"the spool does not work: {trouble}"
        return await self._probe()

    async def _probe(self) -> str | None:
        """Write to the spool, durably, and read it again."""
        ledger = self._vitals.spool.ledger
        mark = f"{os.getpid()} {asyncio.get_running_loop().time():.3f}"

        async def write_and_read() -> str | None:
            await ledger.remember(_WATCHDOG_SETTING, mark)
            return await ledger.setting(_WATCHDOG_SETTING)

        return await _within(self._every / 2, write_and_read())

    async def _status(self) -> str:
        try:
            async with asyncio.timeout(self._every / 2):
                totals = await self._vitals.spool.queue.totals()
        except (SpoolError, TimeoutError) as error:
            return self._text("ill", reason=str(error) or "the spool is slow")
        full = isinstance(self._vitals.spool.trouble, SpoolFull)
        return self._text(
            "full" if full else "well",
            listeners=", ".join(self._vitals.listeners()),
            queued=totals.queued,
            held=totals.held,
        )

    def _text(self, key: str, **values: object) -> str:
        nl, en = _TEXTS[key]
        text = (nl if self._language == "nl" else en).format(**values)
        return " ".join(text.split())  # a line ends a field


async def _within(seconds: float, work: Awaitable[object]) -> str | None:
    """What went wrong with `work`; None where it ended in time."""
    try:
        async with asyncio.timeout(seconds):
            await work
    except SpoolFull:
        return None
    except SpoolError as error:
        return f"the spool does not work: {error}"
    except TimeoutError:
        return f"the spool gave no answer for {seconds:.1f} s"
    return None


async def _sleep(seconds: float) -> float:
    """How many seconds too late the loop came back."""
    loop = asyncio.get_running_loop()
    due = loop.time() + seconds
    await asyncio.sleep(seconds)
    return max(0.0, loop.time() - due)
