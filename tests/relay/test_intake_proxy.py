"""Behind a load balancer: whose a connection is, and who may say so."""

import logging
import ssl
import struct
from collections.abc import Iterator
from datetime import timedelta
from ipaddress import IPv4Address, ip_network
from pathlib import Path
from typing import Any

import pytest
from fakes.certificates import Authority
from fakes.listening import MESSAGE, NOON, CheckedClient, Listening, client

from relay.config.model import Listener, TlsMode
from relay.intake.context import Patience

BALANCER = "127.0.0.9"
KASSA, STRANGER = "192.168.1.20", "192.168.1.99"
LOCAL = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"
NO_HEADER = f"421 4.7.0 {BALANCER} must begin with a PROXY header; see listener.proxy_protocol"
UNLISTED = f"554 5.7.1 {STRANGER} is not listed; relay client allow {STRANGER}"


def trusting(**settings: Any) -> Listener:
    given = {"proxy_protocol": (ip_network(BALANCER),), **settings}
    return Listener("127.0.0.1", 0, **given)


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[Listening]:
    with Listening(tmp_path, client("kassa", KASSA), listener=trusting()) as listening:
        yield listening


def text(source: str) -> bytes:
    return f"PROXY TCP4 {source} 10.0.0.1 4000 25\r\n".encode()


def binary(source: str, more: bytes = b"") -> bytes:
    block = IPv4Address(source).packed + bytes(4) + struct.pack("!HH", 4000, 25) + more
    return LOCAL[:12] + b"\x21\x11" + len(block).to_bytes(2, "big") + block


def mapped(source: str) -> bytes:
    return f"PROXY TCP6 ::ffff:{source} ::1 4000 25\r\n".encode()


def passed_on(listening: Listening, header: bytes) -> CheckedClient:
    peer = listening.connect(BALANCER)
    peer.send(header)
    return peer


HEADERS = {
    "v1": text,
    "v1 mapped": mapped,
    "v2": binary,
    "v2 with a TLV": lambda a: binary(a, b"\x04\0\0"),
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_the_client_is_whom_the_balancer_announces(
    listening: Listening, header: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with passed_on(listening, header(KASSA)) as peer:
        peer.greet().mail()
        assert peer.message(MESSAGE).startswith("250")
    (message,) = listening.messages()
    assert (message.client, message.client_address) == ("kassa", KASSA)
    accepted = [each.fields for each in caplog.records if each.msg == "accepted"]  # type: ignore[attr-defined]
    assert [each["address"] for each in accepted] == [KASSA]
    with passed_on(listening, header(STRANGER)) as peer:
        assert peer.reply() == UNLISTED
        assert peer.rest() == b""
    assert [str(each.address) for each in listening.intake.door.refused.drain()] == [STRANGER]
    listening.until(lambda: listening.connections == 0)


def test_a_header_may_come_in_pieces_and_with_the_first_commands(listening: Listening) -> None:
    for header in (text(KASSA), binary(KASSA)):
        with listening.connect(BALANCER) as peer:
            peer.send_byte_by_byte(header)
            peer.greet().mail()
        with passed_on(listening, header + b"EHLO kassa\r\nNOOP\r\n") as peer:
            assert peer.reply().startswith("220 ")
            assert peer.reply().startswith("250-relay.")
            assert peer.reply() == "250 2.0.0 ok"


@pytest.mark.parametrize(
    "data", [b"EHLO kassa\r\n", b"E", b"\x16\x03\x01", LOCAL[:12] + b"\x31", b"PROXY TCP4\r\n"]
)
def test_a_trusted_peer_without_a_header_is_shown_out(listening: Listening, data: bytes) -> None:
    with passed_on(listening, data) as peer:
        assert peer.reply() == NO_HEADER
        assert peer.rest() == b""
    listening.until(lambda: listening.connections == 0)


def test_nothing_after_a_bad_header_is_obeyed(
    listening: Listening, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    mail = b"EHLO a\r\nMAIL FROM:<a@b.nl>\r\nRCPT TO:<c@d.nl>\r\nDATA\r\n"
    with passed_on(listening, b"PROXY TCP4 x\r\n" + text(KASSA) + mail) as peer:
        assert peer.rest().decode() in (NO_HEADER + "\r\n", "")  # a reset may overtake it
    assert listening.messages() == ()
    refused = [each.fields for each in caplog.records if each.msg == "refused"]  # type: ignore[attr-defined]
    assert [each["address"] for each in refused] == [BALANCER]


def test_a_header_that_does_not_come_is_waited_for_a_while(tmp_path: Path) -> None:
    listener, patience = trusting(max_connections=2), Patience(header_seconds=0.5)
    with Listening(
        tmp_path, client("kassa", KASSA), listener=listener, patience=patience
    ) as listening:
        first, second = passed_on(listening, b""), passed_on(listening, text(KASSA)[:-1])
        listening.until(lambda: listening.connections == 2)
        # Those who are silent count: no more places than are allowed.
        with passed_on(listening, text(KASSA)) as third:
            assert third.rest().decode() in ("421 4.3.2 too busy, try again in a moment\r\n", "")
        for peer in (first, second):
            assert peer.reply() == NO_HEADER
            assert peer.rest() == b""
            peer.close()
        listening.until(lambda: listening.connections == 0)
        with passed_on(listening, text(KASSA)) as peer:
            peer.greet().mail()


def test_to_anyone_else_a_header_is_an_unknown_command(tmp_path: Path) -> None:
    clients = client("balie", "127.0.0.1"), client("kassa", KASSA)
    with Listening(tmp_path, *clients, listener=trusting()) as listening:
        with listening.connect() as peer:
            assert peer.reply().startswith("220 ")
            assert peer.command(text(KASSA).decode().strip()) == "500 5.5.1 unknown command"
            peer.command("EHLO kassa")
            peer.mail()
            assert peer.message(MESSAGE).startswith("250")
        (message,) = listening.messages()
        assert (message.client, message.client_address) == ("balie", "127.0.0.1")
        with listening.connect("127.0.0.2") as peer:
            peer.send(text(KASSA))
            assert peer.reply().startswith("554 5.7.1 127.0.0.2 ")


@pytest.mark.parametrize(
    "header",
    [b"PROXY UNKNOWN\r\n", LOCAL[:12] + b"\x21\0\0\0", LOCAL[:12] + b"\x21\x31\0\xd8" + bytes(216)],
)
@pytest.mark.parametrize("listed", [False, True])
def test_a_client_that_the_balancer_does_not_know_is_refused(
    tmp_path: Path, header: bytes, listed: bool
) -> None:
    networks = (KASSA, BALANCER) if listed else (KASSA,)
    with Listening(tmp_path, client("kassa", *networks), listener=trusting()) as listening:
        with passed_on(listening, header) as peer:
            assert peer.reply() == (
                f"554 5.7.1 {BALANCER} does not say whose connection this is (PROXY UNKNOWN)"
            )
            assert peer.rest() == b""
        listening.until(lambda: listening.connections == 0)


@pytest.mark.parametrize("header", [LOCAL, text(BALANCER)], ids=["LOCAL", "its own address"])
def test_a_health_check_is_greeted_and_cannot_send(listening: Listening, header: bytes) -> None:
    for until in (None, NOON + timedelta(minutes=10)):  # in a learning window neither
        listening.intake.door.learning_until = until
        with passed_on(listening, header) as peer:
            peer.greet()
            assert peer.command("MAIL FROM:<a@b.nl>") == (
                f"554 5.7.1 {BALANCER} is not listed; relay client allow {BALANCER}"
            )
            assert peer.command("RCPT TO:<c@d.nl>").startswith("503")
            assert peer.command("DATA").startswith("503")
            assert peer.command("QUIT").startswith("221")
    assert listening.messages() == ()


@pytest.mark.parametrize("header", [LOCAL, text(BALANCER)], ids=["LOCAL", "its own address"])
def test_a_balancer_that_is_listed_may_send_its_own_mail(tmp_path: Path, header: bytes) -> None:
    with Listening(tmp_path, client("kassa", BALANCER), listener=trusting()) as listening:
        with passed_on(listening, header) as peer:
            peer.greet().mail()
            assert peer.message(MESSAGE).startswith("250")
            listening.change(client("kassa", KASSA))
            assert peer.command("MAIL FROM:<a@b.nl>").startswith("554 5.7.1 ")
        assert [each.client_address for each in listening.messages()] == [BALANCER]


def test_limits_are_those_of_the_announced_client(tmp_path: Path) -> None:
    clients = client("kassa", KASSA, max_connections=1), client("balie", "192.168.1.21")
    with (
        Listening(tmp_path, *clients, listener=trusting()) as listening,
        passed_on(listening, text(KASSA)) as first,
    ):
        first.greet()
        with passed_on(listening, text(KASSA)) as second:
            assert second.reply() == f"421 4.7.0 {KASSA} has too many connections open"
        with passed_on(listening, text("192.168.1.21")) as other:
            other.greet()


@pytest.mark.parametrize("header", [text, binary], ids=["v1", "v2"])
def test_starttls_and_a_second_header(tmp_path: Path, authority: Authority, header: Any) -> None:
    pair = authority.issue()
    listener = trusting(tls=TlsMode.STARTTLS, certificate=pair.chain, key=pair.key)
    with (
        Listening(tmp_path, client("kassa", KASSA), listener=listener) as listening,
        passed_on(listening, header(KASSA)) as peer,
    ):
        peer.greet().command("STARTTLS")
        peer.start_tls(authority.client_context())
        assert peer.command(text(STRANGER).decode().strip()).startswith("500 5.5.1")
        peer.command("EHLO kassa")
        peer.mail()
        assert peer.message(MESSAGE).startswith("250")
        assert [each.client_address for each in listening.messages()] == [KASSA]


@pytest.mark.parametrize("header", [text, binary], ids=["v1", "v2"])
def test_implicit_tls_begins_after_the_header(
    tmp_path: Path, authority: Authority, header: Any
) -> None:
    pair = authority.issue()
    listener = trusting(tls=TlsMode.IMPLICIT, certificate=pair.chain, key=pair.key)
    patience = Patience(header_seconds=0.5)
    with Listening(
        tmp_path, client("kassa", KASSA), listener=listener, patience=patience
    ) as listening:
        with passed_on(listening, header(KASSA)) as peer:
            peer.start_tls(authority.client_context())
            peer.greet().mail()
            assert peer.message(MESSAGE).startswith("250")
        assert [each.client_address for each in listening.messages()] == [KASSA]
        with passed_on(listening, header(STRANGER)) as peer:
            peer.start_tls(authority.client_context())
            assert peer.reply() == UNLISTED
        # In one segment with the first bytes of the handshake.
        with passed_on(listening, header(KASSA) + b"\x16\x03\x01\0\x01\0") as peer:
            peer.half_close()
            assert not peer.rest().startswith((b"2", b"4", b"5"))
        for data in (b"", b"EHLO kassa\r\n", b"\x16\x03\x01\0\x01\0"):
            with passed_on(listening, data) as peer:
                assert peer.rest() == b""  # no word that a TLS client could not read
        listening.until(lambda: listening.connections == 0)


def test_the_header_and_the_handshake_in_one_segment(tmp_path: Path, authority: Authority) -> None:
    pair = authority.issue()
    listener = trusting(tls=TlsMode.IMPLICIT, certificate=pair.chain, key=pair.key)
    with (
        Listening(tmp_path, client("kassa", KASSA), listener=listener) as listening,
        listening.connect(BALANCER) as peer,
    ):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = authority.client_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
        opening = text(KASSA)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                peer.send(opening + outgoing.read())
                opening = b""
                incoming.write(peer._receive())
        peer.send(outgoing.read())
        while not tls.pending():
            incoming.write(peer._receive())
            try:
                greeting = tls.read()
                break
            except ssl.SSLWantReadError:
                continue
        assert greeting.startswith(b"220 ")


def test_a_peer_that_leaves_before_its_header_leaves_nothing(listening: Listening) -> None:
    for data in (b"", b"PROXY TCP4"):
        passed_on(listening, data).close()
        passed_on(listening, data).reset()
    listening.until(lambda: listening.connections == 0)
