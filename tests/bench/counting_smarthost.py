"""A smarthost that only counts, cheap enough not to be the bottleneck, in a process of its own.

It speaks as its options say, keeps no message, and answers two commands on stdin, each with one
line of JSON on stdout: `report`, what came since the last reset; `reset`. Times are those of
`time.monotonic`, which all processes of a machine share. It ends when stdin does.

The delay stands for the network: each reply leaves that long after its command came, so the
replies to a pipelined group leave together. The TLS handshake itself is not delayed.
"""

import argparse
import asyncio
import base64
import json
import ssl
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

USER, PASSWORD = "bakker", "geheim"
_LOGIN = base64.b64encode(f"\0{USER}\0{PASSWORD}".encode())
_LINE_LIMIT = 4096
# A client that closes one connection and opens the next may be seen to do so in the other order.
_GRACE_SECONDS = 0.2


@dataclass(slots=True)
class Options:
    """What the smarthost offers and demands."""

    certificate: str = ""
    """Chain of the server's certificate; with it STARTTLS and AUTH are offered and demanded."""
    key: str = ""
    delay_seconds: float = 0.0
    pipelining: bool = True
    chunking: bool = False
    max_connections: int = 0
    """Connections beyond it are refused with 421; 0 is no limit."""
    port: int = 0


@dataclass(slots=True)
class Tally:
    """What came since the last reset. `last` is when the last reply to a final dot was due."""

    messages: int = 0
    recipients: int = 0
    bytes: int = 0
    chunked: int = 0
    connections: int = 0
    refused_connections: int = 0
    logins: int = 0
    last: float = 0.0


@dataclass(slots=True)
class Smarthost:
    """What all connections share."""

    options: Options
    context: ssl.SSLContext | None = None
    tally: Tally = field(default_factory=Tally)
    open: int = 0
    most_open: int = 0
    waiting: "deque[Session]" = field(default_factory=deque)
    """Connections beyond the limit, which are refused unless another ends at once."""

    def report(self) -> dict[str, Any]:
        names = Tally.__slots__
        return {name: getattr(self.tally, name) for name in names} | {
            "open": self.open,
            "most_open": self.most_open,
        }

    def reset(self) -> None:
        self.tally = Tally()
        self.most_open = self.open


class Session(asyncio.Protocol):
    """One connection. STARTTLS swaps the transport below it."""

    def __init__(self, smarthost: Smarthost, loop: asyncio.AbstractEventLoop) -> None:
        self._smarthost, self._options, self._loop = smarthost, smarthost.options, loop
        self._transport: Any = None
        self._waiting: deque[bytes] = deque()
        self._buffer = b""
        self._tail: bytes | None = None  # The end of what came of DATA; None outside it.
        self._chunk = -1  # Octets still to come of a BDAT chunk; -1 outside one.
        self._last_chunk = self._chunked = False
        self._recipients = 0
        self._counted = False
        self._encrypted = self._handshaking = False
        self._early = b""
        self._known = self._options.certificate == ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        limit = self._options.max_connections
        if limit and self._smarthost.open >= limit:
            self._smarthost.waiting.append(self)
            self._refusal = self._loop.call_later(_GRACE_SECONDS, self._refuse)
        else:
            self._admit()

    def connection_lost(self, error: Exception | None) -> None:
        if self in self._smarthost.waiting:
            self._smarthost.waiting.remove(self)
            self._refusal.cancel()
        self._leave()

    def _admit(self) -> None:
        smarthost = self._smarthost
        self._counted = True
        smarthost.open += 1
        smarthost.most_open = max(smarthost.most_open, smarthost.open)
        smarthost.tally.connections += 1
        self._send(b"220 smarthost.test ESMTP\r\n")

    def _refuse(self) -> None:
        self._smarthost.waiting.remove(self)
        self._smarthost.tally.refused_connections += 1
        self._transport.write(b"421 4.7.0 too many connections\r\n")
        self._transport.close()

    def _leave(self) -> None:
        """The connection counts no more; the next one that waits takes its place."""
        if not self._counted:
            return
        self._counted = False
        self._smarthost.open -= 1
        if self._smarthost.waiting:
            session = self._smarthost.waiting.popleft()
            session._refusal.cancel()
            session._admit()

    def data_received(self, data: bytes) -> None:
        if self._handshaking:  # The first command came with the end of the handshake.
            self._early += data
            return
        replies: list[bytes] = []
        while data:
            if self._tail is not None:
                data = self._content(data, replies)
            elif self._chunk >= 0:
                data = self._chunk_content(data, replies)
            else:
                line, end, rest = (self._buffer + data).partition(b"\n")
                if not end:
                    self._buffer = line[-_LINE_LIMIT:]
                    break
                self._buffer, data = b"", rest
                reply = self._command(line.strip())
                replies += [reply] if reply else []
                if reply.startswith(b"220"):  # STARTTLS: what follows in clear is nothing.
                    self._send(b"".join(replies), self._start_tls)
                    return
        if replies:
            self._send(b"".join(replies))

    def _send(self, replies: bytes, then: Any = None) -> None:
        """Sends them once the delay is over, in the order of these calls."""
        if not self._options.delay_seconds:
            self._deliver(replies, then)
            return
        self._waiting.append(replies)
        self._loop.call_later(
            self._options.delay_seconds, lambda: self._deliver(self._waiting.popleft(), then)
        )

    def _deliver(self, replies: bytes, then: Any) -> None:
        if then is not None:
            self._transport.pause_reading()  # The client's hello is for the TLS layer to read.
        self._transport.write(replies)
        if then is not None:
            then()
        elif replies.endswith(b"221 2.0.0 bye\r\n"):
            self._transport.close()

    def _start_tls(self) -> None:
        self._encrypted = self._handshaking = True
        self._task = self._loop.create_task(self._handshake())

    async def _handshake(self) -> None:
        assert self._smarthost.context is not None
        try:
            self._transport = await self._loop.start_tls(
                self._transport, self, self._smarthost.context, server_side=True
            )
        except (OSError, ssl.SSLError) as error:
            print(f"no TLS: {error}", file=sys.stderr, flush=True)
            return
        self._handshaking = False
        early, self._early = self._early, b""
        self.data_received(early)

    def _command(self, line: bytes) -> bytes:
        verb = line[:4].upper()
        if verb in (b"EHLO", b"HELO"):
            return self._hello()
        if verb == b"STAR" and self._smarthost.context is not None and not self._encrypted:
            return b"220 2.0.0 go ahead\r\n"
        if verb == b"AUTH":
            return self._login(line)
        if verb == b"QUIT":
            self._leave()
            return b"221 2.0.0 bye\r\n"
        if verb in (b"NOOP", b"RSET"):
            self._recipients = 0
            return b"250 2.0.0 ok\r\n"
        if not self._known:
            return b"530 5.7.0 STARTTLS and AUTH first\r\n"
        return self._transaction(verb, line)

    def _transaction(self, verb: bytes, line: bytes) -> bytes:
        if verb == b"MAIL":
            self._recipients = 0
            self._chunked = False
            return b"250 2.1.0 ok\r\n"
        if verb == b"RCPT":
            self._recipients += 1
            return b"250 2.1.5 ok\r\n"
        if verb == b"DATA" and self._recipients:
            self._tail = b"\r\n"
            return b"354 go ahead\r\n"
        if verb == b"BDAT" and self._recipients and self._options.chunking:
            words = line.split()
            self._chunk = int(words[1])
            self._last_chunk = words[2:] == [b"LAST"]
            self._chunked = True
            # An empty chunk is whole already; data_received has nothing to hand on for it.
            return self._chunk_end() if self._chunk == 0 else b""
        return b"503 5.5.1 not now\r\n"

    def _hello(self) -> bytes:
        offers = [b"smarthost.test", b"8BITMIME", b"ENHANCEDSTATUSCODES", b"SIZE 60000000"]
        if self._options.pipelining:
            offers.append(b"PIPELINING")
        if self._options.chunking:
            offers.append(b"CHUNKING")
        if self._smarthost.context is not None:
            offers.append(b"AUTH PLAIN" if self._encrypted else b"STARTTLS")
        last = len(offers) - 1
        return b"".join(
            b"250%s%s\r\n" % (b" " if number == last else b"-", offer)
            for number, offer in enumerate(offers)
        )

    def _login(self, line: bytes) -> bytes:
        if not self._encrypted or line.split()[1:] != [b"PLAIN", _LOGIN]:
            return b"535 5.7.8 no\r\n"
        self._known = True
        self._smarthost.tally.logins += 1
        return b"235 2.7.0 welcome\r\n"

    def _content(self, data: bytes, replies: list[bytes]) -> bytes:
        """Takes message data up to the final dot; returns what comes after it."""
        assert self._tail is not None
        held = len(self._tail)
        data = self._tail + data
        end = data.find(b"\r\n.\r\n")
        if end < 0:
            self._tail = data[-4:]
            self._smarthost.tally.bytes += len(data) - held
            return b""
        self._tail = None
        self._smarthost.tally.bytes += end + 2 - held
        replies.append(self._whole())
        return data[end + 5 :]

    def _chunk_content(self, data: bytes, replies: list[bytes]) -> bytes:
        taken = min(len(data), self._chunk)
        self._chunk -= taken
        self._smarthost.tally.bytes += taken
        if self._chunk == 0:
            replies.append(self._chunk_end())
        return data[taken:]

    def _chunk_end(self) -> bytes:
        self._chunk = -1
        return self._whole() if self._last_chunk else b"250 2.0.0 chunk\r\n"

    def _whole(self) -> bytes:
        tally = self._smarthost.tally
        tally.messages += 1
        tally.recipients += self._recipients
        tally.chunked += self._chunked
        tally.last = time.monotonic() + self._options.delay_seconds
        self._recipients = 0
        return b"250 2.0.0 taken\r\n"


async def serve(options: Options) -> None:
    """Serves until stdin ends. Its first line on stdout is the port."""
    loop = asyncio.get_running_loop()
    smarthost = Smarthost(options)
    if options.certificate:
        smarthost.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        smarthost.context.load_cert_chain(options.certificate, options.key)
    server = await loop.create_server(
        lambda: Session(smarthost, loop), "127.0.0.1", options.port, backlog=1024
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    while command := await commands.readline():
        if command == b"reset\n":
            smarthost.reset()
        print(json.dumps(smarthost.report()), flush=True)
    server.close()


def _options(arguments: list[str]) -> Options:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--certificate", default="", help="offer and demand STARTTLS and AUTH")
    parser.add_argument("--key", default="")
    parser.add_argument("--delay-seconds", type=float, default=0.0)
    parser.add_argument("--max-connections", type=int, default=0)
    parser.add_argument("--chunking", action="store_true")
    parser.add_argument("--no-pipelining", dest="pipelining", action="store_false")
    return Options(**vars(parser.parse_args(arguments)))


def main() -> None:
    """Serves as the command line says, with uvloop where it is installed."""
    options = _options(sys.argv[1:])
    try:
        from uvloop import new_event_loop
    except ImportError:
        from asyncio import new_event_loop
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(serve(options))


if __name__ == "__main__":
    main()
