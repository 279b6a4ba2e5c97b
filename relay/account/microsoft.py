"""Tokens from Microsoft Entra, through msal."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import requests

from presets.verdict import Scope
from relay.account.provider import CodeConsent, Consented, DeviceConsent
from relay.account.refusal import judge_refusal
from relay.account.transport import Unanswered, bounded, garbled, no_token
from relay.config.model import OAuth2
from relay.config.secret import SecretError
from relay.smarthost.tokens import NoToken
from relay.spool.vault_entry import Grant

# msal adds these by itself, and raises when they are given.
_RESERVED = frozenset({"openid", "profile", "offline_access"})
_PENDING = frozenset({"authorization_pending", "slow_down"})
_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.+?-----END [A-Z ]*PRIVATE KEY-----", re.S)
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.S)
# What msal raises on JSON that is none of an issuer.
_GARBLED = (ValueError, KeyError, TypeError, AttributeError, RuntimeError)

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Asking:
    """On whose behalf tokens are asked for."""

    oauth2: OAuth2
    username: str
    timeout_seconds: float

    @property
    def scopes(self) -> list[str]:
        return [scope for scope in self.oauth2.scopes if scope not in _RESERVED]

    def application(self) -> Any:
        """msal's client, after a look at the authority. Raises Unanswered and SecretError."""
        import msal

        oauth2 = self.oauth2
        session = bounded(requests.Session(), oauth2.ca_file, self.timeout_seconds)
        credential = None if oauth2.flow == "device" else _credential(oauth2)
        kind = msal.PublicClientApplication if credential is None else _confidential()
        try:
            return kind(
                oauth2.client_id,
                client_credential=credential,
                authority=oauth2.authority,
                # The configuration names the authority: nobody else has to vouch for it.
                instance_discovery=False,
                http_client=session,
            )
        except KeyError as error:
            raise Unanswered(garbled(error)) from None
        except ValueError as error:
            # msal says so where the page of the tenant was refused.
            if "authority configuration" not in str(error):
                raise Unanswered(garbled(error)) from None
            detail = f"{self.username}: {oauth2.authority} is not known"
            raise Unanswered(NoToken(Scope.ACCOUNT, "tenant-unknown", detail)) from None

    def judge(self, answer: Answer, consented_at: datetime | None, now: datetime) -> NoToken:
        """What msal's answer without a token means."""
        if not isinstance(answer.get("error"), str):
            return NoToken(Scope.SERVICE, "token-garbled", f"{self.username}: no token, no error")
        return judge_refusal(self.oauth2, self.username, answer, consented_at, now)

    def consented(self, answer: Answer, now: datetime) -> Consented | NoToken:
        """The grant of a fresh consent."""
        grant = self.grant(answer, None, now)
        if isinstance(grant, NoToken):
            return grant
        if grant.refresh_token is None:
            detail = f"{self.username}: no refresh token, scopes {' '.join(grant.scopes)}"
            return NoToken(Scope.ACCOUNT, "no-refresh-token", detail)
        claims = answer.get("id_token_claims") or {}
        account = claims.get("preferred_username") or claims.get("email")
        return Consented(replace(grant, consented_at=now), account)

    def grant(self, answer: Answer, old: Grant | None, now: datetime) -> Grant | NoToken:
        """The grant in msal's answer, carrying on what the old one knew."""
        token, seconds = answer.get("access_token"), answer.get("expires_in")
        if not isinstance(token, str) or not token:
            return self.judge(answer, old.consented_at if old else None, now)
        if not isinstance(seconds, (int, float)) or not 0 < seconds < 10**7:
            return garbled(ValueError(f"expires_in is {seconds!r}"))
        refreshed = answer.get("refresh_token") or (old.refresh_token if old else None)
        return Grant(
            refresh_token=refreshed,
            access_token=token,
            expires_at=now + timedelta(seconds=seconds),
            consented_at=old.consented_at if old else None,
            refreshed_at=now,
            scopes=tuple(str(answer.get("scope") or " ".join(self.scopes)).split()),
        )


class MicrosoftProvider:
    """A Provider; each request takes at most `timeout_seconds`."""

    def __init__(self, timeout_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds

    def fetch(
        self, oauth2: OAuth2, username: str, grant: Grant | None, now: datetime
    ) -> Grant | NoToken:
        """See Provider."""
        asking = self._asking(oauth2, username)
        refresh_token = grant.refresh_token if grant is not None else None
        if oauth2.interactive and refresh_token is None:
            return NoToken(Scope.ACCOUNT, "consent-needed", f"{username}: nobody consented yet")
        try:
            application = asking.application()
            if oauth2.interactive:
                answer = application.acquire_token_by_refresh_token(refresh_token, asking.scopes)
            else:
                answer = application.acquire_token_for_client(asking.scopes)
            return asking.grant(answer, grant if oauth2.interactive else None, now)
        except (Unanswered, SecretError) as error:
            return no_token(username, error)
        except _GARBLED as error:
            return garbled(error)

    def begin_code(
        self, oauth2: OAuth2, username: str, redirect_uri: str, now: datetime
    ) -> CodeConsent | NoToken:
        """See Provider."""
        asking = self._asking(oauth2, username)
        try:
            application = asking.application()
            with warnings.catch_warnings():
                # It prefers form_post, which nobody could paste.
                warnings.simplefilter("ignore")
                flow = application.initiate_auth_code_flow(
                    asking.scopes, redirect_uri=redirect_uri, login_hint=username
                )
            return _MicrosoftCode(asking, application, flow)
        except (Unanswered, SecretError) as error:
            return no_token(username, error)
        except _GARBLED as error:
            return garbled(error)

    def begin_device(self, oauth2: OAuth2, username: str, now: datetime) -> DeviceConsent | NoToken:
        """See Provider."""
        asking = self._asking(replace(oauth2, flow="device"), username)
        try:
            application = asking.application()
            flow = application.initiate_device_flow(asking.scopes)
            if "user_code" not in flow:
                return asking.judge(flow, None, now)
            return _MicrosoftDevice(asking, application, flow, now)
        except (Unanswered, SecretError) as error:
            return no_token(username, error)
        except _GARBLED as error:
            return garbled(error)

    def _asking(self, oauth2: OAuth2, username: str) -> _Asking:
        return _Asking(oauth2, username, self._timeout_seconds)


class _MicrosoftCode:
    def __init__(self, asking: _Asking, application: Any, flow: Answer) -> None:
        self._asking = asking
        self._application = application
        self._flow = flow
        self.address: str = flow["auth_uri"]
        self.state: str = flow["state"]

    def finish(self, answer: Mapping[str, str], now: datetime) -> Consented | NoToken:
        """See CodeConsent."""
        try:
            found = self._application.acquire_token_by_auth_code_flow(self._flow, dict(answer))
            return self._asking.consented(found, now)
        except Unanswered as error:
            return error.trouble
        except _GARBLED as error:
            return garbled(error)


class _MicrosoftDevice:
    def __init__(self, asking: _Asking, application: Any, flow: Answer, now: datetime) -> None:
        self._asking = asking
        self._application = application
        self._flow = flow
        self.user_code: str = flow["user_code"]
        self.address: str = flow["verification_uri"]
        self.expires_at = now + timedelta(seconds=flow["expires_in"])

    @property
    def interval_seconds(self) -> int:
        """See DeviceConsent."""
        return max(1, int(self._flow["interval"]))

    def poll(self, now: datetime) -> Consented | NoToken | None:
        """See DeviceConsent. A try that found no answer counts as not yet (RFC 8628, 3.5)."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about its own clock; ours decides
                answer = self._application.acquire_token_by_device_flow(
                    self._flow, exit_condition=lambda flow: True
                )
        except Unanswered as error:
            if error.trouble.scope is not Scope.TLS and now < self.expires_at:
                self._flow["interval"] = self.interval_seconds + 5
                return None
            return error.trouble
        except _GARBLED as error:
            return garbled(error)
        if answer.get("error") in _PENDING and now < self.expires_at:
            return None
        if answer.get("error") in _PENDING:
            answer = {"error": "expired_token", "error_description": "nobody entered the code"}
        return self._asking.consented(answer, now)


def _confidential() -> Any:
    import msal

    return msal.ConfidentialClientApplication


def _credential(oauth2: OAuth2) -> str | dict[str, str] | None:
    """The app's proof of itself; None for a public client. Raises SecretError and Unanswered."""
    if oauth2.certificate is None:
        return oauth2.client_secret.read() if oauth2.client_secret is not None else None
    pem = oauth2.certificate.read()
    key, certificate = _KEY.search(pem), _CERTIFICATE.search(pem)
    if key is None or certificate is None or "ENCRYPTED" in key[0]:
        detail = f"{oauth2.certificate.kind} = {oauth2.certificate.name}: no key with certificate"
        raise Unanswered(NoToken(Scope.ACCOUNT, "certificate-unusable", detail))
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        load_pem_private_key(key[0].encode(), None)
        x509.load_pem_x509_certificate(certificate[0].encode())
    except (ValueError, TypeError):
        detail = f"{oauth2.certificate.kind} = {oauth2.certificate.name}: damaged"
        raise Unanswered(NoToken(Scope.ACCOUNT, "certificate-unusable", detail)) from None
    return {"private_key": key[0], "public_certificate": certificate[0]}
