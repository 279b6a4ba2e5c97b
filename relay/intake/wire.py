"""A client's connection as bytes: TLS, what comes in, and when it ends.

aiosmtpd gives the STARTTLS handshake. Its constructor, which looks through every attribute of
every object for each connection, its streams, its command loop and its timer are replaced.
"""

import asyncio
import contextlib
import ssl
from asyncio import sslproto
from typing import Any

from aiosmtpd.smtp import TLSSetupException

from relay.config.model import Listener, TlsMode
from relay.intake.context import Intake
from relay.intake.deadline import Deadline
from relay.intake.door import is_within, peer_text
from relay.intake.incoming import Incoming
from relay.intake.introduction import Introduction

_MOST_WAITING_BYTES = 131_072  # then the client has to wait
_TLS_RECORD = b"\x16"  # the first byte of a TLS handshake, and of no command


class SessionEnded(Exception):
    """The client has left or was shown out; nobody is there to answer."""


class Wire(Introduction):
    """One TCP connection. A subclass has `begin`, `arrived`, and what is said too late.

    Attributes:
        peer: the client's IP address, in the notation of the access rules; a balancer's until its
            header has told whose connection it passes on.
        admission: as whom it was let in; there from the greeting on.
        secure: TLS is active.
        left: the client has closed at least its side, and may never read a reply.
    """

    def __init__(
        self, intake: Intake, listener: Listener, tls_context: ssl.SSLContext | None
    ) -> None:
        # Not SMTP.__init__, see above.
        self.loop = asyncio.get_running_loop()
        self.transport: Any = None
        self.tls_context = tls_context
        self._tls_protocol: Any = None
        self._original_transport: Any = None
        self.intake = intake
        self.listener = listener
        self.language = intake.config.language
        self.peer = ""
        self.secure = False
        self.left = False
        self._admitted = False
        self._refusal: bytes | None = None
        self._header: bytes | None = None  # what has come of the one that is awaited
        self._header_timer: asyncio.TimerHandle | None = None
        self._incoming = Incoming()
        self._arrival: asyncio.Future[None] | None = None
        self._first_bytes = True
        self._reading_paused = False
        self._writing_paused = False
        self._closing = False
        self._deadline = Deadline(self.loop, self.too_late)

    # --- What a subclass has ---

    def begin(self) -> None:
        """The client is admitted and, where that is asked at once, TLS is active."""

    def arrived(self) -> None:
        """More may be done: bytes have come, the client has ended, or reads its replies again."""

    def gone(self) -> None:
        """The client has closed at least its side."""

    def too_late(self) -> None:
        """The deadline has passed."""

    # --- Beginning ---

    def connection_made(self, transport: Any) -> None:
        if self._original_transport is not None:
            self._tls_is_active(transport)
            return
        self.transport = transport
        peername = transport.get_extra_info("peername")
        self.peer = peer_text(str(peername[0])) if peername else ""
        if is_within(self.peer, self.listener.proxy_protocol):
            self._await_header()
        else:
            self._come_in(self.intake.door.admit)

    def _begin_or_refuse(self) -> None:
        if self._refusal is None:
            self.begin()
            return
        self._closing = True
        self.transport.write(self._refusal)
        self.transport.close()

    # --- TLS ---

    def _begin_handshake(self, transport: Any) -> None:
        """Implicit TLS. One who will be refused may shake hands too, to be told why: few at once.

        The admitted count from now on, so that silence fills no more places than are allowed.
        """
        if self._refusal is not None and not self.intake.door.receive_stranger():
            self._refusal = None
            self._closing = True
            transport.abort()
            return
        assert self.tls_context is not None
        self._deadline.wait(self.intake.patience.handshake_seconds)
        waiter = self.loop.create_future()
        waiter.add_done_callback(self._end_handshake)
        self._tls_protocol = sslproto.SSLProtocol(
            self.loop, self, self.tls_context, waiter, server_side=True
        )
        self._original_transport = transport
        transport.set_protocol(self._tls_protocol)
        self.transport = self._tls_protocol._app_transport
        self._tls_protocol.connection_made(transport)

    def _end_handshake(self, waiter: "asyncio.Future[None]") -> None:
        waiter.exception()  # seen: a handshake that failed is no news
        if not self.secure:
            self.connection_lost(None)  # asyncio tells nobody

    def _tls_is_active(self, transport: Any) -> None:
        """The handshake is done: forget all that came before it (RFC 3207 section 4.2)."""
        self._incoming.clear()
        self.transport = transport
        self.secure = True
        if self.listener.tls is TlsMode.IMPLICIT:
            self._deadline.met()
            self._begin_or_refuse()

    async def start_tls(self) -> None:
        """220 and the handshake. Raises SessionEnded."""
        self._deadline.wait(self.intake.patience.handshake_seconds)
        with contextlib.suppress(TLSSetupException):
            await self.smtp_STARTTLS(None)
        if not self.secure:
            # After a handshake that failed asyncio tells nobody that the connection is lost.
            self.connection_lost(None)
            raise SessionEnded("the TLS handshake failed")

    # --- What comes in ---

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        if self._header is not None:
            self._hear_header(self._header + data)
            return
        if self._first_bytes:
            self._first_bytes = False
            if data.startswith(_TLS_RECORD) and not self.secure:
                self.not_smtp()
                return
        self._incoming.add(data)
        self._awake()
        if self._incoming.waiting > _MOST_WAITING_BYTES and not self._reading_paused:
            self._reading_paused = True
            self.transport.pause_reading()

    def not_smtp(self) -> None:
        """The first bytes were TLS, where none was expected."""

    def _awake(self) -> None:
        if self._arrival is None:
            self.arrived()
        elif not self._arrival.done():
            self._arrival.set_result(None)

    async def more(self) -> None:
        """Waits until more has come, or the client has ended. Raises SessionEnded."""
        self._read_on()
        if self.transport is None:
            raise SessionEnded("connection lost")
        self._arrival = self.loop.create_future()
        try:
            await self._arrival
        finally:
            self._arrival = None

    def _read_on(self) -> None:
        if self._reading_paused and self._incoming.waiting <= _MOST_WAITING_BYTES:
            self._reading_paused = False
            if self.transport is not None:
                self.transport.resume_reading()

    def pause_writing(self) -> None:
        """The client does not read its replies: nothing more is obeyed until it does."""
        self._writing_paused = True

    def resume_writing(self) -> None:
        self._writing_paused = False
        if self._arrival is None:
            self.arrived()

    # --- The end ---

    def eof_received(self) -> bool:
        """A client that closes only its own side still gets the replies to what it sent."""
        self._leave()
        if not self._admitted or self.secure:
            return False
        self._awake()
        return True

    def connection_lost(self, error: Exception | None) -> None:
        # What is under way is not cancelled: a commit ends, and is logged.
        self._closing = True
        self._deadline.cancel()
        self._forget_header()
        if self._original_transport is not None:
            self._original_transport.close()
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_exception(SessionEnded("connection lost"))
        if self._admitted and self.transport is not None:
            self.intake.door.leave(self.admission)
        if self._refusal is not None and self._tls_protocol is not None:
            self.intake.door.dismiss_stranger()
            self._refusal = None
        self.transport = None
        self._leave()

    def _leave(self) -> None:
        self.left = True
        self.gone()
