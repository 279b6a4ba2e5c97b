"""The steps from a TCP connection to a login, on aiosmtplib; each failure is a value in the end.

The password or token goes over verified TLS (loopback aside), by one mechanism, once.
"""

import asyncio
import ssl
from collections.abc import Callable, Collection, Coroutine
from dataclasses import dataclass, replace
from typing import Any

import aiosmtplib
from aiosmtplib.errors import SMTPException, SMTPResponseException
from aiosmtplib.response import SMTPResponse

from presets.explain import judge
from presets.reply import Reply, sanitise
from presets.verdict import Phase, Scope
from relay.access.address import peer_address
from relay.config.model import AuthMethod, Smarthost, TlsMode
from relay.config.secret import SecretError
from relay.smarthost.capabilities import Capabilities, parse_capabilities
from relay.smarthost.masking import masked, masked_token
from relay.smarthost.tokens import NoToken, Tokens
from relay.smarthost.xoauth2 import (
    MECHANISM,
    TokenRefusedError,
    TokenRefusedUnsaidError,
    log_in_with_token,
)


@dataclass(frozen=True, slots=True)
class ConnectFailure:
    """Why there is no connection. `cause` is a stable slug, `detail` plain words for the log."""

    phase: Phase
    scope: Scope
    cause: str
    detail: str
    reply: Reply | None = None
    address: str | None = None


class Client(aiosmtplib.SMTP):
    """aiosmtplib's client, which never parts politely from a server that has fallen silent."""

    def close(self) -> None:
        if isinstance(self.transport, asyncio.WriteTransport):
            self.transport.abort()
        super().close()


class StepFailed(Exception):
    """A step came to nothing; `failure` says why."""

    def __init__(self, failure: ConnectFailure) -> None:
        super().__init__(failure.detail)
        self.failure = failure


async def greet(client: aiosmtplib.SMTP, seconds: float) -> str:
    """The server's greeting, with implicit TLS after the handshake. Raises StepFailed."""
    try:
        greeting = await client.connect(timeout=seconds)
    except (SMTPException, OSError, ValueError) as error:
        phase = Phase.STARTTLS if _is_tls_trouble(error) else Phase.GREETING
        raise step_failed(phase, error) from error
    _require_in_step(client, Phase.GREETING)
    return greeting.message


async def secure(
    client: aiosmtplib.SMTP, smarthost: Smarthost, context: ssl.SSLContext | None
) -> Capabilities:
    """EHLO, and with STARTTLS the handshake and EHLO again; what the server then offers."""
    lines = await _ehlo(client)
    if smarthost.tls is TlsMode.STARTTLS:
        if not client.supports_extension("starttls"):
            raise failed(
                Phase.STARTTLS,
                "starttls-not-offered",
                f"{smarthost.host} offers no STARTTLS; nothing is sent in clear",
                Scope.TLS,
            )
        try:
            await client.starttls(server_hostname=smarthost.host, tls_context=context)
        except (SMTPException, OSError, ValueError) as error:
            raise step_failed(Phase.STARTTLS, error) from error
        lines = await _ehlo(client)
    return parse_capabilities(lines)


async def _ehlo(client: aiosmtplib.SMTP) -> list[str]:
    try:
        response = await client.ehlo()
    except (SMTPException, OSError, ValueError) as error:
        raise step_failed(Phase.EHLO, error) from error
    _require_in_step(client, Phase.EHLO)
    return response.message.splitlines()


def _require_in_step(client: aiosmtplib.SMTP, phase: Phase) -> None:
    """Nothing is left over, which aiosmtplib would take for the reply to the next command."""
    if getattr(client.protocol, "_buffer", b""):
        raise failed(phase, "out-of-step", f"{phase.value}: the server sent more than one reply")


async def log_in(
    client: aiosmtplib.SMTP, smarthost: Smarthost, tokens: Tokens | None = None
) -> Reply | None:
    """Log in where the smarthost wants it, once, by one mechanism; what the server said to it.

    With OAuth2 the token comes from `tokens`; a password never takes its place. Raises StepFailed.
    """
    if smarthost.auth is AuthMethod.NONE:
        return None
    if smarthost.tls is TlsMode.NONE and not _is_loopback(transport_of(client)):
        raise failed(Phase.AUTH, "login-in-clear", "no login without TLS", Scope.TLS)
    if smarthost.auth is AuthMethod.OAUTH2:
        reply = await _log_in_with_token(client, smarthost, tokens)
    else:
        reply = await _log_in_with_password(client, smarthost)
    _require_in_step(client, Phase.AUTH)
    return reply


async def _log_in_with_password(client: aiosmtplib.SMTP, smarthost: Smarthost) -> Reply:
    if smarthost.username is None or smarthost.password is None:
        raise _no_credentials("user name or password is missing")
    try:
        # A secret may be a file on a slow disk or a key ring that asks another process.
        password = await asyncio.to_thread(smarthost.password.read)
    except SecretError as error:
        raise failed(Phase.AUTH, "secret-unreadable", str(error), Scope.ACCOUNT) from error
    mechanism = _required_mechanism(client, smarthost)
    methods: dict[str, Callable[[str, str], Coroutine[Any, Any, SMTPResponse]]] = {
        "PLAIN": client.auth_plain,
        "LOGIN": client.auth_login,
        "CRAM-MD5": client.auth_crammd5,
    }
    try:
        response = await methods[mechanism](smarthost.username, password)
    except (SMTPException, OSError, ValueError) as error:
        raise _login_failed(error, masked, password, smarthost.preset) from None
    return Reply.of(response.code, masked(response.message, password).splitlines())


async def _log_in_with_token(
    client: aiosmtplib.SMTP, smarthost: Smarthost, tokens: Tokens | None
) -> Reply:
    if smarthost.username is None:
        raise _no_credentials("user name is missing")
    _required_mechanism(client, smarthost)
    if tokens is None:
        raise failed(Phase.AUTH, "no-token", "only the running relay has tokens", Scope.UNKNOWN)
    token = await tokens.access_token(smarthost)
    if isinstance(token, NoToken):
        raise failed(Phase.AUTH, token.cause, token.detail, token.scope)
    try:
        return await log_in_with_token(client, smarthost.username, token)
    except (SMTPException, OSError, ValueError) as error:
        failure = _login_failed(error, masked_token, token, smarthost.preset)
        reply = failure.failure.reply
        if failure.failure.scope is Scope.ACCOUNT and (reply is None or reply.permanent):
            await tokens.refused(smarthost, token)
        raise failure from None


def _no_credentials(detail: str) -> StepFailed:
    return failed(Phase.AUTH, "no-credentials", detail, Scope.ACCOUNT)


def choose_mechanism(auth: AuthMethod, offered: Collection[str]) -> str | None:
    """The one mechanism to use of those offered, the simplest first, as TLS hides it."""
    known = {AuthMethod.PASSWORD: ("PLAIN", "LOGIN", "CRAM-MD5"), AuthMethod.OAUTH2: (MECHANISM,)}
    names = {name.upper() for name in offered}
    return next((name for name in known.get(auth, ()) if name in names), None)


def _required_mechanism(client: aiosmtplib.SMTP, smarthost: Smarthost) -> str:
    offered = client.server_auth_methods
    mechanism = choose_mechanism(smarthost.auth, offered)
    if mechanism is None:
        fitting = "a password fits" if smarthost.auth is AuthMethod.PASSWORD else "a token fits"
        names = sanitise(", ".join(offered).upper()) or "no AUTH at all"
        detail = f"{smarthost.host} offers no login that {fitting} ({names})"
        raise failed(Phase.AUTH, "no-common-mechanism", detail, Scope.SERVICE)
    return mechanism


def _login_failed(
    error: Exception, mask: Callable[[str, str], str], secret: str, provider: str | None
) -> StepFailed:
    """The failure of AUTH, without the secret: some servers repeat what they do not know."""
    if isinstance(error, TokenRefusedUnsaidError):
        challenge = mask(error.challenge, secret)
        return failed(Phase.AUTH, "oauth-token-refused", challenge, Scope.ACCOUNT)
    if not isinstance(error, SMTPResponseException):
        return step_failed(Phase.AUTH, error)
    text = mask(error.message, secret)
    judged = step_failed(Phase.AUTH, SMTPResponseException(error.code, text), provider)
    challenge = mask(error.challenge, secret) if isinstance(error, TokenRefusedError) else ""
    if challenge:
        detail = f"{judged.failure.detail} ({challenge})"
        return StepFailed(replace(judged.failure, detail=detail))
    return judged


def tls_context(smarthost: Smarthost) -> ssl.SSLContext | None:
    if smarthost.tls is TlsMode.NONE:
        return None
    try:
        context = ssl.create_default_context(
            cafile=str(smarthost.ca_file) if smarthost.ca_file else None
        )
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if smarthost.client_certificate is not None:
            context.load_cert_chain(smarthost.client_certificate, smarthost.client_key)
    except OSError as error:
        raise failed(Phase.STARTTLS, "certificate-file", str(error), Scope.TLS) from error
    return context


def step_failed(phase: Phase, error: Exception, provider: str | None = None) -> StepFailed:
    """An exception of aiosmtplib, ssl or the network as a failure of `phase`."""
    if isinstance(error, SMTPResponseException) and error.code > 0:
        reply = Reply.of(error.code, error.message.splitlines())
        verdict = judge(reply, provider=provider, phase=phase)
        refused_login = phase is Phase.AUTH and reply.permanent
        unclear = verdict.scope in (Scope.UNKNOWN, Scope.MESSAGE, Scope.RECIPIENT, Scope.SENDER)
        scope = verdict.scope if not unclear else Scope.SERVICE
        if refused_login and scope is Scope.SERVICE:
            scope = Scope.ACCOUNT
        return StepFailed(ConnectFailure(phase, scope, verdict.cause, sanitise(str(reply)), reply))
    cause = error.__cause__ if error.__cause__ is not None else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        detail = f"certificate: {cause.verify_message}"
        return failed(Phase.STARTTLS, "certificate-not-trusted", detail, Scope.TLS)
    # A server that cannot agree on TLS often just hangs up: its alert, if any, is lost on the way.
    if phase is Phase.STARTTLS or _is_tls_trouble(error):
        return failed(Phase.STARTTLS, "tls-failed", sanitise(str(cause) or str(error)), Scope.TLS)
    detail = sanitise(f"{phase.value}: {error or type(error).__name__}")
    return failed(phase, "connection-lost", detail)


def _is_tls_trouble(error: Exception) -> bool:
    return isinstance(error, ssl.SSLError) or isinstance(error.__cause__, ssl.SSLError)


def failed(phase: Phase, cause: str, detail: str, scope: Scope = Scope.CONNECTION) -> StepFailed:
    return StepFailed(ConnectFailure(phase, scope, cause, detail))


def transport_of(client: aiosmtplib.SMTP) -> Any:
    transport = client.transport
    if transport is None:
        raise failed(Phase.GREETING, "connection-lost", "the server closed the connection")
    return transport


def cut(client: aiosmtplib.SMTP) -> None:
    """End the connection without flushing anything that still waits to be sent."""
    transport: Any = client.transport
    if transport is not None:
        transport.abort()
    client.close()


def _is_loopback(transport: Any) -> bool:
    peer = transport.get_extra_info("peername")
    return bool(peer) and peer_address(peer[0]).is_loopback
