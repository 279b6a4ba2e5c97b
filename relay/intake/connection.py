"""A client's connection, below the verbs of SMTP: lines, replies, time.

A line is obeyed where it arrives, without a task: most commands need nobody else. What must wait
for the client, the disk or the smarthost is a step, a task of its own; until it has ended no
further line is obeyed.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable, Coroutine
from typing import Any

from relay.config.model import Listener
from relay.delivery.direct import Verdict, Waiting
from relay.intake.context import Intake
from relay.intake.replies import reply
from relay.intake.trouble import refused_by
from relay.intake.wire import SessionEnded, Wire
from relay.monitor import mail_log

log = logging.getLogger(__name__)

_ENDLESS_BYTES = 65_536  # who sends this much without an end of line is shown out
_LINE_BYTES = 4096  # RFC 5321 asks for 512, RFC 3461 and 6531 add to it; logins may be longer

Step = Coroutine[Any, Any, None]


class Connection(Wire):
    """The lines of one client. A subclass has `handle`, which gets each command line.

    Attributes:
        in_data: a message is coming in, or waits for its reply; the end of the relay waits for it.
    """

    def __init__(
        self, intake: Intake, listener: Listener, tls_context: ssl.SSLContext | None
    ) -> None:
        super().__init__(intake, listener, tls_context)
        self.in_data = False
        self._step: asyncio.Task[None] | None = None
        self._take_data: Callable[[], Step] | None = None
        self._waiting: Waiting | None = None
        self._errors = 0
        self._out: list[bytes] = []

    def handle(self, line: bytes) -> None:
        """Obey one command line."""

    def begin_again(self) -> None:
        """Forget the transaction."""

    # --- Replies ---

    def say(self, slug: str, **details: object) -> None:
        """Queue a reply; it is sent when no further command waits (RFC 2920 section 3.2).

        After 421 nothing more is said. Too many 5yz replies end in one; 4yz is our trouble.
        """
        line = reply(slug, self.language, **details)
        self.say_line(line)
        if line.startswith(b"421"):
            self._closing = True
        elif line.startswith(b"5"):
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
        self.intake.door.arrivals.refused(self.admission.client.name, self.intake.clock())

    def flush(self) -> None:
        """Send the replies that wait."""
        if self._out:
            if self.transport is not None:
                self.transport.write(b"".join(self._out))
            self._out.clear()

    def hang_up(self) -> None:
        """Send what waits and close; a client that does not read it is cut off."""
        self.flush()
        self._closing = True
        if self.transport is None:
            self._deadline.cancel()
        elif not self.transport.is_closing():
            if self.secure or self.transport.get_write_buffer_size():
                self._deadline.wait(self.intake.patience.closing_seconds)
            self.transport.close()

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

    def too_late(self) -> None:
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

    def gone(self) -> None:
        if self._waiting is not None:
            self._waiting.stop()
        if self.transport is None:
            self._take_data = None

    # --- Lines ---

    def begin(self) -> None:
        config = self.intake.config
        self.say("greeting-sandbox" if config.sandbox else "greeting", hostname=config.hostname)
        self.flush()
        self._deadline.wait(self._command_seconds())

    def not_smtp(self) -> None:
        self.say("not-smtp")
        self.hang_up()

    def arrived(self) -> None:
        """Obey what has come, as far as nothing must wait; the replies go out together."""
        self._obey_lines()
        if (
            self._step is None
            and self._take_data is not None
            and (self._incoming.waiting or self.left)
        ):
            step, self._take_data = self._take_data(), None
            self.wait_for(step)
        self._read_on()
        if self._closing or (self.left and not self._writing_paused):
            if self._step is None:
                self.hang_up()
        else:
            self.flush()

    def _obey_lines(self) -> None:
        while (
            self._incoming.waiting
            and self._step is None
            and self._take_data is None
            and not self._writing_paused
        ):
            line = self._next_line()
            if line is None:
                return
            try:
                self.handle(line)
            except Exception as error:  # noqa: BLE001 - a client must not end the relay
                self._apologise(error)
            if self._step is None:
                self._obeyed()

    def _apologise(self, error: Exception) -> None:
        self.begin_again()
        refused = refused_by(error)
        self.say(refused.slug, **refused.details)

    def _obeyed(self) -> None:
        """It is the client's turn."""
        if self._take_data is not None:
            self._deadline.wait(self.intake.patience.data_idle_seconds)
            return
        if self.intake.stopping:
            self.say("stopping")
        self._deadline.wait(self._command_seconds())

    def _next_line(self) -> bytes | None:
        """The next line without its line ending, at most `_LINE_BYTES`.

        A longer line is answered here, and ends the session when it does not end itself.
        """
        while not self._closing:
            line = self._incoming.line()
            if line is not None and len(line) <= _LINE_BYTES:
                return line.rstrip(b"\r\n")
            if line is None and self._incoming.waiting <= _ENDLESS_BYTES:
                return None
            self.say("line-too-long")
            if line is None or len(line) > _ENDLESS_BYTES:
                self.say("too-many-errors")
        return None

    # --- Steps ---

    def wait_for(self, step: Step) -> None:
        """Obey no further line until `step` has ended. It may raise SessionEnded."""
        self._deadline.met()
        self._step = self.loop.create_task(self._serve(step))  # the loop's own reference is weak

    def wait_for_data(self, step: Callable[[], Step]) -> None:
        """The same, of a step that begins when what follows comes, or the client ends."""
        self._take_data = step

    async def _serve(self, step: Step) -> None:
        try:
            await step
        except SessionEnded as ended:
            log.debug("connection from %s: %s", self.peer, ended)
            self._closing = True
        except Exception as error:  # noqa: BLE001 - a client must not end the relay
            self._apologise(error)
        finally:
            self._step = None
        self._obeyed()
        self.arrived()

    async def read_line(self) -> bytes | None:
        """The next line, within a step; None at the end. Raises SessionEnded."""
        self._deadline.wait(self._command_seconds())
        while (line := self._next_line()) is None and not (self._closing or self.left):
            self.flush()
            await self.more()
        self._deadline.met()
        return line

    async def read_some(self) -> bytes:
        """The next bytes of DATA; raises SessionEnded at the end of the stream."""
        self._deadline.wait(self.intake.patience.data_idle_seconds)
        while not (self._incoming.waiting or self.left):
            await self.more()
        if self.transport is None or not self._incoming.waiting:
            raise SessionEnded("the client left during DATA")
        self._deadline.met()
        data = self._incoming.take()
        self._read_on()
        return data

    def put_back(self, data: bytes) -> None:
        """Bytes after the end of DATA: the next commands."""
        if data:
            self._incoming.put_back(data)
