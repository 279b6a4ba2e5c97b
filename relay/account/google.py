"""Tokens from Google, through google-auth and google-auth-oauthlib."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import requests

from presets.verdict import Scope
from relay.account.provider import CodeConsent, Consented, DeviceConsent
from relay.account.refusal import judge_refusal
from relay.account.transport import Unanswered, bounded, garbled, no_token
from relay.clock import utc_now
from relay.config.model import OAuth2
from relay.config.secret import SecretError
from relay.smarthost.tokens import NoToken
from relay.spool.vault_entry import Grant

# Asked for beside mail, so that the answer tells who consented.
_WHO = ("openid", "https://www.googleapis.com/auth/userinfo.email")
_GARBLED = (ValueError, KeyError, TypeError, AttributeError)


@dataclass(frozen=True, slots=True)
class _Asking:
    """On whose behalf tokens are asked for."""

    oauth2: OAuth2
    username: str
    timeout_seconds: float

    def session(self, session: requests.Session | None = None) -> requests.Session:
        """A session that keeps to the rules of `relay.account.transport`."""
        given = session if session is not None else requests.Session()
        return bounded(given, self.oauth2.ca_file, self.timeout_seconds)

    def refuse(
        self, error: Mapping[str, Any], consented_at: datetime | None, now: datetime
    ) -> NoToken:
        """What Google's error means."""
        return judge_refusal(self.oauth2, self.username, error, consented_at, now)


class GoogleProvider:
    """A Provider; each request takes at most `timeout_seconds`."""

    def __init__(self, timeout_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds

    def fetch(
        self, oauth2: OAuth2, username: str, grant: Grant | None, now: datetime
    ) -> Grant | NoToken:
        """See Provider."""
        from google.auth.exceptions import GoogleAuthError, RefreshError
        from google.auth.transport.requests import Request

        asking = _Asking(oauth2, username, self._timeout_seconds)
        if oauth2.interactive and (grant is None or grant.refresh_token is None):
            return NoToken(Scope.ACCOUNT, "consent-needed", f"{username}: nobody consented yet")
        kept = grant if oauth2.interactive else None
        try:
            credentials = (
                _service_account(oauth2, username) if kept is None else _user(oauth2, kept)
            )
            credentials.refresh(Request(session=asking.session()))
        except RefreshError as error:
            said = next((each for each in error.args if isinstance(each, dict)), None)
            if said is None:
                return garbled(error)
            return asking.refuse(said, kept.consented_at if kept else None, now)
        except (Unanswered, SecretError) as error:
            return no_token(username, error)
        except (GoogleAuthError, *_GARBLED) as error:
            return garbled(error)
        return _refreshed(credentials, kept, now)

    def begin_code(
        self, oauth2: OAuth2, username: str, redirect_uri: str, now: datetime
    ) -> CodeConsent | NoToken:
        """See Provider."""
        from google_auth_oauthlib.flow import InstalledAppFlow

        asking = _Asking(oauth2, username, self._timeout_seconds)
        try:
            flow = InstalledAppFlow.from_client_config(
                {
                    "installed": {
                        "client_id": oauth2.client_id,
                        "client_secret": _secret(oauth2),
                        "auth_uri": oauth2.authorize_endpoint,
                        "token_uri": oauth2.token_endpoint,
                    }
                },
                scopes=[*oauth2.scopes, *_WHO],
                redirect_uri=redirect_uri,
                autogenerate_code_verifier=True,
            )
            asking.session(flow.oauth2session)
        except (Unanswered, SecretError) as error:
            return no_token(username, error)
        address, state = flow.authorization_url(
            access_type="offline",
            # Without it a second consent gives no refresh token.
            prompt="consent",
            login_hint=username,
            state=secrets.token_urlsafe(24),
        )
        return _GoogleCode(asking, flow, address, state)

    def begin_device(self, oauth2: OAuth2, username: str, now: datetime) -> DeviceConsent | NoToken:
        """See Provider: Google's device flow has no scope for mail."""
        return NoToken(Scope.ACCOUNT, "device-not-offered", f"{username}: no device flow for mail")


class _GoogleCode:
    def __init__(self, asking: _Asking, flow: Any, address: str, state: str) -> None:
        self._asking = asking
        self._flow = flow
        self.address = address
        self.state = state

    def finish(self, answer: Mapping[str, str], now: datetime) -> Consented | NoToken:
        """See CodeConsent."""
        from oauthlib.oauth2.rfc6749.errors import OAuth2Error

        if "error" in answer:
            return self._asking.refuse(answer, None, now)
        try:
            self._flow.fetch_token(code=answer["code"])
        except OAuth2Error as error:
            said = {"error": error.error, "error_description": error.description}
            return self._asking.refuse(said, None, now)
        except Warning:
            # oauthlib's way to say that fewer scopes were granted than asked for.
            detail = f"{self._asking.username}: not every permission was ticked"
            return NoToken(Scope.ACCOUNT, "scope-missing", detail)
        except Unanswered as error:
            return error.trouble
        except _GARBLED as error:
            return garbled(error)
        return self._consented(now)

    def _consented(self, now: datetime) -> Consented | NoToken:
        credentials = self._flow.credentials
        if not credentials.refresh_token:
            detail = f"{self._asking.username}: no refresh token"
            return NoToken(Scope.ACCOUNT, "no-refresh-token", detail)
        grant = _refreshed(credentials, None, now)
        if isinstance(grant, NoToken):
            return grant
        account = _email(credentials.id_token)
        return Consented(replace(grant, consented_at=now), account)


def _user(oauth2: OAuth2, grant: Grant) -> Any:
    from google.oauth2.credentials import Credentials

    kind: Any = Credentials  # untyped
    # Without scopes: a refresh gives what was consented to.
    return kind(
        None,
        refresh_token=grant.refresh_token,
        token_uri=oauth2.token_endpoint,
        client_id=oauth2.client_id,
        client_secret=_secret(oauth2),
    )


def _service_account(oauth2: OAuth2, username: str) -> Any:
    """Raises SecretError, and Unanswered where the key file is none."""
    from google.oauth2.service_account import Credentials

    kind: Any = Credentials  # untyped
    text = _secret(oauth2)
    try:
        info = json.loads(text)
        # The configured endpoint, and as the assertion's audience too (RFC 7523 section 3): a key
        # file that names another place sends no assertion there.
        info = {**info, "token_uri": oauth2.token_endpoint or info["token_uri"]}
        return kind.from_service_account_info(
            info,
            scopes=list(oauth2.scopes),
            subject=oauth2.subject or username,
            additional_claims={"aud": info["token_uri"]},
        )
    except _GARBLED:
        # Without the cause: it may quote the key.
        detail = f"{username}: client_secret is no JSON key file of a service account"
        raise Unanswered(NoToken(Scope.ACCOUNT, "key-file-unusable", detail)) from None


def _refreshed(credentials: Any, old: Grant | None, now: datetime) -> Grant | NoToken:
    """The grant in google-auth's credentials, carrying on what the old one knew."""
    if not isinstance(credentials.token, str) or credentials.expiry is None:
        return garbled(ValueError())
    # It turned expires_in into a time by the machine's clock: back to a span, and on from `now`.
    left = credentials.expiry.replace(tzinfo=UTC) - utc_now()
    if not timedelta() < left < timedelta(days=100):
        return garbled(ValueError())
    granted = getattr(credentials, "granted_scopes", None)
    scopes = granted.split() if isinstance(granted, str) else granted or ()
    return Grant(
        refresh_token=getattr(credentials, "refresh_token", None),
        access_token=credentials.token,
        expires_at=now + left,
        consented_at=old.consented_at if old else None,
        refreshed_at=now,
        scopes=tuple(scopes) or (old.scopes if old else tuple(credentials.scopes or ())),
    )


def _secret(oauth2: OAuth2) -> str:
    if oauth2.client_secret is None:
        raise SecretError("client_secret ontbreekt", "client_secret is missing")
    return oauth2.client_secret.read()


def _email(id_token: str | None) -> str | None:
    """Who consented. Not verified: it came over TLS from the issuer itself (OpenID 3.1.3.7)."""
    import jwt

    try:
        claims = jwt.decode(id_token or "", options={"verify_signature": False})
    except jwt.InvalidTokenError:
        return None
    email = claims.get("email")
    return email if isinstance(email, str) else None
