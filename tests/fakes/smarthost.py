"""A scripted smarthost on loopback: real sockets, a behaviour table, and a record of it all.

It runs in threads of its own, so that tests with and without an event loop use it alike:

    with Smarthost(Behaviour(script={"RCPT": "451 4.2.1 later"})) as smarthost:
        ...
        assert smarthost.accepted == []
"""

import contextlib
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Self

from fakes.script import Behaviour, Command
from fakes.smarthost_record import SessionRecord, Transaction
from fakes.smarthost_session import Session

__all__ = ["Behaviour", "SessionRecord", "Smarthost", "Transaction"]


class Smarthost:
    """Listens on 127.0.0.1 at `port` from `start` to `stop`; the port survives a restart.

    Its records are complete for whatever the client has got a reply to.
    """

    def __init__(self, behaviour: Behaviour | None = None) -> None:
        self.behaviour = behaviour or Behaviour()
        self.host = "127.0.0.1"
        self.port = 0
        self.sessions: list[SessionRecord] = []
        self.most_connections = 0
        """How many connections were open at once, at most."""
        self.stopping = threading.Event()
        self._changed = threading.Condition()
        self._times: Counter[str] = Counter()
        self._listener: socket.socket | None = None
        self._threads: list[threading.Thread] = []
        self._open: set[Session] = set()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def open_connections(self) -> int:
        """How many connections are open now."""
        return len(self._open)

    @property
    def accepted(self) -> list[Transaction]:
        """The transactions whose message got a positive reply, in the order of their arrival."""
        return [one for one in self.received if one.reply.startswith("2")]

    @property
    def received(self) -> list[Transaction]:
        """All transactions whose message arrived whole, whatever the reply to it was."""
        with self._changed:
            every = [one for session in self.sessions for one in session.transactions]
        return sorted(every, key=lambda one: one.arrived)

    def start(self) -> None:
        """Starts to listen, on the port of the last time if there was one."""
        self.stopping.clear()
        self._listener = socket.create_server((self.host, self.port), backlog=100)
        self.port = self._listener.getsockname()[1]
        self._spawn(self._accept, self._listener)

    def stop(self) -> None:
        """Stops to listen and drops every connection; harmless when already stopped."""
        self.stopping.set()
        with self._changed:
            listener, self._listener = self._listener, None
            sessions = [*self._open]
        if listener is not None:
            # Ends the thread's accept(), which close alone would not.
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for session in sessions:
            session.abort()
        for thread in self._threads:
            thread.join(10)
        self._threads.clear()

    def wait_until(self, true: Callable[[], bool], timeout_seconds: float = 20.0) -> None:
        """Waits until the records make `true` true; raises TimeoutError otherwise.

        In an asynchronous test: `await asyncio.to_thread(smarthost.wait_until, ...)`.
        """
        end = time.monotonic() + timeout_seconds
        while not true():
            with self._changed:
                self._changed.wait(0.05)
            if time.monotonic() > end:
                raise TimeoutError(f"not within {timeout_seconds} s; sessions: {self.sessions}")

    def wait_for(self, messages: int, timeout_seconds: float = 20.0) -> list[Transaction]:
        """The accepted transactions once there are at least this many; raises TimeoutError."""
        self.wait_until(lambda: len(self.accepted) >= messages, timeout_seconds)
        return self.accepted

    def count(self, verb: str, session: SessionRecord, argument: str = "") -> Command:
        """Numbers one command or moment, for the script."""
        with self._changed:
            self._times[verb] += 1
            session.times[verb] += 1
            return Command(verb, argument, session.number, self._times[verb], session.times[verb])

    def new_session(self, connection: socket.socket, record: SessionRecord) -> Session:
        """Who serves one connection; a fake of a certain provider has its own."""
        return Session(self, connection, record)

    def changed(self) -> None:
        """Wakes those who wait for a record."""
        with self._changed:
            self._changed.notify_all()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, peer = listener.accept()
            except OSError:
                return
            record = SessionRecord(number=len(self.sessions) + 1, peer=peer)
            session = self.new_session(connection, record)
            with self._changed:
                self.sessions.append(record)
                self._open.add(session)
                self.most_connections = max(self.most_connections, len(self._open))
            self._spawn(self._serve, session)

    def _serve(self, session: Session) -> None:
        try:
            session.run()
        finally:
            with self._changed:
                self._open.discard(session)
                self._changed.notify_all()

    def _spawn(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()
