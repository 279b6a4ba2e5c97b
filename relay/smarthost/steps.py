"""The steps from a TCP connection to a login, on aiosmtplib; each failure is a value in the end.

The password goes over verified TLS (loopback aside), by one mechanism, once.
"""

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import aiosmtplib
from aiosmtplib.errors import SMTPException, SMTPResponseException

from presets.explain import judge
from presets.reply import Reply, sanitise
from presets.verdict import Phase, Scope
from relay.access.address import peer_address
from relay.config.model import AuthMethod, Smarthost, TlsMode
from relay.config.secret import SecretError
from relay.smarthost.capabilities import Capabilities, parse_capabilities
from relay.smarthost.masking import masked


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


async def greet(client: aiosmtplib.SMTP, seconds: float) -> None:
    """Take the server's greeting, with implicit TLS after the handshake. Raises StepFailed."""
    try:
        await client.connect(timeout=seconds)
    except (SMTPException, OSError, ValueError) as error:
        phase = Phase.STARTTLS if _is_tls_trouble(error) else Phase.GREETING
        raise step_failed(phase, error) from error


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
    if getattr(client.protocol, "_buffer", b""):
        # aiosmtplib would take what is left over for the reply to the next command.
        raise failed(Phase.EHLO, "out-of-step", "the server sent more than one reply to EHLO")
    return response.message.splitlines()


async def log_in(client: aiosmtplib.SMTP, smarthost: Smarthost) -> None:
    """Log in where the smarthost wants it, once, by one mechanism. Raises StepFailed."""
    if smarthost.auth is not AuthMethod.PASSWORD:
        return
    if smarthost.username is None or smarthost.password is None:
        raise failed(
            Phase.AUTH, "no-credentials", "user name or password is missing", Scope.ACCOUNT
        )
    if smarthost.tls is TlsMode.NONE and not _is_loopback(transport_of(client)):
        raise failed(Phase.AUTH, "login-in-clear", "no password without TLS", Scope.TLS)
    try:
        # A secret may be a file on a slow disk or a key ring that asks another process.
        password = await asyncio.to_thread(smarthost.password.read)
    except SecretError as error:
        raise failed(Phase.AUTH, "secret-unreadable", str(error), Scope.ACCOUNT) from error
    mechanism = _mechanism(client, smarthost)
    try:
        await mechanism(smarthost.username, password)
    except (SMTPException, OSError, ValueError) as error:
        raise _login_failed(error, password, smarthost.preset) from None


def _mechanism(
    client: aiosmtplib.SMTP, smarthost: Smarthost
) -> Callable[[str, str], Coroutine[Any, Any, object]]:
    """The one mechanism to use: what the server offers, the simplest first, as TLS hides it."""
    offered = [method.lower() for method in client.supported_auth_methods]
    known: dict[str, Callable[[str, str], Coroutine[Any, Any, object]]] = {
        "plain": client.auth_plain,
        "login": client.auth_login,
        "cram-md5": client.auth_crammd5,
    }
    for name, mechanism in known.items():
        if name in offered:
            return mechanism
    detail = f"{smarthost.host} offers no login that a password fits ({', '.join(offered)})"
    raise failed(Phase.AUTH, "no-common-mechanism", detail, Scope.SERVICE)


def _login_failed(error: Exception, password: str, provider: str | None) -> StepFailed:
    """The failure of AUTH, without the password: some servers repeat what they do not know."""
    if not isinstance(error, SMTPResponseException):
        return step_failed(Phase.AUTH, error)
    text = masked(error.message, password)
    return step_failed(Phase.AUTH, SMTPResponseException(error.code, text), provider)


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
