"""A connection under examination: every step bounded in time and in bytes.

`relay.smarthost.connect` wants a connection that is ready for mail; this wants to see what happens
on the way there, with whatever answers.
"""

from __future__ import annotations

import asyncio
import errno
import re
import socket
import ssl
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

from diagnose.addresses import Address
from presets.reply import sanitise

T = TypeVar("T")

Kind = Literal["refused", "timeout", "unreachable", "blocked", "closed", "endless", "plain", "tls"]

MOST_REPLY_BYTES: Final = 65_536
"""What is read of one reply, a hundred times what an honest one takes."""

_MOST_LINES = 100
_READ_BYTES = 16_384
_REPLY_LINE = re.compile(rb"(\d\d\d)([ -]|$)")
_BLOCKED = {errno.EACCES, errno.EPERM}


@dataclass(frozen=True, slots=True)
class Heard:
    """What came over the line. `code` 0: no SMTP reply (RFC 5321 section 4.2). Lines without it."""

    code: int
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """On one line, with its code: a banner as people know it."""
        words = " ".join(self.lines)
        return sanitise(f"{self.code} {words}" if self.code else words, 500)


class Broken(Exception):
    """A step that failed: `kind` for programs, the text from the system or the TLS library.

    `heard` is what had come until then, `source` our own address, `verify_code` OpenSSL's
    X509_V_ERR number where it refused the certificate.
    """

    def __init__(
        self,
        kind: Kind,
        detail: str = "",
        *,
        heard: bytes = b"",
        source: str | None = None,
        verify_code: int | None = None,
    ) -> None:
        super().__init__(sanitise(detail, 300) or kind)
        self.kind = kind
        self.heard = heard
        self.source = source
        self.verify_code = verify_code


class Line:
    """A TCP connection, in clear until `handshake`. All its methods raise Broken.

    `milliseconds` tells how long each step took. `surplus` is what the server had sent too much
    before TLS began, `tls` is None in clear.
    """

    def __init__(self, sock: socket.socket, seconds: float) -> None:
        self._sock = sock
        self._seconds = seconds
        self._buffer = b""
        self.tls: ssl.SSLObject | None = None
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self.milliseconds: dict[str, int] = {}
        self.surplus = b""

    @classmethod
    async def dial(cls, address: Address, port: int, seconds: float) -> Line:
        """A connection to one address. Raises Broken: refused, timeout, unreachable, blocked."""
        family = socket.AF_INET if address.family == 4 else socket.AF_INET6
        began = time.perf_counter()
        try:
            sock = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:
            raise Broken("unreachable", error.strerror or str(error)) from error
        try:
            sock.setblocking(False)
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(seconds):
                await loop.sock_connect(sock, (address.text, port))
        except OSError as error:
            source = _source(sock)
            sock.close()
            raise Broken(_kind(error), error.strerror or "", source=source) from error
        except BaseException:
            sock.close()
            raise
        line = cls(sock, seconds)
        line.milliseconds["connect"] = _since(began)
        return line

    async def reply(self, step: str, within_seconds: float | None = None) -> Heard:
        """The next reply. Something that is no SMTP reply counts as one line of text."""
        lines: list[bytes] = []
        room = MOST_REPLY_BYTES
        began = time.perf_counter()
        end = began + (within_seconds or self._seconds)
        while True:
            raw = await self._line(room, end, lines)
            room -= len(raw) + 1
            found = _REPLY_LINE.match(raw)
            lines.append(raw)
            if found is None or found[2] != b"-":
                break
        self.milliseconds[step] = _since(began)
        return _heard(lines)

    async def command(self, text: str) -> Heard:
        """The reply to a command."""
        data = text.encode("ascii", "replace") + b"\r\n"
        await self._bounded(self._send(data), time.perf_counter() + self._seconds)
        return await self.reply(text.split(" ", 1)[0].lower())

    async def hello(self) -> Heard:
        """EHLO by address literal, which needs no name of our own (RFC 5321 section 4.1.3)."""
        own = _source(self._sock) or "127.0.0.1"
        literal = f"IPv6:{own.partition('%')[0]}" if ":" in own else own
        return await self.command(f"EHLO [{literal}]")

    async def handshake(self, context: ssl.SSLContext, host: str) -> ssl.SSLObject:
        """TLS from here on. Raises Broken: plain (no TLS came back), tls, closed, timeout."""
        self.surplus, self._buffer = self._buffer, b""
        began = time.perf_counter()
        end = began + self._seconds
        tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        heard = b""
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as error:
                kind: Kind = "tls" if _is_tls(heard) else "plain"
                code = getattr(error, "verify_code", None)
                raise Broken(kind, _reason(error), heard=heard, verify_code=code) from error
            await self._bounded(self._flush(), end)
            data = await self._bounded(self._receive_raw(), end)
            if not data:
                raise Broken("closed", heard=heard)
            heard = (heard + data)[:_READ_BYTES]
            self._incoming.write(data)
        await self._bounded(self._flush(), end)
        self.milliseconds["handshake"] = _since(began)
        self.tls = tls
        return tls

    async def quit(self) -> None:
        """Say goodbye without waiting for an answer, and close."""
        try:
            await self._bounded(self._send(b"QUIT\r\n"), time.perf_counter() + self._seconds)
        except Broken:
            pass
        finally:
            self.close()

    def close(self) -> None:
        self._sock.close()

    async def _line(self, room: int, end: float, before: list[bytes]) -> bytes:
        """The next line, of at most `room` bytes, before the moment `end`."""
        try:
            while b"\n" not in self._buffer:
                if len(self._buffer) > room:
                    raise Broken("endless")
                data = await self._bounded(self._receive(), end)
                if not data:
                    raise Broken("closed")
                self._buffer += data
            raw, _, rest = self._buffer.partition(b"\n")
            if len(raw) > room:
                raise Broken("endless")
        except Broken as broken:
            broken.heard = b"\n".join([*before, self._buffer])[:_READ_BYTES]
            raise
        self._buffer = rest
        return raw.removesuffix(b"\r")

    async def _bounded(self, step: Awaitable[T], end: float) -> T:
        """The step, if it is done before the moment `end`."""
        try:
            async with asyncio.timeout(end - time.perf_counter()):
                return await step
        except TimeoutError as error:
            raise Broken("timeout") from error
        except ssl.SSLError as error:
            raise Broken("closed", _reason(error)) from error
        except OSError as error:
            raise Broken("closed", error.strerror or str(error)) from error

    async def _receive(self) -> bytes:
        """Some bytes, deciphered; none at the end."""
        while self.tls is not None:
            try:
                return self.tls.read(_READ_BYTES)
            except ssl.SSLWantReadError:
                data = await self._receive_raw()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""
            if not data:
                return b""
            self._incoming.write(data)
        return await self._receive_raw()

    async def _receive_raw(self) -> bytes:
        return await asyncio.get_running_loop().sock_recv(self._sock, _READ_BYTES)

    async def _send(self, data: bytes) -> None:
        if self.tls is None:
            await asyncio.get_running_loop().sock_sendall(self._sock, data)
            return
        self.tls.write(data)
        await self._flush()

    async def _flush(self) -> None:
        data = self._outgoing.read()
        if data:
            await asyncio.get_running_loop().sock_sendall(self._sock, data)


def _heard(lines: list[bytes]) -> Heard:
    first = _REPLY_LINE.match(lines[0])
    code = int(first[1]) if first else 0
    texts = (line[4:] if code and _REPLY_LINE.match(line) else line for line in lines[:_MOST_LINES])
    return Heard(code, tuple(sanitise(text, 500) for text in texts))


def _kind(error: OSError) -> Kind:
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, ConnectionError):
        return "refused"
    return "blocked" if error.errno in _BLOCKED else "unreachable"


def _source(sock: socket.socket) -> str | None:
    try:
        return str(sock.getsockname()[0])
    except OSError:
        return None


def _since(began: float) -> int:
    return round((time.perf_counter() - began) * 1000)


def _is_tls(heard: bytes) -> bool:
    """RFC 8446 section 5.1: an alert or a handshake record, of some version 3.x."""
    return len(heard) > 1 and heard[0] in (20, 21, 22) and heard[1] == 3


def _reason(error: ssl.SSLError) -> str:
    verify = getattr(error, "verify_message", None)
    return str(verify or (error.reason or str(error)).replace("_", " ").lower())
