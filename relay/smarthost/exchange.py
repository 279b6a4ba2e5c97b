"""Commands out, replies in, each reply paired with its command.

It takes over the transport after aiosmtplib has connected, secured and logged in. Any doubt ends
in `abort`, which sends nothing more: aiosmtplib's `close` would still flush a message that we
have given up, and the server would take it.
"""

import asyncio
from collections import deque
from typing import Any

from presets.reply import Reply
from relay.smarthost.reply_parser import MalformedReply, ReplyParser


class ExchangeLost(Exception):
    """The connection cannot be used any more: closed, silent, or out of step."""


class Exchange(asyncio.Protocol):
    """One connection, one user at a time. Each wait has its own limit in seconds."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._parser = ReplyParser()
        self._replies: deque[Reply] = deque()
        self._outstanding = 0
        self._ahead = 0  # of these for what was sent ahead
        self._lost: str | None = None
        self.silent = False
        """It was cut because a reply did not come in time."""
        self._unasked: list[Reply] = []
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._patience = self._deadline = 0.0
        self._can_write = asyncio.Event()
        self._can_write.set()
        transport.set_protocol(self)

    @property
    def usable(self) -> bool:
        """Open, and every command has its reply but for what was sent ahead."""
        idle = self._outstanding == self._ahead and (self._ahead or not self._parser.pending)
        return self._lost is None and bool(idle) and not self._transport.is_closing()

    @property
    def certificate(self) -> dict[str, Any] | None:
        """The server's certificate as `ssl.SSLSocket.getpeercert` gives it; None without TLS."""
        found: dict[str, Any] | None = self._transport.get_extra_info("peercert")
        return found

    @property
    def parting_reply(self) -> Reply | None:
        """What the server said unasked before it hung up, such as 421."""
        return self._unasked[-1] if self._unasked else None

    @property
    def out_of_step(self) -> bool:
        """The server said more than it was asked, and not to take its leave: no reply of before
        is sure to belong to its command."""
        return self._half_unasked or any(each.code != 421 for each in self._unasked)

    def contradicts(self, reply: Reply) -> bool:
        """Unasked the server said, or is saying, something else than `reply`."""
        others = (each for each in self._unasked if each.code != 421)
        return self._half_unasked or any(each.positive != reply.positive for each in others)

    @property
    def _half_unasked(self) -> bool:
        return self._parser.pending and len(self._replies) == self._outstanding

    @property
    def reply_waits(self) -> bool:
        """A reply has come that nobody has taken yet."""
        return bool(self._replies) or self._lost is not None

    def write(self, data: bytes, replies: int = 0, ahead: int = 0) -> None:
        """Send; the server owes `replies` for it, and then `ahead` for the beginning of what comes
        next. Raises ExchangeLost."""
        if replies and self._half_unasked:
            # What is half here would be taken for the reply to this.
            self.abort("the server sent half a reply that nobody asked for")
        if self._lost is not None:
            raise ExchangeLost(self._lost)
        self._outstanding += replies + ahead
        self._ahead = ahead
        self._transport.write(data)

    async def drain(self, seconds: float) -> None:
        """Wait until the peer has taken most of what was written. Raises ExchangeLost."""
        if self._can_write.is_set() and self._lost is None:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._can_write.wait()
        except TimeoutError:
            self.abort("the server takes no more bytes")
        if self._lost is not None:
            raise ExchangeLost(self._lost)

    async def reply(self, seconds: float) -> Reply:
        """The reply to the oldest command that has none yet. Raises ExchangeLost."""
        if not self._replies:
            await self._wait(seconds)
        self._outstanding -= 1
        return self._replies.popleft()

    async def _wait(self, seconds: float) -> None:
        if self._lost is not None:
            raise ExchangeLost(self._lost)
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        self._patience, self._deadline = seconds, loop.time() + seconds
        # One timer for many waits, as hardly one of them lasts: it looks again where it is early.
        if self._timer is None or self._timer.when() > self._deadline:
            self._cancel_timer()
            self._timer = loop.call_at(self._deadline, self._look_at_the_time, loop)
        try:
            await self._waiter
        finally:
            self._waiter = None
        if not self._replies:
            raise ExchangeLost(self._lost or "closed")

    def _look_at_the_time(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        if self._waiter is None:
            return
        if loop.time() < self._deadline:
            self._timer = loop.call_at(self._deadline, self._look_at_the_time, loop)
        else:
            self.silent = True
            self.abort(f"no reply within {self._patience:g} seconds")

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def take_up(self) -> None:
        """What was sent ahead is the running transaction now."""
        self._ahead = 0

    async def command(self, line: bytes, seconds: float) -> Reply:
        """Send one command line and wait for its reply. Raises ExchangeLost."""
        self.write(line + b"\r\n", replies=1)
        return await self.reply(seconds)

    async def quit(self, seconds: float = 5) -> None:
        """Part politely; what the server says no longer matters.

        Without a word where a transaction was begun: QUIT could be a line of its message.
        """
        if self._ahead:
            self.abort("quit")
            return
        try:
            await self.command(b"QUIT", seconds)
        except ExchangeLost:
            pass
        finally:
            self.abort("quit")

    def abort(self, reason: str) -> None:
        """Cut the connection now: bytes that wait to be sent are dropped."""
        self._fail(reason)
        self._transport.abort()

    # --- asyncio.Protocol ---

    def data_received(self, data: bytes) -> None:
        if self._lost is not None:
            return
        try:
            replies = self._parser.feed(data)
        except MalformedReply as error:
            self.abort(str(error))
            return
        self._replies.extend(replies)
        while len(self._replies) > self._outstanding:
            self._unasked.insert(0, self._replies.pop())
        if self._unasked:
            # A 421 before the server hangs up, or a stream out of step. Either way no later reply
            # can be trusted to belong to its command.
            self.abort("the server sent a reply that nobody asked for")
            return
        if replies:
            self._wake()

    def eof_received(self) -> bool:
        self._fail("the server closed the connection")
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(f"the connection was lost{f': {error}' if error else ''}")

    def pause_writing(self) -> None:
        self._can_write.clear()

    def resume_writing(self) -> None:
        self._can_write.set()

    def _fail(self, reason: str) -> None:
        if self._lost is None:
            self._lost = reason
        self._cancel_timer()
        self._can_write.set()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
