"""A process that writes: for the service, whose loop has a processor to itself then.

Sending work to it costs a tenth of what commits cost, and it never holds the loop's interpreter.
"""

import asyncio
import contextlib
import logging
import socket
import subprocess
import sys
from collections import deque
from pathlib import Path
from typing import Any, TypeVar

import relay
from relay.spool.errors import SpoolError, SpoolFailing, SpoolGone
from relay.spool.sqlite.frames import Frames, Order, Report, to_frame
from relay.spool.sqlite.writer import Deed, insist_on_room

T = TypeVar("T")

_START_SECONDS = 60
_READ_BYTES = 1 << 20
_BUFFER_BYTES = 1 << 20  # of the socket, as far as the system grants it

_CODE = """
import pathlib, sys
sys.path.insert(0, sys.argv[3])
from relay.spool.sqlite.writer_child import main
main(int(sys.argv[1]), pathlib.Path(sys.argv[2]))
"""

log = logging.getLogger(__name__)


class ProcessWriter:
    """See `relay.spool.sqlite.writer.Writer`; all its callers are in one loop.

    If the process dies, what was ordered has an unknown end, and nothing can be written until the
    relay starts anew.
    """

    def __init__(self, path: Path, lock: int) -> None:
        """Starts the process, which keeps the descriptor `lock` open. Raises SpoolError, OSError."""
        self.trouble: SpoolError | None = None
        self._frames = Frames()
        self._new: list[Order] = []
        self._asked: deque[asyncio.Future[Any]] = deque()
        self._outgoing: deque[memoryview] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._gone = asyncio.Event()
        self._closed = False
        self._sock, theirs = socket.socketpair()
        with theirs:
            for each in (self._sock, theirs):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
            self._process = _start(theirs.fileno(), lock, path)
        self._await_start(path)

    async def run(self, deed: Deed[T], *values: object, begins: bool = False) -> T:
        if self._closed:
            raise SpoolError("the spool is closed")
        insist_on_room(self.trouble, len(self._asked), begins=begins)
        loop = self._loop or self._attach()
        future: asyncio.Future[T] = loop.create_future()
        if not self._new:
            loop.call_soon(self._flush)  # with what else this step of the loop asks for
        self._new.append((deed, values, begins))
        self._asked.append(future)
        return await future

    async def gone(self) -> None:
        await self._gone.wait()

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        loop = self._loop or self._attach()
        self._flush()
        if not self._outgoing:
            self._say_end()
        await self._gone.wait()
        await loop.run_in_executor(None, self._process.wait)

    def _await_start(self, path: Path) -> None:
        self._sock.settimeout(_START_SECONDS)
        reports: list[Report] = []
        try:
            while not reports:
                data = self._sock.recv(_READ_BYTES)
                if not data:
                    raise SpoolFailing(f"{path}: the process that writes did not start")
                reports = list(self._frames.feed(data))
            _, trouble, _ = reports[0]
            if trouble is not None:
                raise trouble
        except BaseException:
            self._sock.close()
            self._process.wait()
            raise
        self._sock.setblocking(False)

    def _attach(self) -> asyncio.AbstractEventLoop:
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._sock, self._readable)
        return self._loop

    def _flush(self) -> None:
        new, self._new = self._new, []
        if not new or self._gone.is_set():
            return
        try:
            parts = to_frame(new)
        except Exception as error:
            # Nothing of them has left, and they are the last that asked.
            log.exception("orders that cannot be sent")
            for future in [self._asked.pop() for _ in new]:
                if not future.done():
                    future.set_exception(SpoolError(str(error)))
            return
        self._outgoing.extend(map(memoryview, parts))
        if len(self._outgoing) == len(parts):
            self._writable()

    def _writable(self) -> None:
        """Send what the socket takes; the rest when it takes more."""
        assert self._loop is not None
        try:
            while self._outgoing:
                sent = self._sock.sendmsg(self._outgoing)
                while self._outgoing and sent >= len(self._outgoing[0]):
                    sent -= len(self._outgoing.popleft())
                if self._outgoing:
                    self._outgoing[0] = self._outgoing[0][sent:]
        except BlockingIOError:
            self._loop.add_writer(self._sock, self._writable)
        except ConnectionError:
            self._outgoing.clear()  # the end of the other side is read soon
        else:
            self._loop.remove_writer(self._sock)
            if self._closed:
                self._say_end()

    def _say_end(self) -> None:
        """No more orders: the process does what it has, and ends."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)

    def _readable(self) -> None:
        try:
            data = self._sock.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        if not data:
            self._end()
            return
        for report in self._frames.feed(data):
            self._heed(report)

    def _heed(self, report: Report) -> None:
        answers, self.trouble, lines = report
        for level, line in lines:
            log.log(level, "%s", line)
        for result, error in answers:
            future = self._asked.popleft()
            if future.cancelled():
                continue
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

    def _end(self) -> None:
        """The process has ended, or is about to: nothing is known of what it was asked."""
        assert self._loop is not None
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)
        self._sock.close()
        self._outgoing.clear()
        self._gone.set()
        if not self._closed:
            self.trouble = SpoolGone("the process that writes the spool has died")
        for future in self._asked:
            if not future.done():
                future.set_exception(SpoolGone("the process that writes the spool has died"))
        self._asked.clear()


def _start(sock: int, lock: int, path: Path) -> "subprocess.Popen[bytes]":
    """The code of this very package, whatever else of that name could be found."""
    package = Path(relay.__file__).parent.parent
    # Without the site's packages it starts in half the time and takes half the memory.
    command = [sys.executable, "-I", "-S", "-c", _CODE, str(sock), str(path), str(package)]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=(sock, lock))
