"""TLS on the listener: STARTTLS, implicit TLS, and peers that do something else."""

import logging
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.certificates import Authority
from fakes.listening import HOSTNAME, MESSAGE, CheckedClient, Listening, client

from relay.config.model import Listener, TlsMode
from relay.intake.context import Patience
from relay.intake.door import MOST_STRANGERS

HELLO = b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03"


def secured(authority: Authority, tls: TlsMode = TlsMode.STARTTLS) -> Listener:
    pair = authority.issue()
    return Listener("127.0.0.1", 0, tls, pair.chain, pair.key)


@pytest.fixture
def starttls(tmp_path: Path, authority: Authority) -> Iterator[Listening]:
    with Listening(tmp_path, client(), listener=secured(authority)) as listening:
        yield listening


def received_with(listening: Listening) -> list[bytes]:
    async def first(message: int) -> bytes:
        return b"".join([piece async for piece in listening.spool.queue.body(message)])

    headers = [listening.run(first(message.id)) for message in listening.messages()]
    return [header.partition(b" with ")[2].split()[0] for header in headers]


def test_starttls_secures_the_session_which_begins_anew(
    starttls: Listening, authority: Authority
) -> None:
    with starttls.greeted() as peer:
        peer.mail()
        assert peer.command("STARTTLS") == "220 2.0.0 ready to start TLS"
        peer.start_tls(authority.client_context())
        assert peer.command("RCPT TO:<klant@example.net>").startswith("503 5.5.1 send MAIL")
        assert peer.command("MAIL FROM:<a@example.nl>").startswith("503 5.5.1 send EHLO")
        hello = peer.command("EHLO kassa")
        assert hello.startswith(f"250-{HOSTNAME}")
        assert "STARTTLS" not in hello
        assert peer.command("STARTTLS") == "503 5.5.1 TLS is active already"
        peer.mail()
        assert peer.message(MESSAGE).startswith("250")
        assert peer.command("QUIT").startswith("221")
    assert starttls.bodies() == [MESSAGE]
    assert received_with(starttls) == [b"ESMTPS"]
    starttls.until(lambda: starttls.connections == 0)


def test_commands_sent_in_the_clear_behind_starttls_are_forgotten(
    starttls: Listening, authority: Authority
) -> None:
    with starttls.greeted() as peer:
        peer.send(b"STARTTLS\r\nEHLO dief\r\nMAIL FROM:<dief@example.org>\r\nXYZZY")
        assert peer.reply().startswith("220 2.0.0")
        peer.start_tls(authority.client_context())
        assert peer.command("NOOP") == "250 2.0.0 ok"
        assert peer.command("RCPT TO:<a@example.net>").startswith("503 5.5.1 send MAIL")


@pytest.mark.parametrize(
    "garbage", [b"EHLO kassa\r\n", b"\x16\x03\x01\xff\xff" + b"x" * 200, b"\0" * 9]
)
def test_a_handshake_of_garbage_closes_the_connection(
    starttls: Listening, garbage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with starttls.greeted() as peer:
        assert peer.command("STARTTLS").startswith("220")
        peer.send(garbage)
        peer.half_close()
        assert not peer.rest().startswith((b"2", b"5"))
    starttls.until(lambda: starttls.connections == 0)
    assert [each for each in caplog.records if each.levelno >= logging.WARNING] == []


def test_failed_handshakes_take_no_place_among_the_connections(
    tmp_path: Path, authority: Authority, unknown_authority: Authority
) -> None:
    listener = secured(authority)
    with Listening(tmp_path, client(max_connections=1), listener=listener) as listening:
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = unknown_authority.client_context()
            context.maximum_version = version
            with listening.greeted() as peer:
                assert peer.command("STARTTLS").startswith("220")
                with pytest.raises(ssl.SSLCertVerificationError):
                    peer.start_tls(context)
            listening.until(lambda: listening.connections == 0)
        with listening.greeted() as peer:
            peer.command("STARTTLS")
            peer.reset()
        listening.until(lambda: listening.connections == 0)
        with listening.greeted() as peer:
            peer.mail()


@pytest.mark.parametrize("kind", [TlsMode.STARTTLS, TlsMode.IMPLICIT])
def test_a_handshake_that_stalls_is_cut_off(
    tmp_path: Path, authority: Authority, kind: TlsMode
) -> None:
    patience, listener = Patience(handshake_seconds=0.3), secured(authority, kind)
    with (
        Listening(tmp_path, client(), listener=listener, patience=patience) as listening,
        listening.connect() as peer,
    ):
        if kind is TlsMode.STARTTLS:
            assert peer.greet().command("STARTTLS").startswith("220")
        peer.send(HELLO)
        assert peer.rest() == b""
        listening.until(lambda: listening.connections == 0)


def test_a_secured_client_that_falls_silent_is_told_so(
    tmp_path: Path, authority: Authority
) -> None:
    patience = Patience(command_seconds=0.5, closing_seconds=0.2)
    with (
        Listening(tmp_path, client(), listener=secured(authority), patience=patience) as listening,
        listening.greeted() as peer,
    ):
        peer.command("STARTTLS")
        peer.start_tls(authority.client_context())
        assert peer.reply() == "421 4.4.2 waited too long"
        # Without its answer to the end of TLS the connection is closed all the same.
        assert peer.rest() == b""
        listening.until(lambda: listening.connections == 0)


def test_garbage_within_tls_ends_the_session_quietly(
    starttls: Listening, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with starttls.greeted() as peer:
        peer.command("STARTTLS")
        plain = peer._socket.dup()
        peer.start_tls(authority.client_context())
        peer.command("EHLO kassa")
        plain.sendall(b"\x17\x03\x03\x00\x20" + b"x" * 32)
        starttls.until(lambda: starttls.connections == 0)
        plain.close()
    assert [each for each in caplog.records if each.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("kind", [TlsMode.STARTTLS, TlsMode.IMPLICIT])
def test_a_client_that_must_use_tls(tmp_path: Path, authority: Authority, kind: TlsMode) -> None:
    listener = secured(authority, kind)
    with (
        Listening(tmp_path, client(require_tls=True), listener=listener) as listening,
        listening.connect() as peer,
    ):
        if kind is TlsMode.STARTTLS:
            peer.greet()
            assert peer.command("MAIL FROM:<a@example.nl>") == (
                "530 5.7.0 send a STARTTLS command first"
            )
            peer.command("STARTTLS")
            peer.start_tls(authority.client_context())
            peer.command("EHLO kassa")
        else:
            peer.start_tls(authority.client_context())
            assert "STARTTLS" not in peer.reply() + peer.command("EHLO kassa")
        peer.mail()
        assert peer.message(MESSAGE).startswith("250")
        assert received_with(listening) == [b"ESMTPS"]


def test_implicit_tls_lets_only_listed_machines_in(tmp_path: Path, authority: Authority) -> None:
    listener = secured(authority, TlsMode.IMPLICIT)
    with Listening(tmp_path, client(), listener=listener) as listening:
        with listening.connect(source="127.0.0.2") as peer:
            peer.start_tls(authority.client_context())
            assert peer.reply().startswith("554 5.7.1 127.0.0.2 ")
        with listening.connect() as peer:
            peer.send(b"EHLO kassa\r\n")
            assert not peer.rest().startswith(b"2")
        listening.until(lambda: listening.connections == 0)


def test_silent_strangers_hold_few_places(tmp_path: Path, authority: Authority) -> None:
    listener, patience = secured(authority, TlsMode.IMPLICIT), Patience(handshake_seconds=1)
    with Listening(tmp_path, client(), listener=listener, patience=patience) as listening:
        silent = [listening.connect(source="127.0.0.2") for _ in range(MOST_STRANGERS + 5)]
        for peer in silent[MOST_STRANGERS:]:
            assert peer.rest() == b""
            peer.close()
        with listening.connect() as peer:
            peer.start_tls(authority.client_context())
            peer.greet().mail()
            assert peer.message(MESSAGE).startswith("250")
        for peer in silent[:MOST_STRANGERS]:
            assert peer.rest() == b""
            peer.close()
        # Their time is over: the next may be told again why it is refused.
        with listening.connect(source="127.0.0.2") as peer:
            peer.start_tls(authority.client_context())
            assert peer.reply().startswith("554 5.7.1 127.0.0.2 ")
        listening.until(lambda: listening.intake.door._strangers == 0)


def test_silence_before_implicit_tls_counts_as_a_connection(
    tmp_path: Path, authority: Authority
) -> None:
    listener, patience = secured(authority, TlsMode.IMPLICIT), Patience(handshake_seconds=1)
    few = client(max_connections=2)
    with Listening(tmp_path, few, listener=listener, patience=patience) as listening:
        silent = [listening.connect() for _ in range(2)]
        listening.until(lambda: listening.connections == 2)
        with listening.connect() as peer:
            peer.start_tls(authority.client_context())
            assert peer.reply() == "421 4.7.0 127.0.0.1 has too many connections open"
        for peer in silent:
            assert peer.rest() == b""
            peer.close()
        listening.until(lambda: listening.connections == 0)
        with listening.connect() as peer:
            peer.start_tls(authority.client_context())
            peer.greet()


def test_a_certificate_that_was_replaced_serves_new_connections(
    tmp_path: Path, authority: Authority, unknown_authority: Authority
) -> None:
    listener = secured(unknown_authority)
    with Listening(tmp_path, client(), listener=listener) as listening:
        assert listener.certificate is not None
        pair = authority.issue()
        listener.certificate.write_bytes(pair.chain.read_bytes())
        assert listener.key is not None
        listener.key.write_bytes(pair.key.read_bytes())
        listening.call(lambda: listening.listeners.reload(listening.config))
        with listening.greeted() as peer:
            peer.command("STARTTLS")
            peer.start_tls(authority.client_context())
            assert peer.command("NOOP").startswith("250")


# --- TLS where none is spoken ---


@pytest.mark.parametrize("kind", [TlsMode.NONE, TlsMode.STARTTLS])
@pytest.mark.parametrize("first", [len(HELLO), 1, 2])
def test_a_tls_handshake_on_a_plain_port_is_answered_at_once(
    tmp_path: Path, authority: Authority, kind: TlsMode, first: int
) -> None:
    listener = Listener("127.0.0.1", 0) if kind is TlsMode.NONE else secured(authority)
    with Listening(tmp_path, client(), listener=listener) as listening:
        with CheckedClient(listening.host, listening.port) as peer:
            peer.send(HELLO[:first])
            peer.reply()
            assert peer.reply() == "421 4.7.0 this port speaks SMTP, not HTTP or TLS"
            assert peer.rest() == b""
        listening.until(lambda: listening.connections == 0)
