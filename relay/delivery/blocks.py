"""What stands in the way of whole lanes, in memory and in the ledger.

Trouble of a smarthost makes its lane wait 1, 2, 5, then every 10 minutes. A quota, as the provider
or our own ledger has it, makes each lane of the account wait until there is room. A refused login
pauses the account, (host, username), and with it each lane that uses it: for 15 minutes, then an
hour, then until the secret changes or somebody resumes it; with 454 each hour. An operator's pause
ends only by hand.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from relay.account.refusal import service_principal_steps
from relay.config.model import Config, Smarthost
from relay.delivery.pauses import Pauses
from relay.delivery.schedule import account_delay, smarthost_delay
from relay.delivery.trouble import ALARMING_FAILURES, BY_OPERATOR, Trouble
from relay.monitor import mail_log
from relay.spool.ledger_entry import Block, BlockedBy, PausedAccount
from relay.spool.protocol import Ledger


@dataclass(frozen=True, slots=True)
class Reread:
    """Whether something stands otherwise than before, and the accounts that are paused no more."""

    changed: bool
    resumed: tuple[tuple[str, str], ...]


class Blocks:
    """Which lanes wait, why, and until when. `config` is swapped by a reload."""

    def __init__(
        self,
        config: Config,
        ledger: Ledger,
        clock: Callable[[], datetime],
        chance: Callable[[], float],
    ) -> None:
        self.config = config
        self._ledger = ledger
        self.pauses = Pauses(ledger, clock)
        self._clock = clock
        self._chance = chance
        self._blocks: dict[str, Block] = {}
        self._blocked_at: dict[str, datetime] = {}
        self._writing: Counter[str] = Counter()  # lanes whose change the ledger does not know yet
        self._written: set[str] = set()  # lanes that were changed here since a reading began
        self._turns: defaultdict[object, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.sizes: dict[str, int] = {}

    async def restore(self) -> None:
        """Take up what the last process left in the ledger."""
        for name, lane in (await self._ledger.lanes()).items():
            if lane.block is not None:
                self._blocks[name] = lane.block
            if lane.size_bytes is not None:
                self.sizes[name] = lane.size_bytes
        await self.pauses.restore()

    async def reread_accounts(self) -> None:
        """The pauses as the ledger has them, after a command may have ended one."""
        await self.pauses.reread()

    async def reread(self) -> Reread:
        """Take up what other nodes have put into the ledger. May raise SpoolError."""
        self._written = set(self._writing)
        lanes = await self._ledger.lanes()
        paused = self.pauses.all()
        await self.reread_accounts()
        await self.pauses.mark_new(paused, self.config.smarthosts)
        blocks = {name: lane.block for name, lane in lanes.items() if lane.block is not None}
        mine = {name for name in self._written if name in self._blocks or name in blocks}
        fresh = {name: block for name, block in blocks.items() if name not in mine}
        fresh |= {name: self._blocks[name] for name in mine if name in self._blocks}
        still_paused = self.pauses.all()
        changed = fresh != self._blocks or paused != still_paused
        for name, block in fresh.items():
            if block != self._blocks.get(name):
                self._blocked_at[name] = self._clock()
        self._blocks = fresh
        self.sizes |= {
            name: lane.size_bytes for name, lane in lanes.items() if lane.size_bytes is not None
        }
        return Reread(changed, tuple(paused.keys() - still_paused.keys()))

    def turn(self, smarthost: Smarthost) -> asyncio.Lock:
        """Held while connecting: one after the other, so that a wrong password is tried once."""
        return self._turns[smarthost.account or smarthost.name]

    def paused(self, smarthost: Smarthost) -> PausedAccount | None:
        """The pause of its account; None also when its time is over and a try is due."""
        return self.pauses.standing(smarthost)

    def blocked(self, smarthost: Smarthost) -> Block | None:
        """What stands in the way now; None also when its time is over and a try is due."""
        block = self._blocks.get(smarthost.name)
        account = self.paused(smarthost)
        now = self._clock()
        if account is not None:
            return _account_block(account)
        if block is not None and block.by is not BlockedBy.ACCOUNT:
            return block if block.until is None or block.since <= now < block.until else None
        return None

    def blocked_names(self) -> frozenset[str]:
        """The smarthosts that wait."""
        return frozenset(each.name for each in self.config.smarthosts if self.blocked(each))

    def has_failed(self, name: str) -> bool:
        """Its last try failed, and no mail has passed since."""
        block = self._blocks.get(name)
        return block is not None and block.failures > 0

    async def failed(self, smarthost: Smarthost, trouble: Trouble) -> None:
        """One more failure in a row: the lane waits longer.

        What fails while the lane waits already, such as another connection of it, adds nothing.
        """
        if self.blocked(smarthost) is not None:
            return
        now = self._clock()
        old = self._blocks.get(smarthost.name)
        if old is not None and old.by is BlockedBy.ACCOUNT:
            old = None
        failures = (old.failures if old else 0) + 1
        until = now + smarthost_delay(failures, self._chance())
        since = old.since if old else now
        block = Block(trouble.by, until, failures, since, trouble.cause, trouble.reply)
        await self._set(smarthost.name, block)
        mail_log.paused(
            smarthost.name,
            by=trouble.by.value,
            cause=trouble.cause,
            text=trouble.detail,
            until=until.isoformat(),
        )
        if failures == (1 if trouble.alarm else ALARMING_FAILURES):
            mail_log.alert("smarthost-fails", trouble.detail, smarthost=smarthost.name)

    async def used_up(self, smarthost: Smarthost, until: datetime, cause: str) -> None:
        """By our own ledger its account has sent what it may: each lane of it waits. No failure."""
        now = self._clock()
        await self._wait_for_quota(smarthost, Block(BlockedBy.QUOTA, until, 0, now, cause))

    async def too_much(self, smarthost: Smarthost, trouble: Trouble, delay: timedelta) -> None:
        """The provider says too fast, or too much: each lane of the account waits, for `delay` or,
        where it says so again and again, longer."""
        if self.blocked(smarthost) is not None:
            return
        now, old = self._clock(), self._blocks.get(smarthost.name)
        if old is not None and old.by is not BlockedBy.QUOTA:
            old = None
        failures = (old.failures if old else 0) + 1
        until = now + max(delay, smarthost_delay(failures, self._chance()))
        since = old.since if old else now
        block = Block(BlockedBy.QUOTA, until, failures, since, trouble.cause, trouble.reply)
        await self._wait_for_quota(smarthost, block, trouble.detail)
        if trouble.alarm and failures == 1:
            mail_log.alert("quota-reached", trouble.detail, smarthost=smarthost.name)

    async def _wait_for_quota(
        self, smarthost: Smarthost, block: Block, text: str | None = None
    ) -> None:
        for each in self._sharing(smarthost):
            if self.blocked(each) is None:
                await self._set(each.name, block)
        until = None if block.until is None else block.until.isoformat()
        mail_log.paused(
            smarthost.name,
            by="quota",
            cause=block.cause,
            text=text,
            account=smarthost.username,
            until=until,
        )

    async def refused(self, smarthost: Smarthost, trouble: Trouble, forced: bool = False) -> None:
        """The provider refused the login: pause the account and call for help.

        What is refused while it is paused adds nothing, unless somebody `forced` the try.
        """
        if smarthost.account is None:
            await self.failed(smarthost, trouble)
            return
        if self.paused(smarthost) is not None and not forced:
            return
        host, username = smarthost.account
        old = self.pauses.of(smarthost)
        if old is not None and old.cause == BY_OPERATOR:
            return
        refusals = (old.refusals if old else 0) + 1
        now = self._clock()
        for_now = trouble.reply is not None and trouble.reply.transient
        delay = account_delay(refusals, for_now=for_now)
        until = None if delay is None else now + delay
        account = PausedAccount(
            host, username, now, until, refusals, trouble.cause, trouble.reply, None
        )
        await self._pause(smarthost, account)
        if for_now and refusals > 1:
            return  # somebody knows, and can only wait
        text = " ".join([trouble.detail, *self._rights(smarthost, trouble)])
        mail_log.alert("account-paused", text, smarthost=smarthost.name)

    async def pause(self, smarthost: Smarthost) -> None:
        """Pause its account until somebody resumes it; what is under way goes on."""
        assert smarthost.account is not None
        old = self.pauses.of(smarthost)
        refusals, reply = (old.refusals, old.reply) if old else (0, None)
        now = self._clock()
        account = PausedAccount(*smarthost.account, now, None, refusals, BY_OPERATOR, reply, None)
        await self._pause(smarthost, account)

    async def _pause(self, smarthost: Smarthost, account: PausedAccount) -> None:
        """Raises SpoolError; the pause holds in this process all the same."""
        begun = await self.pauses.begin(account, self._sharing(smarthost))
        if begun is None:
            return  # resumed meanwhile
        for each in self._sharing(smarthost):
            await self._set(each.name, _account_block(begun))
        mail_log.paused(
            smarthost.name,
            by="account",
            cause=account.cause,
            reply=account.reply,
            account=account.username,
            until=None if account.until is None else account.until.isoformat(),
        )

    async def works(self, smarthost: Smarthost, began: datetime) -> bool:
        """Mail that was begun at `began` passed: nothing is in the way. True if something was.

        What has failed since then stands.
        """
        account = self.pauses.of(smarthost)
        if account is not None and account.cause == BY_OPERATOR:
            return False
        if account is not None and account.at <= began:
            await self.resume(smarthost)
            return True
        found = self._blocks.get(smarthost.name)
        lanes = [smarthost]
        if found is not None and found.by is BlockedBy.QUOTA:
            lanes = [each for each in self._sharing(smarthost) if self._waits_for_quota(each.name)]
        passed = False
        for each in lanes:
            at = self._blocked_at.get(each.name)
            if each.name not in self._blocks or (at is not None and at > began):
                continue
            await self._clear(each.name)
            mail_log.resumed(each.name)
            passed = True
        return passed

    async def resume(self, smarthost: Smarthost) -> None:
        """End the pause of its account, for each lane that uses it, and its own waiting time."""
        if smarthost.account is not None:
            await self.pauses.end(smarthost.account)
        for each in self._sharing(smarthost):
            block = self._blocks.get(each.name)
            if block is not None and (each == smarthost or block.by is BlockedBy.ACCOUNT):
                await self._clear(each.name)
                mail_log.resumed(each.name)

    async def learn_size(self, smarthost: Smarthost, size_bytes: int | None) -> None:
        """Keep the SIZE that the smarthost offered, for what the listener offers."""
        if self.sizes.get(smarthost.name) != size_bytes:
            if size_bytes is None:
                self.sizes.pop(smarthost.name, None)
            else:
                self.sizes[smarthost.name] = size_bytes
            await self._ledger.learn_size(smarthost.name, size_bytes)

    async def forget_backoff(self) -> None:
        """Every smarthost may be tried now; paused accounts stay paused."""
        for name, block in list(self._blocks.items()):
            if block.by is not BlockedBy.ACCOUNT:
                await self._clear(name)

    async def forget_changed_secrets(self) -> bool:
        """End the pause of accounts whose secret is another now. True if there was one."""
        changed = False
        for smarthost in self.config.smarthosts:
            account = self.pauses.of(smarthost)
            if account is None or account.cause == BY_OPERATOR:
                continue
            if await self.pauses.has_another_secret(account, self._sharing(smarthost)):
                await self.resume(smarthost)
                changed = True
        return changed

    def _waits_for_quota(self, name: str) -> bool:
        block = self._blocks.get(name)
        return block is not None and block.by is BlockedBy.QUOTA

    async def _set(self, name: str, block: Block) -> None:
        self._blocks[name] = block
        self._blocked_at[name] = self._clock()
        with self._changing(name):
            await self._ledger.block(name, block)

    async def _clear(self, name: str) -> None:
        self._blocks.pop(name, None)
        self._blocked_at.pop(name, None)
        with self._changing(name):
            await self._ledger.unblock(name)

    @contextmanager
    def _changing(self, name: str) -> Iterator[None]:
        """What is read of this lane meanwhile may be from before."""
        self._writing[name] += 1
        self._written.add(name)
        try:
            yield
        finally:
            self._writing[name] -= 1
            self._writing += Counter()  # only those that are under way

    def _sharing(self, smarthost: Smarthost) -> list[Smarthost]:
        """The smarthosts that log in as the same account, this one first."""
        others = (each for each in self.config.smarthosts if each.name != smarthost.name)
        shared = smarthost.account is not None
        return [
            smarthost,
            *(each for each in others if shared and each.account == smarthost.account),
        ]

    def _rights(self, smarthost: Smarthost, trouble: Trouble) -> tuple[str, ...]:
        """How an app gets its right on the mailbox, where the server refused what its issuer gave."""
        if smarthost.oauth2 is None or smarthost.username is None or trouble.reply is None:
            return ()
        language = self.config.language
        return service_principal_steps(smarthost.oauth2, smarthost.username, language)


def _account_block(account: PausedAccount) -> Block:
    return Block(
        BlockedBy.ACCOUNT,
        account.until,
        account.refusals,
        account.at,
        account.cause,
        account.reply,
    )
