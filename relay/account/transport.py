"""The way to an issuer: https alone, no redirects, no proxies, bounded in time and in size.

msal, google-auth and google-auth-oauthlib all speak through a session of requests; its adapter is
where their every request passes.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import logging
import ssl
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

import requests
import requests.adapters
import urllib3.exceptions

from presets.reply import sanitise
from presets.verdict import Scope
from relay.config.secret import SecretError
from relay.smarthost.masking import masked_token
from relay.smarthost.tokens import NoToken

MAX_BODY_BYTES = 262_144  # an answer with three tokens is below 10 kB
_CHUNK_BYTES = 16_384
_PASSING = ("temporarily_unavailable", "server_error", "internal_failure")
_SECRET_FIELDS = (
    *("refresh_token", "client_secret", "client_assertion", "assertion"),
    *("code", "code_verifier", "device_code"),
)
# They log requests and answers whole, tokens and all, where somebody switches debugging on.
_TALKATIVE = ("msal", "requests_oauthlib", "oauthlib")


class Unanswered(Exception):
    """The issuer gave no answer that can be used; `trouble` says it as a value."""

    def __init__(self, trouble: NoToken) -> None:
        super().__init__(trouble.detail)
        self.trouble = trouble


def bounded(
    session: requests.Session, ca_file: Path | None, timeout_seconds: float
) -> requests.Session:
    """The session, made to keep to the rules of this module. Its requests may raise Unanswered.

    `ca_file` replaces the system's authorities. Raises Unanswered: it cannot be used.
    """
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    # Neither $HTTPS_PROXY nor $REQUESTS_CA_BUNDLE, which would even override ca_file, nor .netrc.
    session.trust_env = False
    session.adapters.clear()
    try:
        # The system's authorities, as towards the smarthosts; requests would bring its own.
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise Unanswered(NoToken(Scope.TLS, "token-tls", f"{ca_file}: {_plain(error)}")) from None
    session.mount("https://", _BoundedAdapter(context, timeout_seconds))
    return session


class _BoundedAdapter(requests.adapters.HTTPAdapter):
    def __init__(self, context: ssl.SSLContext, timeout_seconds: float) -> None:
        self._context = context
        self._timeout_seconds = timeout_seconds
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """With our context."""
        super().init_poolmanager(*args, **{**options, "ssl_context": self._context})

    def cert_verify(self, conn: Any, *_args: object, **_options: object) -> None:
        """Always, by our context; no bundle is added."""
        conn.cert_reqs = "CERT_REQUIRED"

    def send(
        self, request: requests.PreparedRequest, *_args: object, **_options: object
    ) -> requests.Response:
        """The answer, a JSON object of bounded size. Raises Unanswered."""
        where = str(request.url).split("?", 1)[0]
        deadline = time.monotonic() + self._timeout_seconds
        try:
            response = super().send(request, stream=True, timeout=self._timeout_seconds)
            try:
                body = _read(response, deadline)
            finally:
                response.raw.close()
        except requests.exceptions.SSLError as error:
            raise Unanswered(NoToken(Scope.TLS, "token-tls", f"{where}: {_plain(error)}")) from None
        except (
            requests.exceptions.RequestException,
            urllib3.exceptions.HTTPError,
            OSError,
        ) as error:
            raise Unanswered(
                NoToken(Scope.CONNECTION, "token-unreachable", f"{where}: {_plain(error)}")
            ) from None
        body = _unrepeated(body, _secrets_of(request))
        _check(response, where, body)
        response.raw = io.BytesIO(body or b"")
        return response


def _read(response: requests.Response, deadline: float) -> bytes | None:
    """The decoded body; None where it is longer than anything an issuer says."""
    body = bytearray()
    while chunk := response.raw.read(_CHUNK_BYTES, decode_content=True):
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            return None
        if time.monotonic() > deadline:
            raise requests.exceptions.ReadTimeout("the answer does not end")
    return bytes(body)


def _secrets_of(request: requests.PreparedRequest) -> list[str]:
    """What a request to an issuer proves itself with: fields of its form, and Basic's password."""
    body = request.body if isinstance(request.body, str | bytes) else ""
    form = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
    found = [value for name, value in parse_qsl(form) if name in _SECRET_FIELDS]
    kind, _, coded = str(request.headers.get("Authorization", "")).partition(" ")
    if kind.lower() == "basic":
        with contextlib.suppress(ValueError):
            pair = base64.b64decode(coded).decode("utf-8", "replace")
            found += [coded, unquote_plus(pair.partition(":")[2])]
    return found


def _unrepeated(body: bytes | None, secrets: list[str]) -> bytes | None:
    """The error of an issuer without what it repeats of the request: it is shown and logged."""
    found = json_object(body)
    if found is None or "error" not in found:
        return body
    for name, value in found.items():
        for secret in secrets:
            if isinstance(value, str):
                value = masked_token(value, secret)
        found[name] = value
    return json.dumps(found).encode()


def _check(response: requests.Response, where: str, body: bytes | None) -> None:
    """Raises Unanswered for what is no answer of an issuer: about the service, not the account."""
    status, found = response.status_code, json_object(body)
    detail = f"{where}: {status}"
    if found and isinstance(found.get("error"), str):
        detail = sanitise(f"{detail} {found['error']}: {found.get('error_description', '')}")[:300]
    # google-auth would ask again at once, three times, for the errors of _PASSING.
    if status in (408, 429) or status >= 500 or (found and found.get("error") in _PASSING):
        cause = "token-throttled" if status == 429 else "token-service-down"
        patience = retry_after_seconds(response.headers)
        raise Unanswered(NoToken(Scope.SERVICE, cause, detail, patience))
    if 300 <= status < 400:
        # A token endpoint redirects nobody; a hotel's Wi-Fi and a filtering proxy do.
        detail = f"{detail}, a redirect; something between here and the issuer answers for it"
        raise Unanswered(NoToken(Scope.CONNECTION, "token-redirected", detail))
    if found is None:
        what = "more than fits an answer" if body is None else "no JSON"
        raise Unanswered(NoToken(Scope.SERVICE, "token-garbled", f"{detail} with {what}"))


def json_object(body: bytes | None) -> dict[str, Any] | None:
    """The JSON object; None for anything else."""
    try:
        found = json.loads(body or b"")
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """RFC 9110 section 10.2.3 in seconds, at most an hour; the form with a date counts as none."""
    text = headers.get("Retry-After", "").strip()
    return min(float(text), 3600.0) if text.isascii() and text.isdigit() else None


def _plain(error: Exception) -> str:
    """The innermost reason: requests wraps urllib3, which wraps ssl or socket."""
    seen: BaseException = error
    for _ in range(8):
        inner = seen.__cause__ or seen.__context__ or getattr(seen, "reason", None)
        arguments = [each for each in seen.args if isinstance(each, BaseException)]
        following = inner if isinstance(inner, BaseException) else next(iter(arguments), None)
        if following is None or following is seen:
            break
        seen = following
    return sanitise(str(seen) or type(seen).__name__)[:200]


def no_token(username: str, error: Unanswered | SecretError) -> NoToken:
    """What keeps `username` from a token."""
    if isinstance(error, Unanswered):
        return error.trouble
    return NoToken(Scope.ACCOUNT, "secret-unreadable", f"{username}: {error.en}")


def garbled(error: Exception) -> NoToken:
    """What came is no answer of an issuer."""
    # Without its text: that may quote the answer, and so a token.
    return NoToken(
        Scope.SERVICE, "token-garbled", f"no answer of an issuer: {type(error).__name__}"
    )
