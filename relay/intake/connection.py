"""A client's connection, below the verbs of SMTP: admission, lines, replies, time, TLS.

aiosmtpd gives the transport and the STARTTLS handshake. Its constructor, which looks through
every attribute of every object for each connection, its command loop and its timer are replaced.
"""

import asyncio
import contextlib
import logging
import ssl
from asyncio import sslproto
from typing import Any

from aiosmtpd.smtp import SMTP, TLSSetupException

from relay.config.model import Listener, TlsMode
from relay.delivery.direct import Verdict, Waiting
from relay.intake.context import Intake
from relay.intake.deadline import Deadline
from relay.intake.door import Admission, peer_text
from relay.intake.replies import REPLIES, reply
from relay.intake.trouble import refused_by
from relay.monitor import mail_log

log = logging.getLogger(__name__)

_READ_BYTES = 65_536
_LINE_BYTES = 4096  # RFC 5321 asks for 512, RFC 3461 and 6531 add to it; logins may be longer
_TLS_RECORD = b"\x16"  # the first byte of a TLS handshake, and of no command


class SessionEnded(Exception):
    """The client has left or was shown out; nobody is there to answer."""


class Connection(SMTP):
    """One TCP connection. A subclass has `handle`, which gets each command line.

    Attributes:
        peer: the client's IP address, in the notation of the access rules.
        admission: as whom it was let in; there from the greeting on.
        secure: TLS is active.
        in_data: a message is coming in, or waits for its reply; the end of the relay waits for it.
        left: the client has closed at least its side, and may never read a reply.
    """

    admission: Admission
    _reader: Any  # STARTTLS and pipelining need their private parts
    _writer: Any

    def __init__(
        self, intake: Intake, listener: Listener, tls_context: ssl.SSLContext | None
    ) -> None:
        # Not SMTP.__init__, see above.
        self.loop = asyncio.get_running_loop()
        asyncio.StreamReaderProtocol.__init__(
            self,
            asyncio.StreamReader(limit=_READ_BYTES, loop=self.loop),
            client_connected_cb=self._cb_client_connected,
            loop=self.loop,
        )
        self.transport: Any = None
        self.tls_context = tls_context
        self._tls_protocol: Any = None
        self._original_transport: Any = None
        self.intake = intake
        self.listener = listener
        self.language = intake.config.language
        self._admitted = False
        self.peer = ""
        self.secure = False
        self._refusal: bytes | None = None
        self.in_data = False
        self.left = False
        self._waiting: Waiting | None = None
        self._errors = 0
        self._out: list[bytes] = []
        self._closing = False
        self._first_bytes = True
        self._deadline = Deadline(self.loop, self._too_late)

    # --- The transport's events ---

    def connection_made(self, transport: Any) -> None:
        if self._original_transport is not None:
            self._tls_is_active(transport)
            return
        asyncio.StreamReaderProtocol.connection_made(self, transport)
        self.transport = transport
        peername = transport.get_extra_info("peername")
        self.peer = peer_text(str(peername[0])) if peername else ""
        self._refusal = self._admit()
        if self.listener.tls is TlsMode.IMPLICIT:
            self._begin_handshake(transport)
        else:
            self._serve_or_refuse()

    def _serve_or_refuse(self) -> None:
        if self._refusal is not None:
            self._closing = True
            self.transport.write(self._refusal)
            self.transport.close()
            return
        # The loop keeps only a weak reference to a task.
        self._handler_coroutine = self.loop.create_task(self._serve())

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

    def _admit(self) -> bytes | None:
        if self.intake.stopping:
            return reply("stopping", self.language)
        now = self.intake.clock()
        found = self.intake.door.admit(self.peer, now)
        if isinstance(found, Admission):
            self.admission, self._admitted = found, True
            return None
        refusal = reply(found, self.language, address=self.peer)
        if self.intake.door.is_news(found, now):
            mail_log.refused(self.peer, refusal.decode().strip())
        return refusal

    def _tls_is_active(self, transport: Any) -> None:
        """The handshake is done: forget all that came before it (RFC 3207 section 4.2)."""
        self._reader._transport = transport
        self._reader._buffer.clear()
        self._writer._transport = transport
        self.transport = transport
        self.secure = True
        if self.listener.tls is TlsMode.IMPLICIT:
            self._deadline.met()
            self._serve_or_refuse()

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        if self._first_bytes:
            self._first_bytes = False
            if data.startswith(_TLS_RECORD) and not self.secure:
                self.say("not-smtp")
                self.hang_up()
                return
        asyncio.StreamReaderProtocol.data_received(self, data)

    def eof_received(self) -> bool:
        """A client that closes only its own side still gets the replies to what it sent."""
        self._leave()
        if not self._admitted or self.secure:
            return False
        return bool(asyncio.StreamReaderProtocol.eof_received(self))

    def connection_lost(self, error: Exception | None) -> None:
        # The task is not cancelled: a commit that is under way ends, and is logged.
        self._closing = True
        self._leave()
        self._deadline.cancel()
        if self._original_transport is not None:
            self._original_transport.close()
        # Whatever ended it (a reset, no route, a TLS alert), whoever reads or writes hears this.
        asyncio.StreamReaderProtocol.connection_lost(self, SessionEnded("connection lost"))
        if self._admitted and self.transport is not None:
            self.intake.door.leave(self.admission)
        if self._refusal is not None and self._tls_protocol is not None:
            self.intake.door.dismiss_stranger()
            self._refusal = None
        self.transport = None

    def _leave(self) -> None:
        self.left = True
        if self._waiting is not None:
            self._waiting.stop()

    async def start_tls(self) -> None:
        """220 and the handshake. Raises SessionEnded."""
        self._deadline.wait(self.intake.patience.handshake_seconds)
        with contextlib.suppress(TLSSetupException):
            await self.smtp_STARTTLS(None)
        if not self.secure:
            # After a handshake that failed asyncio tells nobody that the connection is lost.
            self.connection_lost(None)
            raise SessionEnded("the TLS handshake failed")

    # --- Replies ---

    def say(self, slug: str, **details: object) -> None:
        """Queue a reply; it is sent when no further command waits (RFC 2920 section 3.2).

        After 421 nothing more is said. Too many 5yz replies end in one; 4yz is our trouble.
        """
        code = REPLIES[slug].code
        self.say_line(reply(slug, self.language, **details))
        if code == 421:
            self._closing = True
        elif code >= 500:
            self._errors += 1
            if self._errors >= self.intake.patience.errors:
                self.say("too-many-errors")

    def say_line(self, line: bytes) -> None:
        """Queue reply lines that are no entry of the table."""
        if not self._closing:
            self._out.append(line)

    def log_refusal(self, slug: str, **details: object) -> None:
        """A message or a recipient that is not taken is news."""
        text = reply(slug, self.language, **details).decode().strip()
        mail_log.refused(self.peer, text, client=self.admission.client.name)

    def flush(self) -> None:
        """Send the replies that wait."""
        if self._out and self.transport is not None:
            self.transport.write(b"".join(self._out))
        self._out.clear()

    def hang_up(self) -> None:
        """Send what waits and close; a client that does not read it is cut off."""
        self.flush()
        self._closing = True
        if self.transport is None:
            self._deadline.cancel()
        elif not self.transport.is_closing():
            self.transport.close()
            self._deadline.wait(self.intake.patience.closing_seconds)

    def stop(self) -> None:
        """The relay ends, and the connection with it, unless a message is coming in."""
        if self._waiting is not None:
            self._waiting.stop()
        if not self.in_data and not self._closing:
            self.say("stopping")
            self.hang_up()

    async def push(self, status: str | bytes) -> None:
        """aiosmtpd's way to reply: only its STARTTLS uses it, for the 220 before the handshake."""
        self.say("ready-tls")
        self.flush()

    # --- Time ---

    def _command_seconds(self) -> float:
        patience = self.intake.patience
        crowded = self.intake.door.crowded
        return patience.overload_seconds if crowded else patience.command_seconds

    def _too_late(self) -> None:
        if not self._closing:
            self.say("timeout")
            if self.in_data:
                self.log_refusal("timeout")
            self.hang_up()
        elif self.transport is not None:
            self.transport.abort()  # the client does not even read the last reply

    async def pause(self, seconds: float) -> None:
        """Let the client wait."""
        self.flush()
        await asyncio.sleep(seconds)

    async def verdict(self, waiting: Waiting) -> Verdict:
        """The smarthost's on a message, within `direct_wait`; who leaves does not wait for it."""
        self._waiting = waiting
        if self.left or self.intake.stopping:
            waiting.stop()
        try:
            return await waiting.verdict(self.intake.config.delivery.direct_wait.total_seconds())
        finally:
            self._waiting = None

    # --- The command loop ---

    async def _serve(self) -> None:
        self.say(
            "greeting-sandbox" if self.intake.config.sandbox else "greeting",
            hostname=self.intake.config.hostname,
        )
        try:
            while (line := await self.read_line()) is not None:
                await self._obey(line)
                if self.intake.stopping:
                    self.say("stopping")
        except SessionEnded as ended:
            log.debug("connection from %s: %s", self.peer, ended)
        finally:
            self.hang_up()

    async def read_line(self) -> bytes | None:
        """The next line without its line ending, at most `_LINE_BYTES`; None at the end.

        A longer line is answered here, and ends the session when it does not end itself.
        """
        while not self._closing:
            self._deadline.wait(self._command_seconds())
            if b"\n" not in self._reader._buffer:
                self.flush()
            try:
                await self._writer.drain()
                line: bytes = await self._reader.readuntil(b"\n")
            except ConnectionError as error:
                raise SessionEnded(str(error)) from error
            except asyncio.IncompleteReadError:
                return None
            except asyncio.LimitOverrunError:
                self.say("line-too-long")
                self.say("too-many-errors")
                return None
            self._deadline.met()
            if len(line) <= _LINE_BYTES:
                return line.rstrip(b"\r\n")
            self.say("line-too-long")
        return None

    async def _obey(self, line: bytes) -> None:
        try:
            await self.handle(line)
        except SessionEnded:
            raise
        except Exception as error:  # noqa: BLE001 - a client must not end the relay
            self.begin_again()
            refused = refused_by(error)
            self.say(refused.slug, **refused.details)

    async def handle(self, line: bytes) -> None:
        """Obey one command line."""

    def begin_again(self) -> None:
        """Forget the transaction."""

    # --- DATA ---

    async def read_some(self) -> bytes:
        """The next bytes of DATA; raises SessionEnded at the end of the stream."""
        self._deadline.wait(self.intake.patience.data_idle_seconds)
        data: bytes = await self._reader.read(_READ_BYTES)
        if not data:
            raise SessionEnded("the client left during DATA")
        self._deadline.met()
        return data

    def put_back(self, data: bytes) -> None:
        """Bytes after the end of DATA: the next commands."""
        if data:
            self._reader._buffer[:0] = data
