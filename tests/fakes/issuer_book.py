"""What the fake issuer knows: its registered apps, and every code and token it ever gave out."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from fakes.issuer_keys import AppCertificate, ServiceAccount, registered_account, registered_app

CODE_SECONDS = 600
DEVICE_SECONDS = 900


@dataclass(slots=True)
class Access:
    """An access token; `username` is the mailbox it opens."""

    username: str
    scopes: tuple[str, ...]
    expires_at: datetime


@dataclass(slots=True)
class Refresh:
    """A refresh token; `refused` is the AADSTS code it is refused with from now on."""

    username: str
    scopes: tuple[str, ...]
    refused: int | None = None


@dataclass(slots=True)
class Code:
    """An authorization code, good for one exchange (RFC 6749 section 4.1.2)."""

    username: str
    scopes: tuple[str, ...]
    redirect_uri: str
    challenge: str | None
    nonce: str | None
    expires_at: datetime

    def proves(self, verifier: str) -> bool:
        """RFC 7636 section 4.6, S256 only."""
        if self.challenge is None:
            return True
        digest = hashlib.sha256(verifier.encode("ascii")).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == self.challenge


@dataclass(slots=True)
class Device:
    """A device flow under way; `username` is set once somebody entered the code."""

    user_code: str
    scopes: tuple[str, ...]
    expires_at: datetime
    username: str | None = None
    declined: bool = False


@dataclass
class Book:
    """The memory of the issuer. One app is registered, with a secret and a certificate.

    `username` is who is signed in, and the mailbox that the app's own tokens open. `rotate`:
    Microsoft's refresh gives a new refresh token. `single_use`: the old one dies with that, which
    Microsoft does not do, and stricter issuers do.
    """

    clock: Callable[[], datetime]
    username: str = "boekhouding@bakkerij.example"
    client_id: str = "7d4c1f0a-52f3-4b7e-9a53-0c1de5b2f001"
    client_secret: str = "Relay~secret.of-the-app"
    lifetime_seconds: int = 3600
    rotate: bool = True
    single_use: bool = False
    certificate: AppCertificate = field(default_factory=registered_app)
    service_account: ServiceAccount = field(default_factory=registered_account)
    access: dict[str, Access] = field(default_factory=dict)
    refresh: dict[str, Refresh] = field(default_factory=dict)
    codes: dict[str, Code] = field(default_factory=dict)
    devices: dict[str, Device] = field(default_factory=dict)

    def give_access(self, username: str, scopes: tuple[str, ...]) -> str:
        """A new access token, good for `lifetime_seconds`."""
        token = f"ya-{secrets.token_urlsafe(24)}"
        self.access[token] = Access(username, scopes, self.after(self.lifetime_seconds))
        return token

    def give_refresh(self, username: str, scopes: tuple[str, ...]) -> str:
        """A new refresh token."""
        token = f"1.AX-{secrets.token_urlsafe(48)}"
        self.refresh[token] = Refresh(username, scopes)
        return token

    def give_code(self, code: Code) -> str:
        """The code to find it back by."""
        text = f"0.{secrets.token_urlsafe(24)}"
        self.codes[text] = code
        return text

    def user_of(self, access_token: str) -> str | None:
        """Whose mailbox it opens; None for an unknown, expired or revoked one."""
        token = self.access.get(access_token)
        return token.username if token is not None and self.clock() < token.expires_at else None

    def after(self, seconds: float) -> datetime:
        """That many seconds from now, by the clock that was given."""
        return self.clock() + timedelta(seconds=seconds)

    def device_of(self, user_code: str) -> Device:
        """The flow that shows this code. Raises KeyError: none does."""
        for device in self.devices.values():
            if device.user_code == user_code:
                return device
        raise KeyError(user_code)


def utc_now() -> datetime:
    """This moment, aware."""
    return datetime.now(UTC)
