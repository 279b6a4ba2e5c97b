"""What stands in the way of whole lanes, in memory and in the ledger.

Trouble of a smarthost makes its lane wait 1, 2, 5, then every 10 minutes. A quota, as the provider
or our own ledger has it, makes each lane of the account wait until there is room. A refused login
pauses the account, (host, username), and with it each lane that uses it: for 15 minutes, then an
hour, then until the secret changes or somebody resumes it; with 454 each hour. An operator's pause
ends only by hand.
"""

import asyncio
import hashlib
import hmac
import secrets
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from presets.reply import Reply
from relay.account.refusal import service_principal_steps
from relay.config.model import Config, Smarthost
from relay.config.secret import SecretError
from relay.delivery.schedule import account_delay, smarthost_delay
from relay.monitor import mail_log
from relay.spool.model import Block, BlockedBy, PausedAccount
from relay.spool.protocol import Ledger

_MARK_KEY = "secret_mark_key"
BY_OPERATOR = "paused-by-operator"
"""The cause of a pause that somebody asked for."""
ALARMING_FAILURES = 4  # in a row: after about eight minutes somebody should know


@dataclass(frozen=True, slots=True)
class Trouble:
    """A failure of a smarthost, in plain words for the log; `alarm` when it will not pass by itself."""

    by: BlockedBy
    cause: str
    reply: Reply | None
    detail: str
    alarm: bool = False


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
        self._clock = clock
        self._chance = chance
        self._blocks: dict[str, Block] = {}
        self._blocked_at: dict[str, datetime] = {}
        self._paused: dict[tuple[str, str], PausedAccount] = {}
        self._unmarked: set[tuple[str, str]] = set()  # paused, and the secret is still being read
        self._unwritten: set[tuple[str, str]] = set()  # paused, and the ledger does not know it yet
        self._own_marks: dict[tuple[str, str], tuple[datetime, str | None]] = {}
        self._writing: Counter[str] = Counter()  # lanes whose change the ledger does not know yet
        self._written: set[str] = set()  # lanes that were changed here since a reading began
        self._turns: defaultdict[object, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._mark_key = b""
        self.sizes: dict[str, int] = {}

    async def restore(self) -> None:
        """Take up what the last process left in the ledger."""
        for name, lane in (await self._ledger.lanes()).items():
            if lane.block is not None:
                self._blocks[name] = lane.block
            if lane.size_bytes is not None:
                self.sizes[name] = lane.size_bytes
        await self.reread_accounts()
        key = await self._ledger.setting(_MARK_KEY)
        if key is None:
            key = secrets.token_hex(16)
            await self._ledger.remember(_MARK_KEY, key)
        self._mark_key = bytes.fromhex(key)

    async def reread_accounts(self) -> None:
        """The pauses as the ledger has them, after a command may have ended one."""
        known = {(each.host, each.username): each for each in await self._ledger.paused()}
        new = {key: self._paused[key] for key in self._unwritten if key in self._paused}
        self._paused = known | new

    async def reread(self) -> Reread:
        """Take up what other nodes have put into the ledger. May raise SpoolError."""
        self._written = set(self._writing)
        lanes = await self._ledger.lanes()
        paused = dict(self._paused)
        await self.reread_accounts()
        await self._mark_new(paused)
        blocks = {name: lane.block for name, lane in lanes.items() if lane.block is not None}
        mine = {name for name in self._written if name in self._blocks or name in blocks}
        fresh = {name: block for name, block in blocks.items() if name not in mine}
        fresh |= {name: self._blocks[name] for name in mine if name in self._blocks}
        changed = fresh != self._blocks or paused != self._paused
        for name, block in fresh.items():
            if block != self._blocks.get(name):
                self._blocked_at[name] = self._clock()
        self._blocks = fresh
        self.sizes |= {
            name: lane.size_bytes for name, lane in lanes.items() if lane.size_bytes is not None
        }
        return Reread(changed, tuple(paused.keys() - self._paused.keys()))

    async def _mark_new(self, before: Mapping[tuple[str, str], PausedAccount]) -> None:
        """Of a pause that another node began: what the account logs in with here, at that moment.

        The mark in the ledger is of the other's secret. Where the files differ, each node would
        take the pause of the other for one of an older secret, and try its own for ever.
        """
        by_account = {each.account: each for each in self.config.smarthosts if each.account}
        new = {
            key: (account, by_account[key])
            for key, account in self._paused.items()
            if key in by_account and key not in self._unwritten and key not in self._unmarked
            if key not in before or before[key].at != account.at
        }
        self._unmarked |= new.keys()
        for key, (account, smarthost) in new.items():
            try:
                mark = await asyncio.to_thread(self._mark, smarthost)
            finally:
                self._unmarked.discard(key)
            if self._paused.get(key) is account:
                self._own_marks[key] = account.at, mark

    def turn(self, smarthost: Smarthost) -> asyncio.Lock:
        """Held while connecting: one after the other, so that a wrong password is tried once."""
        return self._turns[smarthost.account or smarthost.name]

    def paused(self, smarthost: Smarthost) -> PausedAccount | None:
        """The pause of its account; None also when its time is over and a try is due."""
        account = self._paused.get(smarthost.account) if smarthost.account else None
        if account is None or account.until is None:
            return account
        now = self._clock()
        if now < account.at:
            # The clock was set back: its time begins anew, as too early a try may lock the account.
            account = replace(account, at=now, until=now + (account.until - account.at))
            self._paused[account.host, account.username] = account
        return account if account.until is None or now < account.until else None

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
        old = self._paused.get((host, username))
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
        old = self._paused.get(smarthost.account)
        refusals, reply = (old.refusals, old.reply) if old else (0, None)
        now = self._clock()
        account = PausedAccount(*smarthost.account, now, None, refusals, BY_OPERATOR, reply, None)
        await self._pause(smarthost, account)

    async def _pause(self, smarthost: Smarthost, account: PausedAccount) -> None:
        """Raises SpoolError; the pause holds in this process all the same."""
        key = account.host, account.username
        # At once: others that are refused meanwhile must see it.
        self._paused[key] = account
        self._unmarked.add(key)
        self._unwritten.add(key)
        try:
            mark = await asyncio.to_thread(self._mark, smarthost)
        finally:
            self._unmarked.discard(key)
        if self._paused.get(key) is not account:
            return  # resumed meanwhile
        account = replace(account, secret_mark=mark)
        self._paused[key] = account
        await self._ledger.pause(account)
        self._unwritten.discard(key)
        for each in self._sharing(smarthost):
            await self._set(each.name, _account_block(account))
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
        account = self._paused.get(smarthost.account) if smarthost.account else None
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
            self._paused.pop(smarthost.account, None)
            await self._ledger.resume(*smarthost.account)
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
            account = self._paused.get(smarthost.account) if smarthost.account else None
            if account is None or account.cause == BY_OPERATOR:
                continue
            if smarthost.account in self._unmarked:
                continue  # no mark yet is not another mark
            # A key ring may ask another process.
            mark = await asyncio.to_thread(self._mark, smarthost)
            if self._paused.get((account.host, account.username)) is not account:
                continue  # paused anew, or resumed, meanwhile
            if mark is not None and mark != self._mark_of(account):
                await self.resume(smarthost)
                changed = True
        return changed

    def _mark_of(self, account: PausedAccount) -> str | None:
        """What it logged in with when it was paused; here, where another node paused it."""
        at, mark = self._own_marks.get((account.host, account.username), (None, None))
        return mark if at == account.at else account.secret_mark

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

    def _mark(self, smarthost: Smarthost) -> str | None:
        """A keyed digest of what its account logs in with, to notice a change; None if any of it
        cannot be read. All entries of the account count: each may have a secret of its own."""
        try:
            found = {_proof(each) for each in self._sharing(smarthost)}
        except SecretError:
            return None
        if not any(found):
            return None
        return hmac.new(self._mark_key, repr(sorted(found)).encode(), hashlib.sha256).hexdigest()


def _proof(smarthost: Smarthost) -> tuple[str, ...]:
    """What it logs in with; empty where nothing of it is configured. Raises SecretError."""
    oauth2 = smarthost.oauth2
    if oauth2 is None:
        return (smarthost.password.read(),) if smarthost.password is not None else ()
    references = (oauth2.client_secret, oauth2.certificate)
    secrets_ = [each.read() for each in references if each is not None]
    names = (oauth2.client_id, oauth2.tenant, oauth2.subject)
    return (oauth2.flow, *(each or "" for each in names), *secrets_)


def _account_block(account: PausedAccount) -> Block:
    return Block(
        BlockedBy.ACCOUNT,
        account.until,
        account.refusals,
        account.at,
        account.cause,
        account.reply,
    )
