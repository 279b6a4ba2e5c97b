"""How long a client waits: for the 250 to its final dot, and for a reply that costs nothing.

A NOOP touches neither disk nor smarthost. In the relay, where one event loop serves all, the
time to its reply is how far that loop lags, seen from outside; in Postfix, where each connection
has a process, it is how long that process waits for a processor.
"""

import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from statistics import quantiles
from typing import Any

from bench.counted import CountingSmarthost
from bench.load import RECIPIENT, SENDER, Load, client
from bench.peers import Peer

_PAUSE_SECONDS = 0.005
_CONTENT = b"Subject: factuur\r\n\r\n" + (b"x" * 78 + b"\r\n") * 50


class Probe:
    """One kept connection that sends message after message."""

    def __init__(self, peer: Peer) -> None:
        self._socket = socket.create_connection((peer.host, peer.port), 30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._replies = self._socket.makefile("rb")
        self._reply(b"220")
        self._command(b"EHLO kassa.test", b"250")

    def close(self) -> None:
        self._replies.close()
        self._socket.close()

    def message(self) -> float:
        """The seconds between the final dot and its 250."""
        self._command(b"MAIL FROM:<%s>" % SENDER.encode(), b"250")
        self._command(b"RCPT TO:<%s>" % RECIPIENT.encode(), b"250")
        self._command(b"DATA", b"354")
        self._socket.sendall(_CONTENT)
        return self._command(b".", b"250")

    def noop(self) -> float:
        """The seconds between NOOP and its reply."""
        return self._command(b"NOOP", b"250")

    def _command(self, line: bytes, wanted: bytes) -> float:
        began = time.perf_counter()
        self._socket.sendall(line + b"\r\n")
        self._reply(wanted)
        return time.perf_counter() - began

    def _reply(self, wanted: bytes) -> None:
        while True:
            line = self._replies.readline()
            if not line.startswith(wanted):
                raise RuntimeError(f"the probe was answered {line!r}")
            if line[3:4] != b"-":
                return


def latency(peer: Peer, smarthost: CountingSmarthost, messages: int, load: Load) -> dict[str, Any]:
    """The times of one peer, while it has nothing else to do and while the load runs."""
    smarthost.reset()
    left = iter(range(messages))
    idle = _times(peer, lambda: next(left, None) is not None)
    smarthost.wait_for(messages)
    command = client(f"{peer.host}:{peer.port}", load)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as running:
        loaded = _times(peer, lambda: running.poll() is None)
    sent = messages + load.messages + loaded["accept"]["count"]
    counted = smarthost.wait_for(sent)["recipients"]
    return {
        "peer": peer.name,
        "idle": idle,
        "loaded": loaded,
        "valid": running.returncode == 0 and counted == sent,
    }


def _times(peer: Peer, more: Callable[[], bool]) -> dict[str, Any]:
    accept: list[float] = []
    noop: list[float] = []
    probe = Probe(peer)
    try:
        while more():
            accept.append(probe.message())
            time.sleep(_PAUSE_SECONDS)  # noqa: TID251 -- a client at an office's pace
            noop.append(probe.noop())
            time.sleep(_PAUSE_SECONDS)  # noqa: TID251
    finally:
        probe.close()
    return {"accept": milliseconds(accept), "noop": milliseconds(noop)}


def milliseconds(seconds: Sequence[float]) -> dict[str, Any]:
    """The percentiles of these times."""
    if len(seconds) < 2:
        return {"count": len(seconds), "p50": None, "p99": None, "max": None}
    cuts = quantiles(seconds, n=100, method="inclusive")
    p50, p99, most = (round(value * 1000, 2) for value in (cuts[49], cuts[98], max(seconds)))
    return {"count": len(seconds), "p50": p50, "p99": p99, "max": most}
