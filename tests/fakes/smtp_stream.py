"""The server's side of one SMTP connection as a stream of lines, chunks and messages."""

import contextlib
import socket
import ssl
import struct
from collections.abc import Callable


class SmtpStream:
    """Reads what the client sends, in whatever segments it comes; `seen` hears every byte.

    Every read raises ConnectionError when the client has closed or reset the connection.
    """

    def __init__(self, connection: socket.socket, seen: Callable[[bytes], object]) -> None:
        self._socket = connection
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._seen = seen
        self._waiting = b""

    @property
    def has_more(self) -> bool:
        """True when the client has sent more than was read so far."""
        return bool(self._waiting)

    def line(self) -> str:
        """The next line without CR LF."""
        while b"\r\n" not in self._waiting:
            self._receive()
        line, _, self._waiting = self._waiting.partition(b"\r\n")
        return line.decode("utf-8", "backslashreplace")

    def wait_for_bytes(self, size_bytes: int) -> None:
        """Waits until this many bytes can be read."""
        while len(self._waiting) < size_bytes:
            self._receive()

    def exactly(self, size_bytes: int) -> bytes:
        """The next so many bytes."""
        self.wait_for_bytes(size_bytes)
        taken, self._waiting = self._waiting[:size_bytes], self._waiting[size_bytes:]
        return taken

    def message(self) -> bytes:
        """The message up to CRLF.CRLF, which alone ends it; without the transparency dots."""
        data = bytearray(b"\r\n" + self._waiting)
        searched = 0
        while (end := data.find(b"\r\n.\r\n", searched)) < 0:
            searched = max(0, len(data) - 4)
            self._waiting = b""
            self._receive()
            data += self._waiting
        self._waiting = bytes(data[end + 5 :])
        return bytes(data[: end + 2].replace(b"\r\n.", b"\r\n")[2:])

    def send(self, data: bytes, byte_by_byte: bool = False) -> None:
        """Sends all of it: at once, or in segments of one byte."""
        step = 1 if byte_by_byte else max(1, len(data))
        for at in range(0, len(data), step):
            self._socket.sendall(data[at : at + step])

    def start_tls(self, context: ssl.SSLContext) -> str | None:
        """The server's TLS handshake; whatever was sent before it is thrown away.

        Returns the TLS version; raises ssl.SSLError.
        """
        self._waiting = b""
        secure = context.wrap_socket(self._socket, server_side=True, do_handshake_on_connect=False)
        self._socket = secure
        secure.do_handshake()
        return secure.version()

    def close(self, reset: bool = False) -> None:
        """Closes by FIN, or by RST; harmless when already closed."""
        if reset:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def abort(self) -> None:
        """Ends the connection from another thread."""
        with contextlib.suppress(OSError):
            # Not SSLSocket's own shutdown: it takes the TLS state from under the reading thread.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def _receive(self) -> None:
        data = self._socket.recv(65536)
        if not data:
            raise ConnectionError("closed by client")
        self._seen(data)
        self._waiting += data
