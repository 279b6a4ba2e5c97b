"""Clients that leave a running relay at every point, in every way, twenty at a time."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fakes.prepared_relay import PreparedRelay, patience
from fakes.raw_client import RawClient, stuffed

MESSAGE = stuffed(b"From: info@mijnbakkerij.nl\r\nSubject: weg\r\n\r\nHallo\r\n")
SCRIPT = b"EHLO kassa\r\nMAIL FROM:<info@mijnbakkerij.nl>\r\nRCPT TO:<%s>\r\nDATA\r\n"
PIECES = ("EHLO", "kassa", "MAIL", "FROM", "RCPT", "TO", "DATA", "From", "Hallo", "\r\n.\r\n")
"""Before each of these, after the dot and after QUIT: twelve places to leave."""
WAYS = ("FIN", "RST", "half-close", "silence")
ROUNDS = 3


class Leaving:
    """One client: what it sends, how it ends, and what it was told."""

    def __init__(self, number: int, place: int, way: str) -> None:
        self.recipient = f"klant{number}@example.net"
        whole = SCRIPT % self.recipient.encode() + MESSAGE
        ends = [whole.index(piece.encode()) for piece in PIECES[:-1]]
        self.sent = [*(whole[:end] for end in ends), whole[:-3], whole, whole + b"QUIT\r\n"][place]
        self.complete = self.sent.startswith(whole)
        self.way = way
        self.promised = False

    def run(self, relay: PreparedRelay) -> None:
        with relay.connect() as peer:
            peer.send(self.sent)
            if self.way == "RST":
                peer.reset()
            elif self.way == "FIN":
                peer.close()
            else:
                if self.way == "half-close":
                    peer.half_close()
                self.promised = self._listen(peer)

    def _listen(self, peer: RawClient) -> bool:
        """Reads to the end; whether the message was said to be accepted."""
        heard = peer.rest().decode()
        if self.way == "silence" and not self.sent.endswith(b"QUIT\r\n"):
            assert heard.endswith("421 4.4.2 waited too long\r\n"), (self.sent, heard)
        return " accepted\r\n" in heard


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[PreparedRelay]:
    kept = '[delivery]\nmode = "hold"\n[[smarthost]]\nname = "isp"\nhost = "127.0.0.1"\nport = 1\ntls = "none"'
    relay = PreparedRelay(tmp_path, kept)
    relay.preparation = patience(command_seconds=1, data_idle_seconds=1)
    with relay:
        yield relay


def test_what_is_promised_is_kept_and_what_is_incomplete_is_not(relay: PreparedRelay) -> None:
    leaving = [
        Leaving(1000 * turn + 10 * place + way, place, WAYS[way])
        for turn in range(ROUNDS)
        for place in range(12)
        for way in range(4)
    ]
    threads = threading.active_count()
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda each: each.run(relay), leaving))
    assert threading.active_count() == threads
    relay.wait_until(lambda: connections(relay) == 0)
    relay.kill9()
    relay.start()
    kept = [one["recipients"][0]["address"] for one in listed(relay)]
    assert len(kept) == len(set(kept))
    promised = {each.recipient for each in leaving if each.promised}
    complete = {each.recipient for each in leaving if each.complete}
    assert promised <= set(kept) <= complete
    # Who closes only his side, or waits in silence, has been told.
    patient = {each.recipient for each in leaving if each.complete and each.way in WAYS[2:]}
    assert promised == patient
    relay.send("info@mijnbakkerij.nl", ["klant@example.net"], b"Subject: x\r\n\r\nx\r\n")


def connections(relay: PreparedRelay) -> int:
    answer = relay.run("status", "--json")
    return int(answer.json["connections"])


def listed(relay: PreparedRelay) -> list[dict[str, list[dict[str, str]]]]:
    found = relay.run("queue", "list", "--json", "--limit", "1000")
    messages: list[dict[str, list[dict[str, str]]]] = found.json["messages"]
    return messages
