"""From a smarthost's configuration to a connection that is ready for mail.

aiosmtplib greets, secures and logs in; each step that fails is a value, never a message's fault.
The password goes over verified TLS (loopback aside), by one mechanism, once.
"""

import asyncio
import base64
import re
import socket
import ssl
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any

import aiosmtplib
from aiosmtplib.errors import SMTPException, SMTPResponseException

from presets.explain import judge
from presets.reply import Reply, sanitise
from presets.verdict import Phase, Scope
from relay.access.address import is_private, peer_address
from relay.config.model import AuthMethod, Smarthost, TlsMode
from relay.config.secret import SecretError
from relay.smarthost.capabilities import Capabilities, parse_capabilities
from relay.smarthost.exchange import Exchange


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds for each step; at least those of RFC 5321 section 4.5.3.2 once mail flows."""

    dial: float = 15  # for each address
    greeting: float = 60
    command: float = 60  # EHLO, STARTTLS and the handshake, AUTH
    mail: float = 300
    data: float = 120
    block: float = 180
    dot: float = 600


STANDARD_TIMEOUTS = Timeouts()


@dataclass(frozen=True, slots=True)
class ConnectFailure:
    """Why there is no connection. `cause` is a stable slug, `detail` plain words for the log."""

    phase: Phase
    scope: Scope
    cause: str
    detail: str
    reply: Reply | None = None
    address: str | None = None


@dataclass(slots=True)
class Connection:
    """A server ready for MAIL. `used` counts the transactions it has seen; `dot_sent`: the message
    of the running one has left whole, and its reply has not come."""

    exchange: Exchange
    capabilities: Capabilities
    address: str
    used: int = 0
    dot_sent: bool = False


class _StepFailed(Exception):
    def __init__(self, failure: ConnectFailure) -> None:
        super().__init__(failure.detail)
        self.failure = failure


async def connect(
    smarthost: Smarthost, hostname: str, timeouts: Timeouts = STANDARD_TIMEOUTS
) -> Connection | ConnectFailure:
    """Dial, secure and log in. `hostname` is our name in EHLO."""
    address: str | None = None
    client: aiosmtplib.SMTP | None = None
    try:
        context = _tls_context(smarthost)
        sock, address = await _dial(smarthost, timeouts.dial)
        client = _client(smarthost, hostname, sock, context, timeouts)
        await _greet(client, timeouts)
        capabilities = await _secure(client, smarthost, context)
        await _log_in(client, smarthost)
        return Connection(Exchange(_transport(client)), capabilities, address)
    except _StepFailed as error:
        if client is not None:
            _cut(client)
        return replace(error.failure, address=address)
    except BaseException:
        if client is not None:
            _cut(client)
        raise


async def _dial(smarthost: Smarthost, seconds: float) -> tuple[socket.socket, str]:
    """A TCP connection to the first address that answers."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(seconds):
            found = await loop.getaddrinfo(smarthost.host, smarthost.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError) as error:
        why = str(error) or "timed out"
        raise _failed(Phase.CONNECT, "name-not-resolved", f"{smarthost.host}: {why}") from error
    if smarthost.tls is TlsMode.NONE:
        # The configuration can only check an address that stands in it, not what a name becomes.
        found = [each for each in found if is_private(peer_address(str(each[4][0])))]
        if not found:
            detail = f"{smarthost.host} has a public address; nothing goes there without TLS"
            raise _failed(Phase.CONNECT, "public-without-tls", detail, Scope.TLS)
    problems = []
    for family, kind, protocol, _, target in found:
        try:
            return await _dial_one((family, kind, protocol), target, seconds), str(target[0])
        except (OSError, TimeoutError) as error:
            problems.append(f"{target[0]}: {str(error) or 'timed out'}")
    detail = f"port {smarthost.port} of {smarthost.host} does not answer ({'; '.join(problems)})"
    raise _failed(Phase.CONNECT, "connection-failed", detail)


async def _dial_one(kind: tuple[int, int, int], target: Any, seconds: float) -> socket.socket:
    sock = socket.socket(*kind)
    try:
        sock.setblocking(False)
        async with asyncio.timeout(seconds):
            await asyncio.get_running_loop().sock_connect(sock, target)
    except BaseException:
        sock.close()
        raise
    return sock


def _client(
    smarthost: Smarthost,
    hostname: str,
    sock: socket.socket,
    context: ssl.SSLContext | None,
    timeouts: Timeouts,
) -> aiosmtplib.SMTP:
    try:
        return aiosmtplib.SMTP(
            hostname=smarthost.host,
            port=None,
            sock=sock,
            local_hostname=hostname,
            use_tls=smarthost.tls is TlsMode.IMPLICIT,
            start_tls=False,
            tls_context=context,
            timeout=timeouts.command,
        )
    except BaseException:
        sock.close()
        raise


async def _greet(client: aiosmtplib.SMTP, timeouts: Timeouts) -> None:
    try:
        await client.connect(timeout=timeouts.greeting)
    except (SMTPException, OSError, ValueError) as error:
        phase = Phase.STARTTLS if _is_tls_trouble(error) else Phase.GREETING
        raise _step_failed(phase, error) from error


async def _secure(
    client: aiosmtplib.SMTP, smarthost: Smarthost, context: ssl.SSLContext | None
) -> Capabilities:
    """EHLO, and with STARTTLS the handshake and EHLO again; what the server then offers."""
    lines = await _ehlo(client)
    if smarthost.tls is TlsMode.STARTTLS:
        if not client.supports_extension("starttls"):
            raise _failed(
                Phase.STARTTLS,
                "starttls-not-offered",
                f"{smarthost.host} offers no STARTTLS; nothing is sent in clear",
                Scope.TLS,
            )
        try:
            await client.starttls(server_hostname=smarthost.host, tls_context=context)
        except (SMTPException, OSError, ValueError) as error:
            raise _step_failed(Phase.STARTTLS, error) from error
        lines = await _ehlo(client)
    return parse_capabilities(lines)


async def _ehlo(client: aiosmtplib.SMTP) -> list[str]:
    try:
        response = await client.ehlo()
    except (SMTPException, OSError, ValueError) as error:
        raise _step_failed(Phase.EHLO, error) from error
    if getattr(client.protocol, "_buffer", b""):
        # aiosmtplib would take what is left over for the reply to the next command.
        raise _failed(Phase.EHLO, "out-of-step", "the server sent more than one reply to EHLO")
    return response.message.splitlines()


async def _log_in(client: aiosmtplib.SMTP, smarthost: Smarthost) -> None:
    if smarthost.auth is not AuthMethod.PASSWORD:
        return
    if smarthost.username is None or smarthost.password is None:
        raise _failed(
            Phase.AUTH, "no-credentials", "user name or password is missing", Scope.ACCOUNT
        )
    if smarthost.tls is TlsMode.NONE and not _is_loopback(_transport(client)):
        raise _failed(Phase.AUTH, "login-in-clear", "no password without TLS", Scope.TLS)
    try:
        # A secret may be a file on a slow disk or a key ring that asks another process.
        password = await asyncio.to_thread(smarthost.password.read)
    except SecretError as error:
        raise _failed(Phase.AUTH, "secret-unreadable", str(error), Scope.ACCOUNT) from error
    log_in = _mechanism(client, smarthost)
    try:
        await log_in(smarthost.username, password)
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
    raise _failed(Phase.AUTH, "no-common-mechanism", detail, Scope.SERVICE)


def _login_failed(error: Exception, password: str, provider: str | None) -> _StepFailed:
    """The failure of AUTH, without the password: some servers repeat what they do not know."""
    if not isinstance(error, SMTPResponseException):
        return _step_failed(Phase.AUTH, error)
    secret = password.encode()
    text = error.message
    for form in (password, base64.b64encode(secret).decode()):
        text = text.replace(form, "***")
    # PLAIN has the password behind the user name, so its base64 is none of the password alone.
    text = re.sub(r"\S+", lambda word: "***" if _holds(word[0], secret) else word[0], text)
    return _step_failed(Phase.AUTH, SMTPResponseException(error.code, text), provider)


def _holds(word: str, secret: bytes) -> bool:
    try:
        return secret in base64.b64decode(word.strip("'\"<>[]().,:;"), validate=True)
    except ValueError:
        return False


def _tls_context(smarthost: Smarthost) -> ssl.SSLContext | None:
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
        raise _failed(Phase.STARTTLS, "certificate-file", str(error), Scope.TLS) from error
    return context


def _step_failed(phase: Phase, error: Exception, provider: str | None = None) -> _StepFailed:
    """An exception of aiosmtplib, ssl or the network as a failure of `phase`."""
    if isinstance(error, SMTPResponseException) and error.code > 0:
        reply = Reply.of(error.code, error.message.splitlines())
        verdict = judge(reply, provider=provider, phase=phase)
        refused_login = phase is Phase.AUTH and reply.permanent
        unclear = verdict.scope in (Scope.UNKNOWN, Scope.MESSAGE, Scope.RECIPIENT, Scope.SENDER)
        scope = verdict.scope if not unclear else Scope.SERVICE
        if refused_login and scope is Scope.SERVICE:
            scope = Scope.ACCOUNT
        return _StepFailed(ConnectFailure(phase, scope, verdict.cause, sanitise(str(reply)), reply))
    cause = error.__cause__ if error.__cause__ is not None else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        detail = f"certificate: {cause.verify_message}"
        return _failed(Phase.STARTTLS, "certificate-not-trusted", detail, Scope.TLS)
    # A server that cannot agree on TLS often just hangs up: its alert, if any, is lost on the way.
    if phase is Phase.STARTTLS or _is_tls_trouble(error):
        return _failed(Phase.STARTTLS, "tls-failed", sanitise(str(cause) or str(error)), Scope.TLS)
    detail = sanitise(f"{phase.value}: {error or type(error).__name__}")
    return _failed(phase, "connection-lost", detail)


def _is_tls_trouble(error: Exception) -> bool:
    return isinstance(error, ssl.SSLError) or isinstance(error.__cause__, ssl.SSLError)


def _failed(phase: Phase, cause: str, detail: str, scope: Scope = Scope.CONNECTION) -> _StepFailed:
    return _StepFailed(ConnectFailure(phase, scope, cause, detail))


def _transport(client: aiosmtplib.SMTP) -> Any:
    transport = client.transport
    if transport is None:
        raise _failed(Phase.GREETING, "connection-lost", "the server closed the connection")
    return transport


def _cut(client: aiosmtplib.SMTP) -> None:
    """End the connection without flushing anything that still waits to be sent."""
    transport: Any = client.transport
    if transport is not None:
        transport.abort()
    client.close()


def _is_loopback(transport: Any) -> bool:
    peer = transport.get_extra_info("peername")
    return bool(peer) and peer_address(peer[0]).is_loopback
