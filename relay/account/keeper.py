"""Access tokens for every login with OAuth2: one refresh for all who wait, and ahead of need.

A provider may give a new refresh token with each answer and let the old one die. So an answer is
durable in the vault before anybody gets the access token that came with it. Of the nodes that
share a vault one asks the issuer at a time, and the others take what it stored.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from presets.verdict import Scope
from relay.account import provider, refusal
from relay.account.flight import in_thread, secret_mark
from relay.config.model import Config, OAuth2, Smarthost
from relay.monitor import mail_log
from relay.smarthost.tokens import NoToken
from relay.spool.alone import ALONE
from relay.spool.errors import SpoolError, VaultError
from relay.spool.protocol import Vault
from relay.spool.sharing import Shares
from relay.spool.vault_entry import Grant

log = logging.getLogger(__name__)

_AHEAD = timedelta(minutes=5)
_AHEAD_SHARE = 5  # of a short lifetime at most this part: 1/5
_UNUSED = timedelta(days=7)  # Microsoft forgets a refresh token unused for 90, Google for 180
_LAST_MOMENT = timedelta(seconds=20)  # a login with a token must end before the token does
_PAUSES_SECONDS = (15, 30, 60)
_MOST_PATIENCE_SECONDS = 900.0
_REFUSED_FOR = timedelta(minutes=15)  # the breaker's first period; it alone knows the later ones
_WAIT_SECONDS = 75.0  # a provider makes two requests of 30 s at most
_LOOK_EVERY_SECONDS = 30.0


@dataclass(slots=True)
class _Account:
    """What is known of one account; `grant` is as the vault has it."""

    grant: Grant | None = None
    unsaved: Grant | None = None  # it came, and the vault would not take it
    dropped: str | None = None  # an access token that must not be given again
    oauth2: OAuth2 | None = None
    closed: NoToken | None = None
    closed_until: datetime | None = None
    closed_mark: object = None  # of the secrets and the consent that failed
    failures: int = 0
    flight: asyncio.Task[str | NoToken] | None = None
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)

    def open(self) -> None:
        """Nothing is known against it any more."""
        self.closed, self.closed_until, self.failures = None, None, 0


class TokenKeeper:
    """The `Tokens` of a running relay. `reload` swaps the configuration."""

    def __init__(
        self,
        config: Config,
        vault: Vault,
        clock: Callable[[], datetime],
        shares: Shares = ALONE,
    ) -> None:
        self._config = config
        self._vault = vault
        self._shares = shares
        self._clock = clock
        self._accounts: dict[tuple[str, str], _Account] = {}
        self._told = ""  # the trouble with the vault that was alarmed last

    def reload(self, config: Config) -> None:
        """Work by `config` from now on; a token of another app or tenant is not given again."""
        self._config = config

    async def access_token(self, smarthost: Smarthost) -> str | NoToken:
        """A token that is good for a login now. Many may wait; the issuer is asked once."""
        if smarthost.account is None or smarthost.oauth2 is None:
            return NoToken(Scope.ACCOUNT, "no-credentials", "no user name for OAuth2")
        account = self._account(smarthost)
        token = self._good(account)
        return token if token is not None else await self._fly(account, smarthost)

    async def refused(self, smarthost: Smarthost, token: str) -> None:
        """The server did not take this token: the next login gets another."""
        account = self._account(smarthost)
        account.dropped = token
        async with account.writing:
            if account.grant is not None and account.grant.access_token == token:
                await self._save(
                    smarthost, account, replace(account.grant, access_token=None, expires_at=None)
                )

    def retry(self, host: str, username: str) -> None:
        """Somebody acted: ask the issuer again at the next login."""
        if (host, username) in self._accounts:
            self._accounts[host, username].open()

    def granted(self, host: str, username: str) -> None:
        """The vault has a new grant for this account: what was known of it no longer counts."""
        if (host, username) in self._accounts:
            account = self._accounts[host, username]
            account.open()
            account.grant = account.unsaved = None

    async def run(
        self,
        paused: Callable[[Smarthost], bool],
        refused: Callable[[Smarthost, NoToken], Awaitable[None]],
    ) -> None:
        """Refresh ahead, whether or not mail is waiting, until cancelled. See `refresh_due`."""
        while True:
            try:
                await self.refresh_due(paused, refused)
            except Exception:
                log.exception("refreshing tokens ahead")
            await asyncio.sleep(_LOOK_EVERY_SECONDS)

    async def refresh_due(
        self,
        paused: Callable[[Smarthost], bool],
        refused: Callable[[Smarthost, NoToken], Awaitable[None]],
    ) -> None:
        """Refresh what ends soon, or was not refreshed for a week.

        Not for an account that is paused. `refused` is told where somebody has to act.
        """
        by_account = {each.account: each for each in self._config.smarthosts if each.oauth2}
        due = [each for each in by_account.values() if not paused(each)]
        # All at once: an issuer that hangs keeps nobody else's.
        found = await asyncio.gather(*map(self._refresh_ahead, due))
        for smarthost, why in zip(due, found, strict=True):
            if isinstance(why, NoToken) and why.scope is Scope.ACCOUNT:
                await refused(smarthost, why)

    async def _refresh_ahead(self, smarthost: Smarthost) -> str | NoToken | None:
        account = self._account(smarthost)
        if account.grant is None and smarthost.account is not None:
            with contextlib.suppress(SpoolError):  # who logs in is told
                account.grant = await self._vault.grant(*smarthost.account)
        if account.grant is None or self._good(account) is not None:
            return None
        return await self._fly(account, smarthost)

    async def stop(self, seconds: float) -> None:
        """Let answers that are under way reach the vault, for at most `seconds`."""
        flights = [each.flight for each in self._accounts.values() if each.flight is not None]
        if flights:
            _, late = await asyncio.wait(flights, timeout=seconds)
            for flight in late:
                flight.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _account(self, smarthost: Smarthost) -> _Account:
        assert smarthost.account is not None
        account = self._accounts.setdefault(smarthost.account, _Account(oauth2=smarthost.oauth2))
        if account.oauth2 != smarthost.oauth2:
            account.oauth2 = smarthost.oauth2
            account.dropped = account.grant.access_token if account.grant else None
            account.open()
        return account

    def _good(self, account: _Account) -> str | None:
        """The token in hand, unless it is time for another."""
        grant = account.grant
        if grant is None or grant.expires_at is None or self._clock() >= _due_at(grant):
            return None
        return grant.access_token if grant.access_token != account.dropped else None

    async def _fly(self, account: _Account, smarthost: Smarthost) -> str | NoToken:
        """Join the flight to the issuer, or start it. It ends whoever stops waiting for it."""
        if account.flight is None:
            account.flight = asyncio.create_task(self._obtain(account, smarthost))
            account.flight.add_done_callback(lambda _: setattr(account, "flight", None))
        flight = account.flight
        done, _ = await asyncio.wait([flight], timeout=_WAIT_SECONDS)
        if done:
            return flight.result()
        late = NoToken(Scope.SERVICE, "token-timeout", "the issuer of tokens does not answer")
        return self._or_the_old_one(account, late)

    async def _obtain(self, account: _Account, smarthost: Smarthost) -> str | NoToken:
        try:
            token = await self._stored(account, smarthost)
            if token is not None:
                return token
            async with self._shares.turn(turn_name(smarthost)):
                # Another node that had the turn has stored what it got.
                token = await self._stored(account, smarthost)
                return token or await self._refresh(account, smarthost)
        except SpoolError as error:
            return self._vault_fails(smarthost, error)

    async def _stored(self, account: _Account, smarthost: Smarthost) -> str | None:
        """The vault's token, if it is good; what it would not take before is kept first."""
        assert smarthost.account is not None
        async with account.writing:
            if account.unsaved is not None:
                await self._vault.keep(*smarthost.account, account.unsaved)
                account.grant, account.unsaved = account.unsaved, None
            else:
                account.grant = await self._vault.grant(*smarthost.account)
        self._told = ""
        return self._good(account)

    async def _refresh(self, account: _Account, smarthost: Smarthost) -> str | NoToken:
        oauth2, username, grant = smarthost.oauth2, smarthost.username, account.grant
        assert oauth2 is not None
        assert username is not None
        mark = (await asyncio.to_thread(secret_mark, oauth2), _consent(grant))
        if self._is_closed(account, mark) and account.closed is not None:
            return self._or_the_old_one(account, account.closed)
        now = self._clock()
        found = await in_thread(
            lambda: provider.provider_of(oauth2).fetch(oauth2, username, grant, now)
        )
        if isinstance(found, NoToken):
            return self._failed(account, smarthost, found, mark)
        account.open()
        async with account.writing:
            return await self._take(account, smarthost, found)

    async def _take(self, account: _Account, smarthost: Smarthost, new: Grant) -> str | NoToken:
        """Make an answer durable, then hand its access token out."""
        assert smarthost.account is not None
        try:
            present = await self._vault.grant(*smarthost.account)
        except SpoolError:
            account.unsaved = new
            raise
        if _consent(present) != _consent(account.grant):
            # Somebody consented while the issuer answered: that grant counts.
            account.grant = present
            return NoToken(Scope.SERVICE, "grant-replaced", "a new grant came meanwhile")
        if not await self._save(smarthost, account, new):
            detail = "the token could not be stored"
            return self._or_the_old_one(account, NoToken(Scope.SERVICE, "token-not-stored", detail))
        token = account.grant.access_token if account.grant is not None else None
        return token or NoToken(Scope.SERVICE, "no-access-token", "the answer held no token")

    async def _save(self, smarthost: Smarthost, account: _Account, grant: Grant) -> bool:
        """Keep a grant; False where the vault fails, and then it is kept in mind."""
        assert smarthost.account is not None
        try:
            await self._vault.keep(*smarthost.account, grant)
        except SpoolError as error:
            account.unsaved = grant
            self._vault_fails(smarthost, error)
            return False
        account.grant = grant
        return True

    def _failed(
        self, account: _Account, smarthost: Smarthost, why: NoToken, mark: object
    ) -> str | NoToken:
        """Remember a failure for a while, so that the next who ask do not ask the issuer."""
        now = self._clock()
        account.closed_mark = mark
        if why.scope is Scope.ACCOUNT:
            why = _with_steps(why, smarthost, self._config.language)
            account.closed, account.closed_until = why, now + _REFUSED_FOR
            return why
        pause = _PAUSES_SECONDS[min(account.failures, len(_PAUSES_SECONDS) - 1)]
        patience = min(max(pause, why.retry_after_seconds or 0.0), _MOST_PATIENCE_SECONDS)
        account.failures += 1
        account.closed, account.closed_until = why, now + timedelta(seconds=patience)
        log.warning("no new token for %s: %s", smarthost.username, why.detail)
        return self._or_the_old_one(account, why)

    def _is_closed(self, account: _Account, mark: object) -> bool:
        if account.closed_until is None or self._clock() >= account.closed_until:
            return False
        return account.closed_mark == mark

    def _or_the_old_one(self, account: _Account, why: NoToken) -> str | NoToken:
        """The token in hand while it lasts, where the trouble passes by itself."""
        grant = account.grant
        if why.scope is Scope.ACCOUNT or grant is None or grant.access_token is None:
            return why
        lasts = grant.expires_at is not None and self._clock() < grant.expires_at - _LAST_MOMENT
        return grant.access_token if lasts and grant.access_token != account.dropped else why

    def _vault_fails(self, smarthost: Smarthost, error: SpoolError) -> NoToken:
        vault_error = isinstance(error, VaultError)
        text = error.text(self._config.language) if isinstance(error, VaultError) else str(error)
        if text != self._told:
            self._told = text
            mail_log.alert("token-vault", text, smarthost=smarthost.name)
        return NoToken(Scope.SERVICE, "token-vault" if vault_error else "spool-failing", text)


def _due_at(grant: Grant) -> datetime:
    """When to refresh: 5 minutes before the end, of a short life its last fifth; weekly anyway."""
    assert grant.expires_at is not None
    ahead = min(_AHEAD, (grant.expires_at - grant.refreshed_at) / _AHEAD_SHARE)
    return min(grant.expires_at - ahead, grant.refreshed_at + _UNUSED)


def _with_steps(why: NoToken, smarthost: Smarthost, language: str) -> NoToken:
    """What the issuer said, what it means and exactly what to do, in the language of the log."""
    assert smarthost.oauth2 is not None
    meaning = refusal.meaning(why.cause, language)
    steps = refusal.steps(why.cause, smarthost.oauth2, smarthost.username or "", language)
    numbered = [f"({number}) {step}" for number, step in enumerate(steps, 1)]
    return replace(why, detail=" ".join(filter(None, [why.detail, meaning, *numbered])))


def turn_name(smarthost: Smarthost) -> str:
    """What a node holds while it asks the issuer about this account."""
    assert smarthost.account is not None
    return " ".join(("token", *smarthost.account))


def _consent(grant: Grant | None) -> tuple[object, object]:
    return (grant.refresh_token, grant.consented_at) if grant is not None else (None, None)
