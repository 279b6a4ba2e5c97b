"""What the operator's actions need from whoever runs them: the daemon, or nobody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from relay.spool.model import BlockedBy

if TYPE_CHECKING:
    from relay.config.model import Config, Fault
    from relay.spool.protocol import Spool


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

    async def account_resumed(self, host: str, username: str) -> None:
        """The ledger no longer pauses this account: try it again."""

    async def reload(self) -> Reloaded:
        """Read the configuration again."""

    def live(self) -> dict[str, object]:
        """What only the process knows, JSON-ready: version, pid, started_at, connections,
        listeners. Empty where nothing runs."""


class Offline:
    """Stands for a relay that is stopped: there is nobody to wake."""

    def __init__(self, config: Config, spool: Spool) -> None:
        self._config = config
        self._ledger = spool.ledger

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

    async def account_resumed(self, host: str, username: str) -> None:
        """Nobody keeps it paused."""

    async def reload(self) -> Reloaded:
        return Reloaded(applied=False)

    def live(self) -> dict[str, object]:
        return {}
