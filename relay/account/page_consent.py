"""Consents that are started from the page: to a listener here, by a device code, or pasted.

One at a time for each account, each within `CONSENT_SECONDS`; nothing of one outlives the process
but the grant that it gave.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from presets.verdict import Scope
from relay.account.consent import PASTE_PORT, Loopback, finish, read_redirect, redirect_uri
from relay.account.flight import in_thread
from relay.account.provider import CodeConsent, Consented, DeviceConsent, Provider, provider_of
from relay.config.model import Issuer, OAuth2, Smarthost
from relay.smarthost.tokens import NoToken
from relay.spool.vault_entry import Grant

log = logging.getLogger(__name__)

CONSENT_SECONDS = 600.0
_LOOK_SECONDS = 0.25  # how often it is seen whether the browser came back

Texts = tuple[str, str]
"""In Dutch and in English."""

Keep = Callable[[Smarthost, Grant], Awaitable[Texts | None]]
"""Stores a grant for the account; why it could not be stored, None where it was."""

STOPPED: Texts = (
    "gestopt; er is niets bewaard of veranderd",
    "stopped; nothing was stored or changed",
)
_BROKE: Texts = (
    "er ging iets mis in de relay; kijk in het logboek",
    "something went wrong in the relay; see its log",
)


class Way(StrEnum):
    """How a consent comes back."""

    LOOPBACK = "loopback"
    """To a listener on this machine, where the browser is; or pasted, where it is not after all."""
    DEVICE = "device"
    PASTE = "paste"
    APP = "app"
    """An app that proves itself: nobody consents."""


def natural_way(oauth2: OAuth2, here: bool) -> Way:
    """The way for an account; `here`: the browser that asks runs on this machine."""
    if not oauth2.interactive:
        return Way.APP
    if oauth2.flow == "device":
        return Way.DEVICE
    if here:
        return Way.LOOPBACK
    # Who has to prove what app it is gets no device code: that is for public clients.
    public = oauth2.client_secret is None and oauth2.certificate is None
    return Way.DEVICE if public and oauth2.issuer is Issuer.MICROSOFT else Way.PASTE


def _future() -> asyncio.Future[dict[str, str]]:
    return asyncio.get_running_loop().create_future()


@dataclass(slots=True, eq=False)
class PageConsent:
    """One consent, under way or ended. `outcome` is None while somebody is awaited."""

    smarthost: Smarthost
    oauth2: OAuth2
    way: Way
    expires_at: datetime
    address: str | None = None
    """Where to consent; of a device code where to type it."""
    user_code: str | None = None
    back: str | None = None
    """How the address begins that the browser ends at, for who has to paste it."""
    outcome: Consented | NoToken | Texts | None = None
    begun: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    _state: str | None = field(default=None, repr=False)
    _pasted: asyncio.Future[dict[str, str]] = field(default_factory=_future, repr=False)

    @property
    def username(self) -> str:
        """Who logs in at the smarthost."""
        return self.smarthost.username or ""

    def paste(self, text: str) -> bool:
        """Take a redirect's address; False where it is not the one of this consent."""
        found = read_redirect(text)
        if self.outcome is not None or self._state is None or found is None:
            return False
        if not hmac.compare_digest(found.get("state", "").encode(), self._state.encode()):
            return False
        if not self._pasted.done():
            self._pasted.set_result(found)
        return True

    def show_code(self, consent: CodeConsent, back: str) -> None:
        """The page may show where to consent."""
        self.address, self.back, self._state = consent.address, back, consent.state
        self.begun.set()

    def show_device(self, consent: DeviceConsent) -> None:
        """The page may show what to type, and where."""
        self.address, self.user_code = consent.address, consent.user_code
        self.expires_at = min(self.expires_at, consent.expires_at)
        self.begun.set()

    async def redirect(self, loopback: Loopback | None) -> dict[str, str]:
        """What the redirect brought, to the listener or pasted."""
        if loopback is None:
            return await self._pasted
        while not self._pasted.done():
            if (came := loopback.wait(0.0)) is not None:
                return came
            await asyncio.wait([self._pasted], timeout=_LOOK_SECONDS)
        return self._pasted.result()


class PageConsents:
    """The consents of a running relay, by account. `wait` takes seconds."""

    def __init__(
        self,
        keep: Keep,
        clock: Callable[[], datetime],
        seconds: float = CONSENT_SECONDS,
        wait: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._keep = keep
        self._clock = clock
        self._seconds = seconds
        self._wait = wait
        self._consents: dict[tuple[str, str], PageConsent] = {}
        self._tasks: dict[PageConsent, asyncio.Task[None]] = {}

    def find(self, account: tuple[str, str]) -> PageConsent | None:
        """The last consent of this account."""
        return self._consents.get(account)

    async def begin(
        self, smarthost: Smarthost, way: Way | None, here: bool, language: str
    ) -> PageConsent:
        """Start one, in the place of an earlier one; on return it can be shown, or it ended.

        `way` None: the natural one, and pasting where the issuer gives no device code. The
        smarthost has an account with OAuth2.
        """
        oauth2 = smarthost.oauth2
        assert oauth2 is not None
        assert smarthost.account is not None
        self.cancel(smarthost.account)
        consent = PageConsent(
            smarthost,
            oauth2,
            way or natural_way(oauth2, here),
            self._clock() + timedelta(seconds=self._seconds),
        )
        self._consents[smarthost.account] = consent
        task = asyncio.create_task(self._run(consent, way is None, language), name="consent")
        self._tasks[consent] = task
        task.add_done_callback(lambda _: self._tasks.pop(consent, None))
        await consent.begun.wait()
        return consent

    def cancel(self, account: tuple[str, str]) -> bool:
        """End the consent of this account; False if none was under way."""
        consent = self._consents.get(account)
        task = self._tasks.get(consent) if consent is not None else None
        if consent is None or task is None:
            return False
        consent.outcome = consent.outcome or STOPPED
        consent.begun.set()
        task.cancel()
        return True

    def stop(self) -> None:
        """End them all; their listeners close as soon as the loop comes to it."""
        for account in list(self._consents):
            self.cancel(account)

    async def _run(self, consent: PageConsent, may_fall_back: bool, language: str) -> None:
        outcome: Consented | NoToken | Texts = STOPPED
        try:
            found = await self._obtain(consent, may_fall_back, language)
            outcome = found
            if isinstance(found, Consented):
                outcome = await self._keep(consent.smarthost, found.grant) or found
        except TimeoutError:
            detail = f"{consent.username}: no answer in time"
            outcome = NoToken(Scope.UNKNOWN, "consent-timeout", detail)
        except Exception:
            log.exception("a consent from the page")
            outcome = _BROKE
        finally:
            consent.outcome = consent.outcome or outcome
            consent.begun.set()

    async def _obtain(
        self, consent: PageConsent, may_fall_back: bool, language: str
    ) -> Consented | NoToken:
        provider = provider_of(consent.oauth2)
        if consent.way is Way.APP:
            return await self._by_app(consent, provider)
        if consent.way is Way.DEVICE:
            found = await self._by_device(consent, provider)
            if consent.begun.is_set() or not may_fall_back or not isinstance(found, NoToken):
                return found
            consent.way = Way.PASTE
        if consent.way is Way.PASTE:
            return await self._by_code(consent, provider, None)
        loopback = Loopback(language).__enter__()
        try:
            return await self._by_code(consent, provider, loopback)
        finally:
            await asyncio.to_thread(loopback.__exit__, None, None, None)

    async def _by_app(self, consent: PageConsent, provider: Provider) -> Consented | NoToken:
        consent.begun.set()
        now = self._clock()
        found = await in_thread(lambda: provider.fetch(consent.oauth2, consent.username, None, now))
        return Consented(found, None) if isinstance(found, Grant) else found

    async def _by_device(self, consent: PageConsent, provider: Provider) -> Consented | NoToken:
        oauth2, now = replace(consent.oauth2, flow="device"), self._clock()
        begun = await in_thread(lambda: provider.begin_device(oauth2, consent.username, now))
        if isinstance(begun, NoToken):
            return begun
        consent.show_device(begun)
        async with asyncio.timeout(self._seconds):
            while True:
                await self._wait(begun.interval_seconds)
                polled = self._clock()
                outcome = await in_thread(lambda at=polled: begun.poll(at))  # type: ignore[misc]
                if outcome is not None:
                    return outcome

    async def _by_code(
        self, consent: PageConsent, provider: Provider, loopback: Loopback | None
    ) -> Consented | NoToken:
        oauth2, username, now = consent.oauth2, consent.username, self._clock()
        back = redirect_uri(oauth2, loopback.port if loopback is not None else PASTE_PORT)
        begun = await in_thread(lambda: provider.begin_code(oauth2, username, back, now))
        if isinstance(begun, NoToken):
            return begun
        if loopback is not None:
            loopback.expect(begun.state)
        consent.show_code(begun, back)
        async with asyncio.timeout(self._seconds):
            answer = await consent.redirect(loopback)
        came = self._clock()
        return await in_thread(lambda: finish(begun, answer, (oauth2, username), came))
