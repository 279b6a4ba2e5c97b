"""Servers below the level of mail: bytes as a test says, silence, and a port that drops."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

Conversation = Callable[[socket.socket], None]


class BluntServer:
    """Listens on loopback and holds `conversation` with each who comes, in threads of its own.

    A connection stays open after its conversation until the other side or the test ends.
    """

    def __init__(self, conversation: Conversation, address: str = "127.0.0.1") -> None:
        self._conversation = conversation
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._listener = socket.create_server((address, 0), family=family)
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for each in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join(10)

    @property
    def connections(self) -> int:
        """How many have come so far."""
        return len(self._open)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            thread = threading.Thread(target=self._hold, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _hold(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            self._conversation(connection)
            while connection.recv(65536):
                pass


def says(greeting: bytes) -> Conversation:
    """Greets and says nothing more."""
    return lambda connection: connection.sendall(greeting)


def silent(_: socket.socket) -> None:
    """Takes the connection and says nothing."""


def hangs_up(connection: socket.socket) -> None:
    """Takes the connection and closes it."""
    connection.shutdown(socket.SHUT_RDWR)


def endless(block: bytes) -> Conversation:
    """Sends the same again and again for as long as somebody takes it."""

    def talk(connection: socket.socket) -> None:
        while True:
            connection.sendall(block)

    return talk


def answers(greeting: bytes, *replies: bytes) -> Conversation:
    """Greets, and answers each line with the next of `replies`."""

    def talk(connection: socket.socket) -> None:
        connection.sendall(greeting)
        lines = connection.makefile("rb")
        for reply in replies:
            lines.readline()
            connection.sendall(reply)

    return talk


@contextlib.contextmanager
def dropping_port() -> Iterator[int]:
    """A port whose connections get no answer: the queue of its listener is full (Linux)."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = []
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
            fillers.append(filler)
        try:
            yield listener.getsockname()[1]
        finally:
            for filler in fillers:
                filler.close()
