"""Who misbehaves delays nobody else: the good mail's own way through the relay is timed."""

import contextlib
import sqlite3
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.prepared_relay import PreparedRelay
from fakes.raw_client import RawClient
from fakes.relay_process import RelayProcess
from fakes.script import Action, Behaviour, when
from fakes.smarthost import Smarthost

MOST_SECONDS = 2.0
SENDER = "info@mijnbakkerij.nl"
BATCH = 25
CLIENTS = """
[[client]]
name = "kassa"
networks = ["127.0.0.1"]

[[client]]
name = "scanner"
networks = ["127.0.0.2"]

[[route]]
recipient = "*@zwart.example"
smarthost = ["hole"]

[[route]]
smarthost = ["isp"]
"""
# A message that none of the relay's code can cope with.
POISON = """
from relay.delivery import packing
real = packing.address_message
def faulty(config, claim, *rest):
    if claim.envelope.reverse_path == "poison@mijnbakkerij.nl":
        raise RuntimeError("a fault of ours")
    return real(config, claim, *rest)
packing.address_message = faulty
"""


def table(smarthost: Smarthost, name: str, connections: int) -> str:
    return f"""
[[smarthost]]
name = "{name}"
host = "127.0.0.1"
port = {smarthost.port}
tls = "none"
max_connections = {connections}
"""


@pytest.fixture
def good() -> Iterator[Smarthost]:
    with Smarthost() as smarthost:
        yield smarthost


@pytest.fixture
def relay(tmp_path: Path, good: Smarthost) -> PreparedRelay:
    return PreparedRelay(tmp_path, CLIENTS + table(good, "isp", 4))


def say(client: RawClient, sender: str, recipient: str) -> None:
    """One message, which must be accepted."""
    for line in (f"MAIL FROM:<{sender}>", f"RCPT TO:<{recipient}>"):
        reply = client.command(line)
        assert reply.startswith("250"), reply
    reply = client.message(b"Subject: x\r\n\r\nx\r\n")
    assert reply.startswith("250"), reply


@contextlib.contextmanager
def greeted(relay: RelayProcess, source: str | None = None) -> Iterator[RawClient]:
    with relay.connect(source) as client:
        assert client.reply().startswith("220")
        client.command("EHLO kassa")
        yield client


def longest_delay_seconds(relay: RelayProcess, good: Smarthost, count: int) -> float:
    """Sends good mail in batches; the longest time from the first byte of one to its arrival."""
    began: dict[str, float] = {}
    before = len(good.accepted)
    with greeted(relay) as client:
        for first in range(0, count, BATCH):
            for number in range(first, first + BATCH):
                recipient = f"goed{before}-{number}@example.net"
                began[recipient] = time.monotonic()
                say(client, SENDER, recipient)
            good.wait_until(lambda: arrivals(good).keys() >= began.keys())
    arrived = arrivals(good)
    return max(arrived[recipient] - at for recipient, at in began.items())


def arrivals(good: Smarthost) -> dict[str, float]:
    """When each recipient's mail arrived, on the monotonic clock of this process."""
    return {path.address: one.arrived for one in good.accepted for path in one.recipients}


@pytest.mark.parametrize(
    ("moment", "count"), [("CONNECT", 500), ("EHLO", 100), ("MAIL", 100), ("DOT", 100)]
)
def test_a_smarthost_that_never_answers(
    relay: PreparedRelay, good: Smarthost, moment: str, count: int
) -> None:
    never = threading.Event()
    with Smarthost(Behaviour({moment: Action(wait_for=never)})) as hole:
        relay.tables += table(hole, "hole", 20)
        with relay:
            with greeted(relay) as client:
                for number in range(50):
                    say(client, SENDER, f"klant{number}@zwart.example")
            hole.wait_until(lambda: bool(hole.sessions))
            assert longest_delay_seconds(relay, good, count) < MOST_SECONDS
            assert len(relay.queue()) == 50
            assert relay.log_events("deferred") == []


def test_a_recipient_who_is_always_put_off(relay: PreparedRelay, good: Smarthost) -> None:
    good.behaviour.script = {"RCPT": when({"vol@": "452 4.2.2 mailbox full"})}
    with Smarthost() as hole:
        relay.tables += table(hole, "hole", 1)
        with relay:
            with greeted(relay) as client:
                for _ in range(100):
                    say(client, SENDER, "vol@example.net")
            relay.retry_all()
            assert longest_delay_seconds(relay, good, 100) < MOST_SECONDS
            assert len(relay.queue()) == 100


def test_messages_that_provoke_a_fault_of_ours(relay: PreparedRelay, good: Smarthost) -> None:
    relay.preparation = (POISON,)
    with Smarthost() as hole:
        relay.tables += table(hole, "hole", 1)
        with relay:
            with greeted(relay) as client:
                for _ in range(20):
                    say(client, "poison@mijnbakkerij.nl", "klant@example.net")
            assert longest_delay_seconds(relay, good, 100) < MOST_SECONDS
            relay.wait_for_event("deferred", 20)
            for _ in range(2):  # the third fault sets a message aside
                relay.retry_all()
                assert longest_delay_seconds(relay, good, 25) < MOST_SECONDS
            relay.wait_for_event("held", 20)
            assert {one["state"] for one in relay.queue()} == {"held"}


def test_a_client_that_drips_floods_and_holds_fifty_connections(
    relay: PreparedRelay, good: Smarthost
) -> None:
    over = threading.Event()
    with Smarthost() as hole, contextlib.ExitStack() as held:
        relay.tables += table(hole, "hole", 1)
        with relay:
            pests = [held.enter_context(relay.connect("127.0.0.2")) for _ in range(50)]
            floods, drips, _silent = pests[:5], pests[5:30], pests[30:]
            for client in pests:
                assert client.reply().startswith("220")
            for client in drips:
                client.command("HELO x")
                client.command(f"MAIL FROM:<{SENDER}>")
                client.command("RCPT TO:<klant@example.net>")
                client.command("DATA")
            threads = [
                threading.Thread(target=flood, args=(relay, floods, over)),
                threading.Thread(target=drip, args=(drips, over)),
            ]
            for thread in threads:
                thread.start()
            try:
                assert longest_delay_seconds(relay, good, 200) < MOST_SECONDS
                with relay.connect("127.0.0.2") as another:
                    assert another.reply().startswith(("421", "220"))
            finally:
                over.set()
                for thread in threads:
                    thread.join()


HEAVY = (
    *("queue?limit=1000", "queue?limit=1000&state=queued", "status"),
    *("today", "devices", "messages?q=nergens", "messages?recipient=nergens&limit=50"),
)
"""What commands and the page ask that costs most."""


def test_heavy_questions_about_a_hundred_thousand_messages(
    relay: PreparedRelay, good: Smarthost
) -> None:
    over = threading.Event()
    asked: list[float] = []
    with Smarthost() as hole:
        relay.tables += table(hole, "hole", 1)
        with relay:
            with greeted(relay) as client:
                hole.stop()
                say(client, SENDER, "klant@zwart.example")
            relay.wait_for_event("paused")
            assert relay.sigterm() == 0
            multiply(relay.spool, 100_000)
            relay.start()
            threads = [
                threading.Thread(target=ask, args=(relay, path, over, asked)) for path in HEAVY * 7
            ]
            for thread in threads:
                thread.start()
            try:
                assert longest_delay_seconds(relay, good, 100) < MOST_SECONDS
            finally:
                over.set()
                for thread in threads:
                    thread.join()
            assert asked
            wal = relay.spool.with_name("spool.db-wal")
            assert wal.stat().st_size < 64_000_000


def multiply(spool: Path, count: int) -> None:
    """Makes `count` queued messages of the one that there is, not due for a day."""
    with contextlib.closing(sqlite3.connect(spool)) as connection, connection:
        connection.execute("UPDATE queue SET due_at = due_at + 86400000000")
        for name, key in (("message", "id"), ("recipient", "message"), ("queue", "message")):
            every = [row[1] for row in connection.execute(f"PRAGMA table_info({name})")]
            rest = ", ".join(each for each in every if each != key)
            connection.execute(
                f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
                f"INSERT INTO {name} ({key}, {rest}) SELECT {key} - i, {rest} FROM n, {name}",
                (count,),
            )


def ask(relay: RelayProcess, path: str, over: threading.Event, asked: list[float]) -> None:
    token = relay.spool.with_name("control.token").read_text().strip()
    while not over.is_set():
        request = urllib.request.Request(
            f"http://127.0.0.1:{relay.web_port}/api/v1/{path}",
            headers={"Authorization": f"Bearer {token}"},
        )
        began = time.monotonic()
        with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=30) as answer:
            answer.read()
            asked.append(time.monotonic() - began)


def drip(clients: list[RawClient], over: threading.Event) -> None:
    while not over.wait(0.02):
        for client in clients:
            with contextlib.suppress(OSError):
                client.send(b"x")


def flood(relay: RelayProcess, clients: list[RawClient], over: threading.Event) -> None:
    """Commands without end, and a new connection for each that is ended."""
    commands = b"NOOP\r\nXYZZY\r\nMAIL FROM:<<\r\n" * 200
    with contextlib.ExitStack() as opened:
        while not over.is_set():
            for at, client in enumerate(clients):
                try:
                    client.send(commands)
                    client.line()
                except OSError:
                    clients[at] = opened.enter_context(relay.connect("127.0.0.2"))
