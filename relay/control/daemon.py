"""What the operator's actions need from whoever runs them: the daemon, or nobody."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from random import random
from typing import TYPE_CHECKING, Protocol

from relay.clock import utc_now
from relay.spool.ledger_entry import BlockedBy

if TYPE_CHECKING:
    from relay.account.login_test import LoginTest
    from relay.config.model import Config, Fault, Smarthost
    from relay.delivery.dispatcher import Dispatcher
    from relay.monitor.alarm_paths import Told
    from relay.monitor.counts import Counts
    from relay.spool.ledger_entry import PausedAccount
    from relay.spool.protocol import Spool


_LAST_SECONDS = 5.0  # for a token that came to be kept


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What became of a reload.

    Attributes:
        applied: the file's configuration is in force now.
        faults: why it is not; the old one stays.
        needs_restart: keys whose new value only a restart brings into force.
    """

    applied: bool
    faults: tuple[Fault, ...] = ()
    needs_restart: tuple[str, ...] = ()


class Daemon(Protocol):
    """The running relay, as the actions see it."""

    def config(self) -> Config:
        """The configuration in force."""

    def mail_due(self) -> None:
        """Some mail became due: wake the dispatcher."""

    async def retry_smarthosts(self) -> None:
        """Forget that smarthosts were out of order; a paused account stays paused."""

    async def access_changed(self) -> None:
        """Adopted devices or the learning window changed in the ledger."""

    async def sender_rules_changed(self) -> None:
        """Adopted sender rules changed in the ledger."""

    async def account_resumed(self, host: str, username: str) -> None:
        """The ledger no longer pauses this account: try it again."""

    async def account_test(self, smarthost: Smarthost, force: bool) -> LoginTest | PausedAccount:
        """Log in once, without mail, and tell the breaker what came of it.

        The pause, and nothing dialled, while the breaker is open; `force` dials all the same. A
        refusal counts as the try of its period, a login ends the pause. `smarthost` has an account.
        """

    async def account_pause(self, smarthost: Smarthost) -> None:
        """Pause its account, in the ledger too, until somebody resumes it."""

    async def granted(self, host: str, username: str) -> None:
        """The vault has a new grant for this account, and the ledger pauses it no more."""

    async def reload(self) -> Reloaded:
        """Read the configuration again."""

    def live(self) -> dict[str, object]:
        """What only the process knows, JSON-ready: version, pid, started_at, connections,
        listeners. Empty where nothing runs."""

    def stopped_parts(self) -> list[str]:
        """Which of listener and delivery should run and do not."""

    def counts(self) -> Counts | None:
        """What was counted since the start; None where nothing runs."""

    def standing_alarms(self) -> Mapping[str, int]:
        """How many alarms stand, by kind."""

    async def alarm_test(self) -> list[Told]:
        """A test on each path for alarms; what came of each."""


class Offline:
    """Stands for a relay that is stopped: there is nobody to wake."""

    def __init__(
        self, config: Config, spool: Spool, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self._config = config
        self._spool = spool
        self._ledger = spool.ledger
        self._clock = clock

    def config(self) -> Config:
        return self._config

    def mail_due(self) -> None:
        """Nobody waits; the next start finds what is due."""

    async def retry_smarthosts(self) -> None:
        for lane in (await self._ledger.lanes()).values():
            if lane.block is not None and lane.block.by is not BlockedBy.ACCOUNT:
                await self._ledger.unblock(lane.name)

    async def access_changed(self) -> None:
        """Nobody listens; the next start reads the ledger."""

    async def sender_rules_changed(self) -> None:
        """Nobody delivers; the next start reads the ledger."""

    async def account_resumed(self, host: str, username: str) -> None:
        """Nobody keeps it paused."""

    async def account_test(self, smarthost: Smarthost, force: bool) -> LoginTest | PausedAccount:
        dispatcher = await self._dispatcher()
        try:
            return await dispatcher.test_account(smarthost, force)
        finally:
            await dispatcher.stop(_LAST_SECONDS)

    async def account_pause(self, smarthost: Smarthost) -> None:
        await (await self._dispatcher()).pause(smarthost)

    async def granted(self, host: str, username: str) -> None:
        """Nobody keeps an older token."""

    async def _dispatcher(self) -> Dispatcher:
        """One that delivers nothing: what the running relay would do about accounts."""
        # Loaded here: most of what is done to a stopped relay needs no delivery.
        from relay.delivery.dispatcher import Dispatcher

        dispatcher = Dispatcher(self._config, self._spool, self._clock, random)
        await dispatcher.blocks.restore()
        return dispatcher

    async def reload(self) -> Reloaded:
        return Reloaded(applied=False)

    def live(self) -> dict[str, object]:
        return {}

    def stopped_parts(self) -> list[str]:
        return ["listener", "delivery"]

    def counts(self) -> Counts | None:
        return None

    def standing_alarms(self) -> Mapping[str, int]:
        return {}

    async def alarm_test(self) -> list[Told]:
        from relay.monitor.alarm_paths import AlarmPaths
        from relay.monitor.watch import tell_test

        dispatcher = await self._dispatcher()
        try:
            return await tell_test(AlarmPaths(dispatcher.dial), self._config, self._clock())
        finally:
            await dispatcher.stop(_LAST_SECONDS)
