"""The paused accounts, in memory and in the ledger, and what each logged in with at that time.

An account is (host, username); `entries` are all smarthosts of the configuration that log in as
it: each may have a secret of its own.
"""

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from relay.config.model import Smarthost
from relay.config.secret import SecretError
from relay.spool.ledger_entry import PausedAccount
from relay.spool.protocol import Ledger
from relay.spool.sharing import AccountKey

_MARK_KEY = "secret_mark_key"


class Pauses:
    """Which accounts are paused. Every method that is awaited may raise SpoolError."""

    def __init__(self, ledger: Ledger, clock: Callable[[], datetime]) -> None:
        self._ledger = ledger
        self._clock = clock
        self._paused: dict[AccountKey, PausedAccount] = {}
        self._unmarked: set[AccountKey] = set()  # paused, and the secret is still being read
        self._unwritten: set[AccountKey] = set()  # paused, and the ledger does not know it yet
        self._own_marks: dict[AccountKey, tuple[datetime, str | None]] = {}
        self._mark_key = b""

    async def restore(self) -> None:
        """Take up what the last process left in the ledger."""
        await self.reread()
        key = await self._ledger.setting(_MARK_KEY)
        if key is None:
            key = secrets.token_hex(16)
            await self._ledger.remember(_MARK_KEY, key)
        self._mark_key = bytes.fromhex(key)

    async def reread(self) -> None:
        """The pauses as the ledger has them, after a command may have ended one."""
        known = {(each.host, each.username): each for each in await self._ledger.paused()}
        new = {key: self._paused[key] for key in self._unwritten if key in self._paused}
        self._paused = known | new

    async def mark_new(
        self, before: Mapping[AccountKey, PausedAccount], smarthosts: Iterable[Smarthost]
    ) -> None:
        """Of a pause that another node began: what the account logs in with here, at that moment.

        The mark in the ledger is of the other's secret. Where the files differ, each node would
        take the pause of the other for one of an older secret, and try its own for ever.
        """
        entries = by_login(smarthosts)
        new = {
            key: account
            for key, account in self._paused.items()
            if key in entries and key not in self._unwritten and key not in self._unmarked
            if key not in before or before[key].at != account.at
        }
        self._unmarked |= new.keys()
        for key, account in new.items():
            mark = await self._read_mark(key, entries[key])
            if self._paused.get(key) is account:
                self._own_marks[key] = account.at, mark

    def all(self) -> dict[AccountKey, PausedAccount]:
        """Every pause, as of now."""
        return dict(self._paused)

    def of(self, smarthost: Smarthost) -> PausedAccount | None:
        """The pause of its account, also when a try is due."""
        return self._paused.get(smarthost.account) if smarthost.account else None

    def standing(self, smarthost: Smarthost) -> PausedAccount | None:
        """The pause of its account; None also when its time is over and a try is due."""
        account = self.of(smarthost)
        if account is None or account.until is None:
            return account
        now = self._clock()
        if now < account.at:
            # The clock was set back: its time begins anew, as too early a try may lock the account.
            account = replace(account, at=now, until=now + (account.until - account.at))
            self._paused[account.host, account.username] = account
        return account if account.until is None or now < account.until else None

    async def begin(
        self, account: PausedAccount, entries: Sequence[Smarthost]
    ) -> PausedAccount | None:
        """Pause an account: what the ledger has of it now; None: it was resumed meanwhile.

        Where the ledger fails the pause holds in this process all the same.
        """
        key = account.host, account.username
        # At once: others that are refused meanwhile must see it.
        self._paused[key] = account
        self._unmarked.add(key)
        self._unwritten.add(key)
        mark = await self._read_mark(key, entries)
        if self._paused.get(key) is not account:
            return None
        account = replace(account, secret_mark=mark)
        self._paused[key] = account
        await self._ledger.pause(account)
        self._unwritten.discard(key)
        return account

    async def end(self, key: AccountKey) -> None:
        """Its login may be tried."""
        self._paused.pop(key, None)
        await self._ledger.resume(*key)

    async def has_another_secret(
        self, account: PausedAccount, entries: Sequence[Smarthost]
    ) -> bool:
        """It would log in with something else than when it was paused."""
        key = account.host, account.username
        if key in self._unmarked:
            return False  # no mark yet is not another mark
        # A key ring may ask another process.
        mark = await asyncio.to_thread(self._mark, entries)
        if self._paused.get(key) is not account:
            return False  # paused anew, or resumed, meanwhile
        return mark is not None and mark != self._mark_of(account)

    def _mark_of(self, account: PausedAccount) -> str | None:
        """What it logged in with when it was paused; here, where another node paused it."""
        at, mark = self._own_marks.get((account.host, account.username), (None, None))
        return mark if at == account.at else account.secret_mark

    async def _read_mark(self, key: AccountKey, entries: Sequence[Smarthost]) -> str | None:
        """The mark of a pause that has just begun; until then it is one of `_unmarked`."""
        try:
            return await asyncio.to_thread(self._mark, entries)
        finally:
            self._unmarked.discard(key)

    def _mark(self, entries: Sequence[Smarthost]) -> str | None:
        """A keyed digest of what an account logs in with, to notice a change; None if any of it
        cannot be read."""
        try:
            found = {_proof(each) for each in entries}
        except SecretError:
            return None
        if not any(found):
            return None
        return hmac.new(self._mark_key, repr(sorted(found)).encode(), hashlib.sha256).hexdigest()


def by_login(smarthosts: Iterable[Smarthost]) -> dict[AccountKey, list[Smarthost]]:
    """The entries of each account; those without a login have none."""
    found: dict[AccountKey, list[Smarthost]] = {}
    for each in smarthosts:
        if each.account is not None:
            found.setdefault(each.account, []).append(each)
    return found


def _proof(smarthost: Smarthost) -> tuple[str, ...]:
    """What it logs in with; empty where nothing of it is configured. Raises SecretError."""
    oauth2 = smarthost.oauth2
    if oauth2 is None:
        return (smarthost.password.read(),) if smarthost.password is not None else ()
    references = (oauth2.client_secret, oauth2.certificate)
    secrets_ = [each.read() for each in references if each is not None]
    names = (oauth2.client_id, oauth2.tenant, oauth2.subject)
    return (oauth2.flow, *(each or "" for each in names), *secrets_)
