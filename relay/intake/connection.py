"""A client's connection, below the verbs of SMTP: admission, lines, replies, time, TLS.

aiosmtpd gives the transport and the STARTTLS handshake. Its constructor, which looks through
every attribute of every object for each connection, its command loop and its timer are replaced.
"""

import asyncio
import logging
import secrets
import ssl
from typing import Any, NamedTuple

from aiosmtpd.smtp import SMTP

from relay.config.model import Listener
from relay.intake.context import Intake
from relay.intake.door import Admission
from relay.intake.replies import REPLIES, reply
from relay.monitor import mail_log
from relay.spool.errors import SpoolBusy, SpoolFull

log = logging.getLogger(__name__)

_READ_BYTES = 65_536
_LINE_BYTES = 4096  # RFC 5321 asks for 512, RFC 3461 and 6531 add to it; logins may be longer
_TLS_RECORD = b"\x16\x03"  # how a TLS handshake begins
_CLOSING = frozenset({421, 221})


class _Streams(NamedTuple):
    reader: Any
    writer: Any


class Connection(SMTP):
    """One TCP connection. A subclass has `handle`, which gets each command line."""

    def __init__(
        self, intake: Intake, listener: Listener, tls_context: ssl.SSLContext | None
    ) -> None:
        # Not SMTP.__init__, see above; what its methods need is set here.
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
        self._tls_handshake_okay = True
        self.intake = intake
        self.listener = listener
        self.language = intake.config.language
        self.admission: Admission | None = None
        self.peer = ""
        self.in_data = False
        self._errors = 0
        self._out: list[bytes] = []
        self._closing = False
        self._first_bytes = True
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None

    # --- The transport's events ---

    def connection_made(self, transport: Any) -> None:
        if self._original_transport is not None:
            self._tls_is_active(transport)
            return
        asyncio.StreamReaderProtocol.connection_made(self, transport)
        self.transport = transport
        peername = transport.get_extra_info("peername")
        self.peer = str(peername[0]) if peername else ""
        refusal = self._admit()
        if refusal is not None:
            self._closing = True
            transport.write(refusal)
            transport.close()
            return
        self._wait_at_most(self._command_seconds())
        # The loop keeps only a weak reference to a task.
        self._handler_coroutine = self.loop.create_task(self._serve())

    def _admit(self) -> bytes | None:
        if self.intake.stopping:
            return reply("stopping", self.language)
        found = self.intake.door.admit(self.peer, self.intake.clock())
        if isinstance(found, Admission):
            self.admission = found
            return None
        address = self.peer.partition("%")[0].removeprefix("::ffff:")
        refusal = reply(found, self.language, address=address)
        if found != "not-listed":  # those are counted, and logged once in a while
            mail_log.refused(address, refusal.decode().strip())
        return refusal

    def _tls_is_active(self, transport: Any) -> None:
        """The handshake is done: forget all that came before it (RFC 3207 section 4.2)."""
        self._streams().reader._transport = transport
        self._streams().reader._buffer.clear()
        self._streams().writer._transport = transport
        self.transport = transport
        self.begin_again()

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        if self._first_bytes:
            self._first_bytes = False
            if data.startswith(_TLS_RECORD) and self._tls_protocol is None:
                self.say("not-smtp")
                self.hang_up()
                return
        asyncio.StreamReaderProtocol.data_received(self, data)

    def eof_received(self) -> bool:
        """A client that closes only its own side still gets the replies to what it sent."""
        if self.admission is None or self._tls_protocol is not None:
            return False
        return bool(asyncio.StreamReaderProtocol.eof_received(self))

    def connection_lost(self, error: Exception | None) -> None:
        # The task is not cancelled: a commit that is under way ends, and is logged.
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
        if self._original_transport is not None:
            self._original_transport.close()
        asyncio.StreamReaderProtocol.connection_lost(self, error)
        if self.admission is not None:
            self.intake.door.leave(self.admission)
        self.transport = None

    # --- Replies ---

    def say(self, slug: str, **details: object) -> None:
        """Queue a reply; it is sent when no further command waits (RFC 2920 section 3.2)."""
        code = REPLIES[slug].code
        if code >= 400 and code not in _CLOSING:
            self._errors += 1
        self.say_line(reply(slug, self.language, **details))
        if code == 421:
            self._closing = True

    def say_line(self, line: bytes) -> None:
        """Queue reply lines that are no entry of the table."""
        self._out.append(line)

    def flush(self) -> None:
        """Send the replies that wait."""
        if self._out and self.transport is not None:
            self.transport.write(b"".join(self._out))
        self._out.clear()

    def hang_up(self) -> None:
        """Send what waits and close."""
        self.flush()
        self._closing = True
        if self.transport is not None:
            self.transport.close()

    async def push(self, status: str | bytes) -> None:
        """aiosmtpd's way to reply: only its STARTTLS uses it, for the 220 before the handshake."""
        self.say("ready-tls")
        self.flush()

    # --- Time ---

    def _command_seconds(self) -> float:
        patience = self.intake.patience
        crowded = self.intake.door.crowded
        return patience.overload_seconds if crowded else patience.command_seconds

    def _wait_at_most(self, seconds: float) -> None:
        """Close with 421 unless this is called again within `seconds`.

        One timer that looks at a deadline costs less than a new timer for each command.
        """
        self._deadline = self.loop.time() + seconds
        if self._timer is None or self._timer.when() > self._deadline:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self.loop.call_at(self._deadline, self._look_at_the_clock)

    def _look_at_the_clock(self) -> None:
        if self.loop.time() < self._deadline:
            self._timer = self.loop.call_at(self._deadline, self._look_at_the_clock)
        elif not self._closing:
            self.say("timeout")
            self.hang_up()

    async def pause(self, seconds: float) -> None:
        """Let the client wait; the time does not count against it."""
        self._wait_at_most(seconds + self._command_seconds())
        self.flush()
        await asyncio.sleep(seconds)

    # --- The command loop ---

    async def _serve(self) -> None:
        self.say(
            "greeting-sandbox" if self.intake.config.sandbox else "greeting",
            hostname=self.intake.config.hostname,
        )
        try:
            while not self._closing:
                line = await self.read_line()
                if line is None:
                    break
                await self._obey(line)
                if self._errors >= self.intake.patience.errors:
                    self.say("too-many-errors")
        except ConnectionError:
            log.debug("connection from %s lost", self.peer)
        finally:
            self.hang_up()

    async def read_line(self) -> bytes | None:
        """The next line without its line ending, at most `_LINE_BYTES`; None at the end.

        A longer line is answered here, and None is given when it does not end at all.
        """
        while True:
            if b"\n" not in self._streams().reader._buffer:
                self.flush()
                await self._writer.drain()
            self._wait_at_most(self._command_seconds())
            try:
                line: bytes = await self._reader.readuntil(b"\n")
            except asyncio.IncompleteReadError:
                return None
            except asyncio.LimitOverrunError:
                self.say("line-too-long")
                self.say("too-many-errors")
                return None
            if len(line) <= _LINE_BYTES:
                return line.rstrip(b"\r\n")
            self.say("line-too-long")

    async def _obey(self, line: bytes) -> None:
        try:
            await self.handle(line)
        except ConnectionError:
            raise
        except Exception as error:  # noqa: BLE001 - a client must not end the relay
            self._report(error)

    def _report(self, error: Exception) -> None:
        """A fault of ours: the client hears 4yz, keeps its message, and nothing leaks."""
        self.begin_again()
        if isinstance(error, SpoolFull):
            mail_log.alert("disk-full", str(error))
            self.say("disk-full")
        elif isinstance(error, SpoolBusy):
            self.say("busy")
        else:
            reference = secrets.token_hex(4)
            log.error("session fault %s", reference, exc_info=error)
            self.say("internal", reference=reference)

    async def handle(self, line: bytes) -> None:
        """Obey one command line."""
        ...

    def begin_again(self) -> None:
        """Forget the transaction."""
        ...

    def _streams(self) -> _Streams:
        """Reader and writer with the private parts that STARTTLS and pipelining need."""
        return _Streams(self._reader, self._writer)

    # --- DATA ---

    async def read_some(self) -> bytes:
        """The next bytes of DATA; raises ConnectionError at the end of the stream."""
        self._wait_at_most(self.intake.patience.data_idle_seconds)
        data = await self._reader.read(_READ_BYTES)
        if not data:
            raise ConnectionResetError("the client left during DATA")
        return data

    def put_back(self, data: bytes) -> None:
        """Bytes after the end of DATA: the next commands."""
        if data:
            self._streams().reader._buffer[:0] = data
