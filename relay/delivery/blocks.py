"""What stands in the way of whole lanes, in memory and in the ledger.

Trouble of a smarthost makes its lane wait 1, 2, 5, then every 10 minutes. A refused login pauses
the account, (host, username), and with it each lane that uses it: for 15 minutes, then an hour,
then until the secret changes or somebody resumes it.
"""

import asyncio
import hashlib
import hmac
import secrets
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from presets.reply import Reply
from relay.config.model import Config, Smarthost
from relay.config.secret import SecretError
from relay.delivery.schedule import account_delay, smarthost_delay
from relay.monitor import mail_log
from relay.spool.model import Block, BlockedBy, PausedAccount
from relay.spool.protocol import Ledger

_MARK_KEY = "secret_mark_key"
_ALARMING_FAILURES = 4  # in a row: after about eight minutes somebody should know


@dataclass(frozen=True, slots=True)
class Trouble:
    """A failure of a smarthost, in plain words for the log; `alarm` when it will not pass by itself."""

    by: BlockedBy
    cause: str
    reply: Reply | None
    detail: str
    alarm: bool = False


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
        self._paused = {
            (account.host, account.username): account for account in await self._ledger.paused()
        }

    def turn(self, smarthost: Smarthost) -> asyncio.Lock:
        """Held while connecting: one after the other, so that a wrong password is tried once."""
        return self._turns[smarthost.account or smarthost.name]

    def blocked(self, smarthost: Smarthost) -> Block | None:
        """What stands in the way now; None also when its time is over and a try is due."""
        block = self._blocks.get(smarthost.name)
        account = self._paused.get(smarthost.account) if smarthost.account else None
        now = self._clock()
        if account is not None and (account.until is None or now < account.until):
            return _account_block(account)
        if block is not None and block.by is not BlockedBy.ACCOUNT:
            return block if block.until is None or now < block.until else None
        return None

    def blocked_names(self) -> frozenset[str]:
        """The smarthosts that wait."""
        return frozenset(each.name for each in self.config.smarthosts if self.blocked(each))

    def has_failed(self, name: str) -> bool:
        """Its last try failed, and no mail has passed since."""
        return name in self._blocks

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
        if failures == (1 if trouble.alarm else _ALARMING_FAILURES):
            mail_log.alert("smarthost-fails", trouble.detail, smarthost=smarthost.name)

    async def refused(self, smarthost: Smarthost, trouble: Trouble) -> None:
        """The provider refused the login: pause the account and call for help."""
        if smarthost.account is None:
            await self.failed(smarthost, trouble)
            return
        if self.blocked(smarthost) is not None:
            return
        host, username = smarthost.account
        old = self._paused.get((host, username))
        refusals = (old.refusals if old else 0) + 1
        now = self._clock()
        delay = account_delay(refusals)
        until = None if delay is None else now + delay
        mark = await asyncio.to_thread(self._mark, smarthost)
        account = PausedAccount(
            host, username, now, until, refusals, trouble.cause, trouble.reply, mark
        )
        self._paused[(host, username)] = account
        await self._ledger.pause(account)
        for each in self._sharing(smarthost):
            await self._set(each.name, _account_block(account))
        mail_log.paused(
            smarthost.name,
            by="account",
            cause=trouble.cause,
            reply=trouble.reply,
            account=username,
            until=None if until is None else until.isoformat(),
        )
        mail_log.alert("account-paused", trouble.detail, smarthost=smarthost.name)

    async def works(self, smarthost: Smarthost, began: datetime) -> bool:
        """Mail that was begun at `began` passed: nothing is in the way. True if something was.

        What has failed since then stands.
        """
        account = self._paused.get(smarthost.account) if smarthost.account else None
        if account is not None and account.at <= began:
            await self.resume(smarthost)
            return True
        at = self._blocked_at.get(smarthost.name)
        if smarthost.name not in self._blocks or (at is not None and at > began):
            return False
        await self._clear(smarthost.name)
        mail_log.resumed(smarthost.name)
        return True

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
            if account is None:
                continue
            # A key ring may ask another process.
            mark = await asyncio.to_thread(self._mark, smarthost)
            if mark is not None and mark != account.secret_mark:
                await self.resume(smarthost)
                changed = True
        return changed

    async def _set(self, name: str, block: Block) -> None:
        self._blocks[name] = block
        self._blocked_at[name] = self._clock()
        await self._ledger.block(name, block)

    async def _clear(self, name: str) -> None:
        self._blocks.pop(name, None)
        self._blocked_at.pop(name, None)
        await self._ledger.unblock(name)

    def _sharing(self, smarthost: Smarthost) -> list[Smarthost]:
        """The smarthosts that log in as the same account, this one first."""
        others = (each for each in self.config.smarthosts if each.name != smarthost.name)
        shared = smarthost.account is not None
        return [
            smarthost,
            *(each for each in others if shared and each.account == smarthost.account),
        ]

    def _mark(self, smarthost: Smarthost) -> str | None:
        """A keyed digest of the secret, to notice another one; None if it cannot be read."""
        if smarthost.password is None:
            return None
        try:
            secret = smarthost.password.read()
        except SecretError:
            return None
        return hmac.new(self._mark_key, secret.encode(), hashlib.sha256).hexdigest()


def _account_block(account: PausedAccount) -> Block:
    return Block(
        BlockedBy.ACCOUNT,
        account.until,
        account.refusals,
        account.at,
        account.cause,
        account.reply,
    )
