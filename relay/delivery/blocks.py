"""What stands in the way of whole lanes, in memory and in the ledger.

Trouble of a smarthost makes its lane wait 1, 2, 5, then every 10 minutes. A refused login pauses
the account, (host, username), and with it each lane that uses it: for 15 minutes, then an hour,
then until the secret changes or somebody resumes it.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable
from datetime import datetime

from presets.reply import Reply
from relay.config.model import Config, Smarthost
from relay.config.secret import SecretError
from relay.delivery.schedule import account_delay, smarthost_delay
from relay.monitor import mail_log
from relay.spool.model import Block, BlockedBy, PausedAccount
from relay.spool.protocol import Ledger

_MARK_KEY = "secret_mark_key"


class Blocks:
    """Which lanes wait, why, and until when."""

    def __init__(
        self, ledger: Ledger, clock: Callable[[], datetime], chance: Callable[[], float]
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._chance = chance
        self._blocks: dict[str, Block] = {}
        self._paused: dict[tuple[str, str], PausedAccount] = {}
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

    def blocked(self, smarthost: Smarthost) -> Block | None:
        """What stands in the way now; None also when its time is over and a try is due."""
        block = self._blocks.get(smarthost.name)
        account = self._paused.get(smarthost.account) if smarthost.account else None
        now = self._clock()
        if account is not None and (account.until is None or now < account.until):
            return Block(
                BlockedBy.ACCOUNT, account.until, account.refusals, account.at, account.cause
            )
        if block is not None and block.by is not BlockedBy.ACCOUNT:
            return block if block.until is None or now < block.until else None
        return None

    def blocked_names(self, config: Config) -> frozenset[str]:
        """The smarthosts that wait."""
        return frozenset(each.name for each in config.smarthosts if self.blocked(each))

    def has_failed(self, name: str) -> bool:
        """Its last connection failed, and none has succeeded since."""
        return name in self._blocks

    def until(self, smarthost: Smarthost) -> datetime | None:
        """When a blocked lane may be tried; None if only an event ends its wait."""
        block = self.blocked(smarthost)
        return None if block is None else block.until

    async def failed(
        self, smarthost: Smarthost, by: BlockedBy, cause: str, reply: Reply | None, detail: str
    ) -> None:
        """One more failure in a row of the smarthost: the lane waits longer."""
        now = self._clock()
        old = self._blocks.get(smarthost.name)
        failures = (old.failures if old else 0) + 1
        until = now + smarthost_delay(failures, self._chance())
        block = Block(by, until, failures, old.since if old else now, cause, reply)
        self._blocks[smarthost.name] = block
        await self._ledger.block(smarthost.name, block)
        mail_log.paused(
            smarthost.name, by=by.value, cause=cause, text=detail, until=until.isoformat()
        )

    async def refused(self, smarthost: Smarthost, cause: str, reply: Reply | None) -> None:
        """The provider refused the login: pause the account and call for help."""
        if smarthost.account is None:
            await self.failed(smarthost, BlockedBy.SMARTHOST, cause, reply, "login wanted")
            return
        host, username = smarthost.account
        old = self._paused.get((host, username))
        refusals = (old.refusals if old else 0) + 1
        now = self._clock()
        delay = account_delay(refusals)
        until = None if delay is None else now + delay
        account = PausedAccount(
            host, username, now, until, refusals, cause, reply, self._mark(smarthost)
        )
        self._paused[(host, username)] = account
        await self._ledger.pause(account)
        block = Block(BlockedBy.ACCOUNT, until, refusals, now, cause, reply)
        self._blocks[smarthost.name] = block
        await self._ledger.block(smarthost.name, block)
        mail_log.paused(smarthost.name, by="account", cause=cause, reply=reply, account=username)
        mail_log.alert("account-paused", str(reply or cause), smarthost=smarthost.name)

    async def works(self, smarthost: Smarthost) -> bool:
        """The smarthost let us in: nothing is in the way. True if something was."""
        had_block = self._blocks.pop(smarthost.name, None) is not None
        account = smarthost.account
        had_pause = account is not None and self._paused.pop(account, None) is not None
        if account is not None and had_pause:
            await self._ledger.resume(*account)
        if had_block:
            await self._ledger.unblock(smarthost.name)
        if had_block or had_pause:
            mail_log.resumed(smarthost.name)
        return had_block or had_pause

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
                del self._blocks[name]
                await self._ledger.unblock(name)

    async def forget_changed_secrets(self, config: Config) -> bool:
        """End the pause of accounts whose secret is another now. True if there was one."""
        changed = False
        for smarthost in config.smarthosts:
            account = self._paused.get(smarthost.account) if smarthost.account else None
            if account is None or account.secret_mark is None:
                continue
            mark = self._mark(smarthost)
            if mark is not None and mark != account.secret_mark:
                await self.works(smarthost)
                changed = True
        return changed

    def _mark(self, smarthost: Smarthost) -> str | None:
        """A keyed digest of the secret, to notice another one; None if it cannot be read."""
        if smarthost.password is None:
            return None
        try:
            secret = smarthost.password.read()
        except SecretError:
            return None
        return hmac.new(self._mark_key, secret.encode(), hashlib.sha256).hexdigest()
