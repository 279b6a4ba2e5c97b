"""All accounts of the configuration, and what the spool keeps of them.

The spool, which records what was used together with each outcome, is read at the start; where
several processes share it, also what the others used and learned.
"""

from collections.abc import Callable, Collection
from datetime import datetime, timedelta

from relay.config.model import Config, Smarthost
from relay.delivery.account import DAY_KINDS, WARNING_SHARE, Account, account_key
from relay.delivery.learned import Kind, configured_limits, dump, parse
from relay.delivery.pacing import MINUTE
from relay.delivery.window import DAY
from relay.spool.alone import ALONE
from relay.spool.ledger_entry import LaneAccount
from relay.spool.protocol import Ledger
from relay.spool.sharing import AccountKey, Shares

USED_UP = "quota-used-up"
"""The cause of a wait that our own ledger asks for."""

_BUCKET = timedelta(minutes=1)
_HOUR = timedelta(hours=1)


class Budget:
    """All accounts of the configuration."""

    def __init__(
        self,
        config: Config,
        ledger: Ledger,
        clock: Callable[[], datetime],
        shares: Shares = ALONE,
    ) -> None:
        self._ledger = ledger
        self._shares = shares
        self._clock = clock
        self._accounts: dict[AccountKey, Account] = {}
        self._forget_at = clock()
        self.config = config

    @property
    def config(self) -> Config:
        """The configuration in force; setting it changes the limits."""
        return self._config

    @config.setter
    def config(self, config: Config) -> None:
        self._config = config
        for key, smarthosts in by_account(config).items():
            limits = configured_limits(smarthosts)
            if key in self._accounts:
                self._accounts[key].configured = limits
            else:
                self._accounts[key] = Account(key, limits, self._clock, self._shares)

    def of(self, smarthost: Smarthost) -> Account:
        """The account of a smarthost, also of one that a reload has just removed."""
        key = account_key(smarthost)
        if key not in self._accounts:
            limits = configured_limits([smarthost])
            self._accounts[key] = Account(key, limits, self._clock, self._shares)
        return self._accounts[key]

    async def restore(self) -> None:
        """Take up what the last process left in the spool."""
        now = self._clock()
        fresh = {
            key: Account(key, each.configured, self._clock, self._shares)
            for key, each in self._accounts.items()
        }
        arrivals = {}
        for found in await self._ledger.paces():
            if (account := fresh.get((found.host, found.username))) is not None:
                account.learned = parse(found.learned)
                arrivals[account.key] = found.arrival_at
        minutes = await self._ledger.usage(now - DAY - MINUTE)
        for key, account in fresh.items():
            mine = [each for each in minutes if (each.host, each.username) == key]
            account.window.restore(mine)
            # When in its minute each ended is not known: as late as can be.
            ended = [(min(each.minute + _BUCKET, now), each.transactions) for each in mine]
            account.pace.restore(
                arrivals.get(key), [each for each in ended if each[0] + MINUTE > now]
            )
            account.warned = _past_warning(account)
        self._accounts = fresh

    def part(self) -> None:
        """Other nodes have taken over what this one held: every connection is to be asked for anew,
        once the message on it has ended."""
        for account in self._accounts.values():
            account.elsewhere = max(account.elsewhere, account.limits().max_connections)

    async def reread_learned(self) -> None:
        """Take up what other nodes learned."""
        for found in await self._ledger.paces():
            account = self._accounts.get((found.host, found.username))
            if account is not None and not account.unsaved:
                account.learned = parse(found.learned)

    async def reread_usage(self, *, outdated: bool = False) -> None:
        """Take up what all nodes used; with `outdated` only where somebody asked for it."""
        accounts = [each for each in self._accounts.values() if each.outdated or not outdated]
        if not accounts:
            return
        minutes = await self._ledger.usage(self._clock() - DAY - MINUTE)
        for account in accounts:
            mine = [each for each in minutes if (each.host, each.username) == account.key]
            account.learn_of(mine)

    async def note_lanes(self) -> None:
        """Tell the spool whose limits each lane uses up, for what a crash interrupts."""
        lanes = [
            LaneAccount(each.name, *account_key(each), self.of(each).limits().max_recipients)
            for each in self.config.smarthosts
        ]
        await self._ledger.lane_accounts(lanes)

    async def save(self, account: Account) -> None:
        """Keep what was learned, if anything was."""
        if account.unsaved:
            account.unsaved = False
            await self._ledger.learn(*account.key, dump(account.learned))

    async def forget_old(self) -> None:
        """Drop from the spool what no window sees any more. Once an hour it does anything."""
        now = self._clock()
        if now >= self._forget_at:
            self._forget_at = now + _HOUR
            await self._ledger.forget_usage(now - DAY - 2 * _BUCKET)


def by_account(config: Config) -> dict[AccountKey, list[Smarthost]]:
    """The smarthosts of each account."""
    accounts: dict[AccountKey, list[Smarthost]] = {}
    for smarthost in config.smarthosts:
        accounts.setdefault(account_key(smarthost), []).append(smarthost)
    return accounts


def _past_warning(account: Account) -> set[Kind]:
    used: Collection[int] = account.window.used(account.clock())
    limits = account.limits()
    return {
        kind
        for kind, count in zip(DAY_KINDS, used, strict=True)
        if (limit := limits.of(kind)) is not None and count >= WARNING_SHARE * limit
    }
