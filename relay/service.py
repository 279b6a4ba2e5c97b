"""The relay as a whole: intake, spool, delivery and control put together, started and stopped."""

import asyncio
import contextlib
import logging
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

import relay
from relay.access.address import Address, peer_address
from relay.access.learning import WINDOW_SETTING
from relay.account.login_test import LoginTest
from relay.clock import utc_now
from relay.config.load import differences, load
from relay.config.model import Config, ConfigError, Smarthost
from relay.control.daemon import Reloaded
from relay.control.page_desk import PageDesk
from relay.control.token import publish, withdraw
from relay.delivery.dispatcher import Dispatcher
from relay.fleet import Fleet, Follower
from relay.housekeeping import Housekeeping
from relay.intake.context import Intake
from relay.intake.door import Door
from relay.intake.listener import Listeners
from relay.monitor import mail_log
from relay.monitor.alarm_paths import AlarmPaths, Told
from relay.monitor.counts import Counts
from relay.monitor.log_file import LogFile
from relay.monitor.log_writer import LogWriter
from relay.monitor.systemd import Notifier, Supervision, Vitals
from relay.monitor.watch import Surroundings, Watch
from relay.spool.configured import open_configured, salvage_of
from relay.spool.errors import SpoolError
from relay.spool.ledger_entry import PausedAccount
from relay.spool.protocol import Spool
from relay.spool.sharing import Topic

if TYPE_CHECKING:
    from relay.web.server import WebServer

log = logging.getLogger(__name__)

STOP_SECONDS = 10.0
"""For open DATA and running attempts at the end; what is late then is aborted."""

_LAST_COUNT_SECONDS = 2.0


class Service:
    """A running relay; the `Daemon` that the operator's desk works with."""

    def __init__(self, config: Config, spool: Spool, clock: Callable[[], datetime]) -> None:
        self._config = config
        self._spool = spool
        self._clock = clock
        self._started_at = clock()
        self._door = Door(config, {})
        self._dispatcher = Dispatcher(config, spool, clock, random.random)
        self._intake = Intake(
            config=config,
            spool=spool,
            door=self._door,
            clock=clock,
            accepted=self._dispatcher.wake,
            blocked_lanes=self._dispatcher.blocked_names,
            smarthost_size_bytes=self._smarthost_size_bytes,
            lanes_open=self._dispatcher.lanes_open,
            taker=self._dispatcher.taker,
            waiters=self._dispatcher.waiters,
        )
        self.listeners = Listeners(self._intake)
        self._housekeeping = Housekeeping(
            spool, self._door, self.config, clock, self._dispatcher.wake
        )
        self._counts = Counts()
        dispatcher = self._dispatcher
        follower = Follower(self._others_acted, dispatcher.others_used, dispatcher.outlived)
        self._fleet = Fleet(spool, self.config, self._started_at, follower)
        self._watch = Watch(
            spool,
            Surroundings(self.config, lambda: self._door.rules, lambda: self._fleet.leads),
            AlarmPaths(self._dispatcher.dial),
            clock,
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._reloading = asyncio.Lock()

    async def start(self) -> None:
        """Deliver what waits, then accept mail."""
        await self._fleet.join()
        await self.access_changed()
        if not self._config.sandbox:
            await self._dispatcher.start()
            self._spool.nodes.on_mail(self._dispatcher.wake)
        self._counts.attach()
        beside = (self._housekeeping.run(), self._watch.run(), self._fleet.run())
        self._tasks = [asyncio.create_task(each) for each in beside]
        await self.listeners.start()

    async def stop(self) -> None:
        """Accept nothing more, let what runs end within `STOP_SECONDS`."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(self.listeners.stop(STOP_SECONDS), self._dispatcher.stop(STOP_SECONDS))
        with contextlib.suppress(SpoolError):
            await self._housekeeping.note_refused()
        self._counts.detach()
        with contextlib.suppress(SpoolError, TimeoutError):
            async with asyncio.timeout(_LAST_COUNT_SECONDS):  # the next start counts the rest
                await self._housekeeping.statistics.run()
        with contextlib.suppress(SpoolError):
            await self._fleet.leave()

    async def _others_acted(self, topics: Collection[Topic]) -> None:
        if Topic.ACCESS in topics:
            await self.access_changed()
        if not self._config.sandbox:
            await self._dispatcher.others_acted(topics)

    def _smarthost_size_bytes(self) -> int | None:
        """The largest message that some smarthost takes; None if any has no known limit."""
        sizes = self._dispatcher.blocks.sizes
        known = [sizes.get(smarthost.name) for smarthost in self._config.smarthosts]
        limits = [size for size in known if size is not None]
        return max(limits) if limits and len(limits) == len(known) else None

    # --- relay.control.daemon.Daemon ---

    def config(self) -> Config:
        return self._config

    def mail_due(self) -> None:
        self._dispatcher.wake()

    async def retry_smarthosts(self) -> None:
        await self._dispatcher.try_now()

    async def access_changed(self) -> None:
        adopted: dict[Address, str] = {
            peer_address(device.address): device.name
            for device in await self._spool.ledger.adopted()
        }
        self._door.change(self._config, adopted)
        until = await self._spool.ledger.setting(WINDOW_SETTING)
        self._door.learning_until = datetime.fromisoformat(until) if until else None

    async def sender_rules_changed(self) -> None:
        await self._dispatcher.sender_rules_changed()

    async def account_resumed(self, host: str, username: str) -> None:
        await self._dispatcher.account_resumed(host, username)

    async def account_test(self, smarthost: Smarthost, force: bool) -> LoginTest | PausedAccount:
        return await self._dispatcher.test_account(smarthost, force)

    async def account_pause(self, smarthost: Smarthost) -> None:
        await self._dispatcher.pause(smarthost)

    async def granted(self, host: str, username: str) -> None:
        await self._dispatcher.granted(host, username)

    async def reload(self) -> Reloaded:
        """Read the file again; with any fault in it the old configuration stays."""
        if self._config.path is None:
            return Reloaded(applied=False)
        async with self._reloading:
            try:
                config = await asyncio.to_thread(load, self._config.path, os.environ)
            except ConfigError as error:
                texts = [fault.text(self._config.language) for fault in error.faults]
                mail_log.reloaded(False, faults=texts)
                return Reloaded(applied=False, faults=error.faults)
            needs_restart = differences(self._config, config)
            self._config = config
            self._intake.config = config
            self.listeners.reload(config)
            await self.access_changed()
            await self._dispatcher.reload(config)
            await self._fleet.tell()
            mail_log.reloaded(True, restart=needs_restart)
            return Reloaded(applied=True, needs_restart=needs_restart)

    def stopped_parts(self) -> list[str]:
        listening = bool(self.listeners.addresses()) and not self._intake.stopping
        delivering = self._config.sandbox or self._dispatcher.alive
        parts = {"listener": listening, "delivery": delivering}
        return [name for name, runs in parts.items() if not runs]

    def counts(self) -> Counts | None:
        return self._counts

    def standing_alarms(self) -> Mapping[str, int]:
        return Counter(each.kind for each in self._watch.standing())

    async def alarm_test(self) -> list[Told]:
        return await self._watch.test()

    def live(self) -> dict[str, object]:
        return {
            "version": relay.__version__,
            "pid": os.getpid(),
            "started_at": self._started_at.isoformat().replace("+00:00", "Z"),
            "connections": self._door.connections,
            "listeners": self.listeners.shown_addresses(),
        }


async def serve(
    config: Config, clock: Callable[[], datetime] = utc_now, log_file: LogFile | None = None
) -> int:
    """Run until SIGTERM or SIGINT; the exit code. The log goes to stderr, or to `log_file`.

    Raises CannotListen, SpoolError, SpoolInUse or OSError when it cannot start; then nothing was
    accepted and nothing is left behind.
    """
    log_writer = LogWriter(log_file or sys.stderr)
    try:
        spool = await open_configured(config.spool, clock, serving=True)
        if (salvaged := salvage_of(spool)) is not None:
            text, aside = salvaged
            mail_log.alert("spool-damaged", text, aside=aside)
        try:
            return await _run(config, spool, clock)
        finally:
            await spool.close()
    finally:
        log_writer.close()


async def _run(config: Config, spool: Spool, clock: Callable[[], datetime]) -> int:
    service = Service(config, spool, clock)
    service.listeners.bind()
    web = None
    try:
        if config.web.enabled:
            web = await _start_web(config, service, spool, clock)
        await service.start()
    except BaseException:
        service.listeners.close()
        if web is not None:
            await web.stop()
        raise
    ended = _watch_signals(service)
    addresses = service.listeners.shown_addresses()
    mail_log.event(
        "started", version=relay.__version__, listeners=addresses, spool=config.spool.name
    )
    vitals = Vitals(spool, service.stopped_parts, service.listeners.shown_addresses)
    supervision = Supervision(Notifier(os.environ), vitals, config.language)
    telling = asyncio.create_task(supervision.run())
    lost = await _ended_or_gone(ended, spool)
    if lost:
        mail_log.alert(
            "spool-lost", "the process that writes the spool has died; start the relay anew"
        )
    telling.cancel()
    supervision.stopping()
    mail_log.event("stopping")
    await service.stop()
    if web is not None:
        await web.stop()
    withdraw(config.spool.beside)
    mail_log.event("stopped")
    return 70 if lost else 0


async def _ended_or_gone(ended: asyncio.Event, spool: Spool) -> bool:
    """Wait for a signal to end; True if the spool was lost before one came."""
    gone = asyncio.create_task(spool.gone())
    signalled = asyncio.create_task(ended.wait())
    await asyncio.wait((gone, signalled), return_when=asyncio.FIRST_COMPLETED)
    gone.cancel()
    signalled.cancel()
    return not ended.is_set()


async def _start_web(
    config: Config, service: Service, spool: Spool, clock: Callable[[], datetime]
) -> "WebServer":
    # Loaded here: a relay without the page stays small.
    from relay.web.api import create_app
    from relay.web.events import Changes
    from relay.web.server import WebServer

    web = WebServer(config.web)
    web.bind()
    token = publish(config.spool.beside, web.url)
    desk = PageDesk(spool, service, clock)
    changes = Changes()
    changes.follow()
    hosts = (config.web.host, *config.web.hosts)

    def before_stop() -> None:
        changes.close()
        desk.stop()

    await web.start(create_app(desk, token, hosts, changes), before_stop)
    return web


def _watch_signals(service: Service) -> asyncio.Event:
    """SIGTERM and SIGINT end the service, SIGHUP reloads it."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    if sys.platform == "win32":
        # No handlers on the loop there; the handler runs in the main thread between two steps.
        signal.signal(signal.SIGINT, lambda *_: loop.call_soon_threadsafe(ended.set))
        signal.signal(signal.SIGBREAK, lambda *_: loop.call_soon_threadsafe(ended.set))
        return ended
    reloads: set[asyncio.Task[Reloaded]] = set()

    def reload() -> None:
        task = asyncio.create_task(service.reload())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    loop.add_signal_handler(signal.SIGTERM, ended.set)
    loop.add_signal_handler(signal.SIGINT, ended.set)
    loop.add_signal_handler(signal.SIGHUP, reload)
    return ended
