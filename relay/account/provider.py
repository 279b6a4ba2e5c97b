"""Who gives tokens, as the token keeper and `relay account login` see it.

Everything here blocks and belongs in a thread: msal and google-auth are not asynchronous.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, assert_never

from relay.config.model import Issuer, OAuth2
from relay.smarthost.tokens import NoToken
from relay.spool.vault_entry import Grant

TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Consented:
    """What a consent gave. `account` is who consented, None where the issuer does not tell."""

    grant: Grant
    account: str | None


class CodeConsent(Protocol):
    """A consent in a browser under way (RFC 6749 section 4.1, PKCE by RFC 7636)."""

    @property
    def address(self) -> str:
        """Where to consent, to open in a browser."""

    @property
    def state(self) -> str:
        """What the redirect back has to bring along."""

    def finish(self, answer: Mapping[str, str], now: datetime) -> Consented | NoToken:
        """Exchange what the redirect brought, its `state` checked, for tokens."""


class DeviceConsent(Protocol):
    """A device flow under way (RFC 8628)."""

    @property
    def user_code(self) -> str:
        """What to type at `address`."""

    @property
    def address(self) -> str:
        """Where to type it."""

    @property
    def interval_seconds(self) -> int:
        """How long to wait before the next `poll`; grows when the issuer says slow_down."""

    @property
    def expires_at(self) -> datetime:
        """When the code ends."""

    def poll(self, now: datetime) -> Consented | NoToken | None:
        """Ask once whether somebody consented; None: not yet."""


class Provider(Protocol):
    """One issuer. Never raises for what an issuer or a network does: see NoToken."""

    def fetch(
        self, oauth2: OAuth2, username: str, grant: Grant | None, now: datetime
    ) -> Grant | NoToken:
        """A fresh access token, with what to keep: the refresh token may be a new one.

        Flows code and device refresh with the grant's refresh token, and without one answer
        `consent-needed`; the others need no grant.
        """

    def begin_code(
        self, oauth2: OAuth2, username: str, redirect_uri: str, now: datetime
    ) -> CodeConsent | NoToken:
        """Start a consent in a browser that ends at `redirect_uri`."""

    def begin_device(self, oauth2: OAuth2, username: str, now: datetime) -> DeviceConsent | NoToken:
        """Start a device flow; Google has none for mail."""


def provider_of(oauth2: OAuth2, timeout_seconds: float = TIMEOUT_SECONDS) -> Provider:
    """The provider for this configuration; each of its requests takes at most the time given."""
    match oauth2.issuer:
        case Issuer.MICROSOFT:
            from relay.account.microsoft import MicrosoftProvider

            return MicrosoftProvider(timeout_seconds)
        case Issuer.GOOGLE:
            from relay.account.google import GoogleProvider

            return GoogleProvider(timeout_seconds)
    assert_never(oauth2.issuer)
