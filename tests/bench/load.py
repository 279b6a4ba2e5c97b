"""One load: smtp-source sends, the peer relays, the counting smarthost counts."""

import subprocess
import time
from dataclasses import asdict, dataclass
from typing import Any

from bench.counted import CountingSmarthost
from bench.peers import Peer
from fakes.peers import program

SENDER, RECIPIENT = "info@mijnbakkerij.nl", "klant@example.net"
CLIENT_SECONDS = 300.0
_SETTLE_SECONDS = 0.2
# Postfix keeps an idle connection for 2 s, and does not count it when it opens the next ones: a
# load that began sooner would be refused for one connection too many.
_KEPT_SECONDS = 2.5


@dataclass(frozen=True, slots=True)
class Load:
    """What the client sends."""

    messages: int
    bytes: int
    """Of each message, without its header of some 200 bytes."""
    sessions: int
    kept: bool = False
    """Each session keeps its connection; otherwise each message has a connection of its own."""
    recipients: int = 1


@dataclass(frozen=True, slots=True)
class Round:
    """What one load through one peer gave. Rates are messages a second."""

    peer: str
    accept_rate: float
    """Until the client had heard its last 250."""
    rate: float
    """End to end: until the last message was at the smarthost."""
    valid: bool
    """Every copy of every message was counted at the smarthost, once; no limit was passed."""
    why: str
    connections: int
    most_connections: int
    chunked: int

    def document(self) -> dict[str, Any]:
        return asdict(self)


def client(peer_address: str, load: Load) -> list[str]:
    """The command line of smtp-source for this load."""
    command = [program("smtp-source"), "-4", "-M", "kassa.test", "-f", SENDER, "-t", RECIPIENT]
    command += ["-s", str(load.sessions), "-m", str(load.messages), "-l", str(load.bytes)]
    command += ["-r", str(load.recipients), *(["-d"] if load.kept else [])]
    return [*command, f"inet:{peer_address}"]


def measure(peer: Peer, smarthost: CountingSmarthost, load: Load) -> Round:
    """Sends the load through the peer and waits until it has left."""
    limit = smarthost.offer.max_connections
    _settle(smarthost)
    smarthost.reset()
    began = time.monotonic()
    fault = _run(client(f"{peer.host}:{peer.port}", load))
    accepted = time.monotonic()
    report = smarthost.wait_for(load.messages * load.recipients)
    why = fault or _invalid(report, load, limit)
    seconds = max(report["last"], accepted) - began if report["last"] else float("inf")
    return Round(
        peer=peer.name,
        accept_rate=round(load.messages / (accepted - began), 2),
        rate=round(load.messages / seconds, 2),
        valid=not why,
        why=why,
        connections=report["connections"],
        most_connections=report["most_open"],
        chunked=report["chunked"],
    )


def ceiling(smarthost: CountingSmarthost, load: Load) -> Round:
    """The load sent straight to the smarthost: what client and smarthost themselves allow."""

    class Straight:
        name, host, port = "ceiling", "127.0.0.1", smarthost.port

    return measure(Straight(), smarthost, load)  # type: ignore[arg-type]


def _settle(smarthost: CountingSmarthost) -> None:
    """Waits until the peer has seen to what the load before left behind."""
    time.sleep(_SETTLE_SECONDS)  # noqa: TID251 -- nothing tells when a peer is done
    end = time.monotonic() + _KEPT_SECONDS
    while smarthost.offer.max_connections and smarthost.report()["open"]:
        if time.monotonic() > end:
            return
        time.sleep(0.02)  # noqa: TID251


def _run(command: list[str]) -> str:
    """What went wrong; "" for nothing."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=CLIENT_SECONDS)
    except subprocess.TimeoutExpired:
        return f"the client was not done in {CLIENT_SECONDS:.0f} s"
    return f"smtp-source: {done.stderr[-300:]}" if done.returncode else ""


def _invalid(report: dict[str, Any], load: Load, limit: int) -> str:
    if report["refused_connections"]:
        return f"{report['refused_connections']} connections beyond the limit of {limit}"
    sent = load.messages * load.recipients
    return "" if report["recipients"] == sent else f"{sent} sent, {report['recipients']} counted"
