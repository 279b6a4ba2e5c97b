"""Whose a connection is, and whether it may come in.

It is its peer's, but where a trusted load balancer passes on somebody else's: then its header says
so, before TLS and before anything is said.
"""

import asyncio
import ssl
from collections.abc import Callable
from datetime import datetime
from typing import Any

from aiosmtpd.smtp import SMTP

from relay.config.model import Listener, TlsMode
from relay.intake.context import Intake
from relay.intake.door import Admission
from relay.intake.proxy_header import BadHeader, Header, Origin, parse
from relay.intake.replies import Language, reply
from relay.monitor import mail_log

_Judge = Callable[[str, datetime], Admission | str]


class Introduction(SMTP):
    """The beginning of a connection; `Wire` is the rest, and has the attributes."""

    intake: Intake
    listener: Listener
    language: Language
    peer: str
    admission: Admission
    loop: asyncio.AbstractEventLoop
    transport: Any
    tls_context: ssl.SSLContext | None
    _admitted: bool
    _closing: bool
    _refusal: bytes | None
    _tls_protocol: Any
    _header: bytes | None
    _header_timer: asyncio.TimerHandle | None

    def _begin_handshake(self, transport: Any) -> None:
        """Implicit TLS, and then as below."""

    def _begin_or_refuse(self) -> None:
        """Greet, or say why not and close."""

    # --- Admission ---

    def _come_in(self, judge: _Judge) -> None:
        self._refusal = self._admit(judge)
        if self.listener.tls is TlsMode.IMPLICIT:
            self._begin_handshake(self.transport)
        else:
            self._begin_or_refuse()

    def _admit(self, judge: _Judge) -> bytes | None:
        if self.intake.stopping:
            return reply("stopping", self.language)
        now = self.intake.clock()
        found = judge(self.peer, now)
        if isinstance(found, Admission):
            self.admission, self._admitted = found, True
            return None
        return self._refused(found, now)

    def _refused(self, slug: str, now: datetime) -> bytes:
        """The reply to who is not admitted, which may be news."""
        refusal = reply(slug, self.language, address=self.peer)
        if self.intake.door.is_news(slug, now):
            mail_log.refused(self.peer, refusal.decode().strip())
        return refusal

    # --- The header of a balancer ---

    def _await_header(self) -> None:
        """Nothing is said, to the client neither, before it is known who that is."""
        if self.intake.stopping:
            self._come_in(self.intake.door.admit)
        elif not self.intake.door.receive_unknown():
            self._turn_away("overload")
        else:
            self._header = b""
            self._header_timer = self.loop.call_later(
                self.intake.patience.header_seconds, self._turn_away, "no-proxy-header"
            )

    def _turn_away(self, slug: str) -> None:
        """Close before a header was read; with a reply where the client would not expect TLS."""
        self._forget_header()
        if self._closing:
            return
        self._refusal = self._refused(slug, self.intake.clock())
        if self.listener.tls is TlsMode.IMPLICIT:
            self._closing = True
            self.transport.close()
        else:
            self._begin_or_refuse()

    def _hear_header(self, heard: bytes) -> None:
        header = parse(heard)
        if isinstance(header, BadHeader):
            self._turn_away("no-proxy-header")
        elif header is None:
            self._header = heard
        else:
            self._forget_header()
            self._introduce(header)
            if rest := heard[header.size_bytes :]:
                self._hear_first(rest)

    def _introduce(self, header: Header) -> None:
        """Whose connection it is from now on: what the door judges, counts and logs."""
        door, balancer = self.intake.door, self.peer
        if header.source is not None:
            self.peer = str(header.source)
        if header.origin is Origin.UNKNOWN:
            self._come_in(lambda peer, now: "proxy-unknown")
        elif self.peer == balancer:  # in version 1 a health check announces itself
            self._come_in(door.admit_balancer)
        else:
            self._come_in(door.admit)

    def _hear_first(self, data: bytes) -> None:
        """What came in one piece with the header."""
        if self._tls_protocol is None:
            self.data_received(data)
            return
        waiting = memoryview(data)
        while waiting:
            buffer = self._tls_protocol.get_buffer(len(waiting))
            size = min(len(buffer), len(waiting))
            buffer[:size] = waiting[:size]
            self._tls_protocol.buffer_updated(size)
            waiting = waiting[size:]

    def _forget_header(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = self._header = None
            self.intake.door.dismiss_unknown()
