"""A TCP client for SMTP that decides itself what goes into each segment and how it ends."""

import socket
import ssl
import struct
from collections.abc import Iterable
from types import TracebackType
from typing import Self


def stuffed(content: bytes) -> bytes:
    """What follows the 354: `content` with transparency dots, ended by the final dot."""
    dotted = (b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:]
    return dotted + (b"" if content.endswith(b"\r\n") else b"\r\n") + b".\r\n"


class RawClient:
    """One connection to (host, port), from `source` where the client's address matters.

    Every read is bounded by `timeout_seconds` and raises TimeoutError after it. Received bytes
    that are not yet part of a whole reply are kept for the next call.
    """

    def __init__(
        self, host: str, port: int, source: str | None = None, timeout_seconds: float = 20.0
    ) -> None:
        bind = (source, 0) if source else None
        self._socket = socket.create_connection((host, port), timeout_seconds, bind)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._waiting = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def send(self, data: bytes) -> None:
        """Sends `data` at once: one segment as long as it fits into one."""
        self._socket.sendall(data)

    def send_pieces(self, pieces: Iterable[bytes]) -> None:
        """Sends each piece with a call of its own, without delay: a segment each, at best."""
        for piece in pieces:
            self._socket.sendall(piece)

    def send_byte_by_byte(self, data: bytes) -> None:
        """Sends `data` in segments of one byte."""
        self.send_pieces(data[at : at + 1] for at in range(len(data)))

    def reply(self) -> str:
        """The next whole reply, its lines joined with LF; "" when the peer closed instead."""
        lines: list[str] = []
        while True:
            line = self.line()
            if not line:
                return "\n".join(lines)
            lines.append(line)
            if line[3:4] != "-":
                return "\n".join(lines)

    def line(self) -> str:
        """The next line without CR LF; "" at the end of the stream."""
        while b"\r\n" not in self._waiting:
            received = self._receive()
            if not received:
                return ""
            self._waiting += received
        line, _, self._waiting = self._waiting.partition(b"\r\n")
        return line.decode("utf-8", "backslashreplace")

    def command(self, text: str) -> str:
        """Sends one command line and returns its reply."""
        self.send(text.encode() + b"\r\n")
        return self.reply()

    def message(self, content: bytes) -> str:
        """DATA, `content` with transparency dots, the final dot; returns the last reply."""
        reply = self.command("DATA")
        if not reply.startswith("354"):
            return reply
        self.send(stuffed(content))
        return self.reply()

    def rest(self) -> bytes:
        """Everything until the peer closes or resets the connection."""
        while received := self._receive():
            self._waiting += received
        rest, self._waiting = self._waiting, b""
        return rest

    def start_tls(self, context: ssl.SSLContext, name: str = "localhost") -> None:
        """The TLS handshake, after a 220 to STARTTLS or at once for implicit TLS."""
        self._socket = context.wrap_socket(self._socket, server_hostname=name)

    def half_close(self) -> None:
        """FIN: nothing more is sent, replies are still read."""
        self._socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """RST: the connection ends without a word and unsent data is thrown away."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def close(self) -> None:
        """FIN in both directions; harmless when already closed."""
        self._socket.close()

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(65536)
        except ConnectionError:
            return b""
