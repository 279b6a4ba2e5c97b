"""The process that writes for a running relay: takes orders from a socket, commits, reports.

It has an interpreter for itself: the relay's loop does not wait for it, nor it for the loop. It
ends when the relay closes the socket, or dies; what arrived before is committed first. Until then
it keeps the spool's lock open, so that a relay started meanwhile waits for it. It needs nothing
but the standard library and this package.
"""

import contextlib
import logging
import signal
import socket
import sqlite3
import sys
from collections import deque
from pathlib import Path

from relay.spool.errors import SpoolError
from relay.spool.sqlite.ballast import Ballast
from relay.spool.sqlite.commit import (
    MEND_SECONDS,
    MOST_IN_ONE_COMMIT,
    Committer,
    Work,
    spool_error,
)
from relay.spool.sqlite.frames import Frames, Report, to_frame
from relay.spool.sqlite.opening import connect, prepare

_READ_BYTES = 1 << 20


class _Lines(logging.Handler):
    """Keeps what is logged for the relay, which has the log."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[tuple[int, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.kept.append((record.levelno, record.getMessage()))

    def take(self) -> list[tuple[int, str]]:
        kept, self.kept = self.kept, []
        return kept


class WriterLoop:
    """Serves one relay until it closes the socket."""

    def __init__(self, sock: socket.socket, committer: Committer, lines: _Lines) -> None:
        self._sock = sock
        self._committer = committer
        self._lines = lines
        self._frames = Frames()
        self._waiting: deque[Work] = deque()

    def run(self) -> None:
        self._report([])
        while self._waiting or self._read():
            if self._waiting:
                number = min(len(self._waiting), MOST_IN_ONE_COMMIT)
                batch = [self._waiting.popleft() for _ in range(number)]
                self._committer.commit(batch)
                self._report(batch)
            if self._committer.trouble is not None and not self._waiting:
                self._committer.mend()
                if self._committer.trouble is None:
                    self._report([])

    def _read(self) -> bool:
        """Wait for orders, in trouble not for long; False where none will come any more."""
        self._sock.settimeout(None if self._committer.trouble is None else MEND_SECONDS)
        try:
            data = self._sock.recv(_READ_BYTES)
        except TimeoutError:
            return True
        for orders in self._frames.feed(data):
            self._waiting.extend(Work(*order) for order in orders)
        return bool(data)

    def _report(self, batch: list[Work]) -> None:
        answers = [(None if work.error else work.result, work.error) for work in batch]
        _send(self._sock, (answers, self._committer.trouble, self._lines.take()))


def _send(sock: socket.socket, report: Report) -> None:
    sock.settimeout(None)
    for part in to_frame(report):
        sock.sendall(part)


def main(descriptor: int, path: Path) -> None:
    """Serve the relay at the other end of the socket `descriptor`, on the spool `path`."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)  # they are for the relay, which closes the socket
    lines = _Lines()
    logging.getLogger().addHandler(lines)
    with socket.socket(fileno=descriptor) as sock, contextlib.suppress(ConnectionError):
        try:
            connection = connect(path, make=False)
            prepare(connection)
        except (sqlite3.Error, SpoolError, OSError) as error:
            trouble = (
                spool_error(error) if isinstance(error, sqlite3.Error) else SpoolError(str(error))
            )
            _send(sock, ([], trouble, []))
            return
        committer = Committer(path, connection, Ballast(path))
        try:
            WriterLoop(sock, committer, lines).run()
        finally:
            committer.connection.close()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
