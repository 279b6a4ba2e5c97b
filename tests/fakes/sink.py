"""A smarthost that keeps nothing of a message but its size and its hash, for large ones."""

import hashlib
import socket
import threading
from dataclasses import dataclass

from fakes.blunt_server import BluntServer

_END = b"\r\n.\r\n"


@dataclass(frozen=True, slots=True)
class Swallowed:
    """The body of a message as it came over the wire: with its transparency dots, without the end
    of its last line."""

    size_bytes: int
    sha256: str


class Sink(BluntServer):
    """Takes whatever comes; `swallowed` has one entry for each message."""

    def __init__(self) -> None:
        super().__init__(self._talk)
        self.swallowed: list[Swallowed] = []
        self.more = threading.Event()
        """Set with each message."""
        self._lock = threading.Lock()

    def _talk(self, connection: socket.socket) -> None:
        connection.sendall(b"220 sink\r\n")
        waiting = b""
        while True:
            while b"\r\n" not in waiting:
                waiting += _received(connection)
            line, _, waiting = waiting.partition(b"\r\n")
            verb = line[:4].upper()
            if verb == b"DATA":
                connection.sendall(b"354 go\r\n")
                waiting = self._swallow(connection, waiting)
            elif verb == b"EHLO":
                connection.sendall(b"250-sink\r\n250-PIPELINING\r\n250 SIZE 0\r\n")
                continue
            connection.sendall(b"221 bye\r\n" if verb == b"QUIT" else b"250 ok\r\n")

    def _swallow(self, connection: socket.socket, waiting: bytes) -> bytes:
        digest, size = hashlib.sha256(), 0
        while b"\r\n\r\n" not in waiting:
            waiting += _received(connection)
        tail = waiting.partition(b"\r\n\r\n")[2]
        while (end := tail.find(_END)) < 0:
            digest.update(tail[:-4])
            size += len(tail[:-4])
            tail = tail[-4:] + _received(connection)
        digest.update(tail[:end])
        with self._lock:
            self.swallowed.append(Swallowed(size + end, digest.hexdigest()))
        self.more.set()
        return tail[end + len(_END) :]


def _received(connection: socket.socket) -> bytes:
    data = connection.recv(1 << 20)
    if not data:
        raise ConnectionError
    return data
