"""The relay's own way to a mail server, one step at a time: how long each took, what was said.

The steps are those of `relay.smarthost.connect`, in its order and with its rules, so that what
is examined is what the relay will do. Only the name is resolved here, where `--nameserver`, `-4`
and `-6` say.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Awaitable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from aiosmtplib.errors import SMTPResponseException
from aiosmtplib.response import SMTPResponse

from diagnose.addresses import Address, look_up
from diagnose.finding import Document
from diagnose.runner import Circumstances
from presets.explain import Phase
from presets.reply import Reply
from presets.verdict import Scope
from relay.access.address import is_private, peer_address
from relay.config.model import Smarthost, TlsMode
from relay.smarthost.connect import ConnectFailure, Connection
from relay.smarthost.dial import dial_one
from relay.smarthost.exchange import Exchange
from relay.smarthost.masking import masked
from relay.smarthost.steps import (
    Client,
    StepFailed,
    cut,
    failed,
    greet,
    log_in,
    secure,
    tls_context,
    transport_of,
)

T = TypeVar("T")

_MECHANISMS = {"auth_plain": "PLAIN", "auth_login": "LOGIN", "auth_crammd5": "CRAM-MD5"}


@dataclass(frozen=True, slots=True)
class Step:
    """One step; `reply` is None where the server says nothing, or said nothing in time."""

    name: str
    milliseconds: float
    reply: Reply | None = None
    address: str | None = None

    def document(self) -> Document:
        return {
            "name": self.name,
            "address": self.address,
            "milliseconds": round(self.milliseconds, 1),
            "reply": reply_document(self.reply),
        }


@dataclass(slots=True)
class Dialogue:
    """What happened. Either `connection` is ready for MAIL, or `failure` says why there is none.

    `timed_out`: the server fell silent on the way. `secret` is the password, for masking only.
    """

    steps: list[Step] = field(default_factory=list)
    mechanisms_offered: tuple[str, ...] = ()
    mechanism: str | None = None
    login_reply: Reply | None = None
    connection: Connection | None = None
    failure: ConnectFailure | None = None
    timed_out: bool = False
    secret: str | None = field(default=None, repr=False)

    def reply(self, code: int, message: str) -> Reply:
        """A reply without the password, which some servers repeat."""
        return self.masked(Reply.of(code, message.splitlines()))

    def masked(self, reply: Reply) -> Reply:
        """The reply with every form of the password taken out."""
        return replace(reply, text=self.concealed(reply.text))

    def concealed(self, text: str) -> str:
        """A text without the password."""
        return masked(text, self.secret) if self.secret else text

    async def play(self, name: str, said: Awaitable[Reply], address: str | None = None) -> Reply:
        """Wait for the reply to a command of the mail transaction, and note it as a step."""
        started = time.perf_counter()
        reply = None
        try:
            reply = self.masked(await said)
            return reply
        finally:
            self.note(name, started, reply, address)

    def note(
        self, name: str, started: float, reply: Reply | None = None, address: str | None = None
    ) -> None:
        """Add a step that ends now."""
        self.steps.append(Step(name, (time.perf_counter() - started) * 1000, reply, address))


def reply_document(reply: Reply | None) -> Document | None:
    """A reply as the documents tell it."""
    if reply is None:
        return None
    return {"code": reply.code, "enhanced": reply.enhanced, "text": reply.text}


async def open_dialogue(
    smarthost: Smarthost, hostname: str, circumstances: Circumstances
) -> Dialogue:
    """Resolve, dial, secure and log in, once. `hostname` is our name in EHLO."""
    seconds = circumstances.timeout_seconds
    dialogue = Dialogue()
    client: _Observed | None = None
    address = ""
    try:
        context = tls_context(smarthost)
        found = await _timed(dialogue, "dns", _resolve(smarthost, circumstances))
        sock, address = await _timed(dialogue, "connect", _dial(smarthost, found, seconds))
        client = _observed(dialogue, context, smarthost, sock)
        client.local_hostname, client.timeout = hostname, seconds
        circumstances.talk(f"... {smarthost.host}:{smarthost.port} {address}")
        await greet(client, seconds)
        capabilities = await secure(client, smarthost, context)
        await log_in(client, smarthost)
        transport = transport_of(client)
        dialogue.connection = Connection(Exchange(transport), capabilities, address)
    except StepFailed as error:
        failure = error.failure
        dialogue.failure = replace(
            failure,
            address=address or None,
            reply=failure.reply and dialogue.masked(failure.reply),
            detail=dialogue.concealed(failure.detail),
        )
    finally:
        if client is not None and dialogue.connection is None:
            cut(client)
    return dialogue


class _Observed(Client):
    """aiosmtplib's client, each of its steps noted."""

    def __init__(self, dialogue: Dialogue, context: ssl.SSLContext | None, **settings: Any) -> None:
        super().__init__(tls_context=context, **settings)
        self._dialogue = dialogue
        self._handshakes = _noting_handshakes(context) if context else []

    async def connect(self, **given: Any) -> SMTPResponse:
        started = time.perf_counter()
        try:
            return await self._noted("greeting", super().connect(**given))
        finally:
            if self.use_tls:
                self._part_tls_from_greeting(started)

    async def ehlo(self, *given: Any, **more: Any) -> SMTPResponse:
        response = await self._noted("ehlo", super().ehlo(*given, **more))
        offered = (name.upper() for name in self.server_auth_methods)
        self._dialogue.mechanisms_offered = tuple(dict.fromkeys(offered))
        return response

    async def starttls(self, *given: Any, **more: Any) -> SMTPResponse:
        return await self._noted("tls", super().starttls(*given, **more))

    async def auth_plain(self, *given: Any, **more: Any) -> SMTPResponse:
        return await self._login("auth_plain", super().auth_plain(*given, **more), given[1])

    async def auth_login(self, *given: Any, **more: Any) -> SMTPResponse:
        return await self._login("auth_login", super().auth_login(*given, **more), given[1])

    async def auth_crammd5(self, *given: Any, **more: Any) -> SMTPResponse:
        return await self._login("auth_crammd5", super().auth_crammd5(*given, **more), given[1])

    async def _login(
        self, name: str, running: Awaitable[SMTPResponse], secret: str
    ) -> SMTPResponse:
        self._dialogue.mechanism = _MECHANISMS[name]
        self._dialogue.secret = secret
        try:
            return await self._noted("auth", running)
        finally:
            self._dialogue.login_reply = self._dialogue.steps[-1].reply

    async def _noted(self, name: str, running: Awaitable[SMTPResponse]) -> SMTPResponse:
        started = time.perf_counter()
        reply = None
        try:
            response = await running
            reply = self._dialogue.reply(response.code, response.message)
            return response
        except SMTPResponseException as error:
            reply = self._dialogue.reply(error.code, error.message) if error.code > 0 else None
            raise
        except TimeoutError:
            self._dialogue.timed_out = True
            raise
        finally:
            self._dialogue.note(name, started, reply)

    def _part_tls_from_greeting(self, started: float) -> None:
        """With implicit TLS aiosmtplib's one step is two: the handshake and the greeting."""
        greeting = self._dialogue.steps.pop()
        if not self._handshakes:
            self._dialogue.steps.append(replace(greeting, name="tls"))
            return
        shook = (self._handshakes[0] - started) * 1000
        rest = replace(greeting, milliseconds=greeting.milliseconds - shook)
        self._dialogue.steps += [Step("tls", shook), rest]


def _observed(
    dialogue: Dialogue,
    context: ssl.SSLContext | None,
    smarthost: Smarthost,
    sock: socket.socket,
) -> _Observed:
    try:
        return _Observed(
            dialogue,
            context,
            hostname=smarthost.host,
            sock=sock,
            use_tls=smarthost.tls is TlsMode.IMPLICIT,
            start_tls=False,
        )
    except BaseException:
        sock.close()
        raise


def _noting_handshakes(context: ssl.SSLContext) -> list[float]:
    """The moments at which a handshake of this context ended well, as they come."""
    ended: list[float] = []

    class Noting(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            ended.append(time.perf_counter())

    context.sslobject_class = Noting
    return ended


async def _timed(dialogue: Dialogue, name: str, running: Awaitable[T]) -> T:
    started = time.perf_counter()
    try:
        return await running
    finally:
        dialogue.note(name, started)


async def _resolve(smarthost: Smarthost, circumstances: Circumstances) -> list[Address]:
    """The addresses of the server, in the order to try; without TLS only private ones."""
    found = await look_up(smarthost.host, circumstances)
    if found.problem is not None:
        detail = " ".join(filter(None, (f"{smarthost.host}: {found.problem}", found.detail)))
        raise failed(Phase.CONNECT, "name-not-resolved", detail)
    if smarthost.tls is not TlsMode.NONE:
        return list(found.addresses)
    private = [each for each in found.addresses if is_private(peer_address(each.text))]
    if not private:
        detail = f"{smarthost.host} has a public address; nothing goes there without TLS"
        raise failed(Phase.CONNECT, "public-without-tls", detail, Scope.TLS)
    return private


async def _dial(
    smarthost: Smarthost, addresses: list[Address], seconds: float
) -> tuple[socket.socket, str]:
    """A TCP connection to the first address that answers."""
    problems = []
    for address in addresses:
        family = socket.AF_INET if address.family == 4 else socket.AF_INET6
        target = (address.text, smarthost.port)
        try:
            kind = (family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
            return await dial_one(kind, target, seconds), address.text
        except (OSError, TimeoutError) as error:
            problems.append(f"{address.text}: {str(error) or 'timed out'}")
    where = f"port {smarthost.port} of {smarthost.host}"
    detail = f"{where} does not answer ({'; '.join(problems)})"
    raise failed(Phase.CONNECT, "connection-failed", detail)
