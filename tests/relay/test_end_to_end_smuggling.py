"""SMTP smuggling through a running relay: what comes in as one message leaves as one message."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.certificates import Authority
from fakes.raw_client import RawClient
from fakes.relay_process import RelayProcess
from fakes.script import Behaviour
from fakes.smarthost import Smarthost
from fakes.smuggling import SMUGGLING

SENDER, RECIPIENT = "info@mijnbakkerij.nl", "klant@example.net"
ENVELOPE = f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<{RECIPIENT}>\r\nDATA\r\n".encode()
HEAD = b"From: info@mijnbakkerij.nl\r\nSubject: %d\r\n\r\nHallo"
INNER = b"MAIL FROM:<dief@example.org>\r\nRCPT TO:<buit@example.org>\r\nDATA\r\nbuit\r\n"
END = b".\r\n"
BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")
PLAIN = ("PIPELINING", "8BITMIME")


@pytest.fixture
def smarthost() -> Iterator[Smarthost]:
    with Smarthost(Behaviour(capabilities=PLAIN)) as smarthost:
        yield smarthost


@pytest.fixture
def relay(tmp_path: Path, smarthost: Smarthost, authority: Authority) -> Iterator[RelayProcess]:
    plain = (
        f'[[smarthost]]\nname = "isp"\nhost = "127.0.0.1"\nport = {smarthost.port}\ntls = "none"'
    )
    pair = authority.issue()
    tls = f'tls = "starttls"\ncertificate = "{pair.chain}"\nkey = "{pair.key}"'
    with RelayProcess(tmp_path, plain, listener=tls) as relay:
        yield relay


def attempts() -> list[tuple[bytes, bytes, bytes]]:
    """Every form, cut in two at every place within its ending: the halves, and what arrives."""
    made: list[tuple[bytes, bytes, bytes]] = []
    for ending, kept in SMUGGLING.values():
        for cut in range(len(ending) + 1):
            head = HEAD % len(made)
            content = head + kept + INNER
            made.append((head + ending[:cut], ending[cut:] + INNER + END, content))
    return made


def step_by_step(peer: RawClient, first: bytes, second: bytes) -> None:
    """The message in two segments, after the 354."""
    peer.send(ENVELOPE)
    assert [peer.reply()[:3] for _ in range(3)] == ["250", "250", "354"]
    peer.send(first)
    peer.send(second)
    assert peer.reply().startswith("250 2.0.0 ")
    assert peer.command("VRFY x").startswith("252 2.5.0")  # no inner command was answered


def pipelined(peer: RawClient, first: bytes, second: bytes) -> None:
    """Commands and message in one piece, without waiting for any reply."""
    peer.send(ENVELOPE + first)
    peer.send(second + b"VRFY x\r\n")
    assert [peer.reply()[:3] for _ in range(5)] == ["250", "250", "354", "250", "252"]


@pytest.mark.parametrize("send", [step_by_step, pipelined])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
def test_each_form_cut_at_every_place_is_one_message(
    relay: RelayProcess, smarthost: Smarthost, authority: Authority, tls: bool, send: object
) -> None:
    assert callable(send)
    with relay.connect() as peer:
        peer.reply()
        peer.command("EHLO kassa")
        if tls:
            assert peer.command("STARTTLS").startswith("220")
            peer.start_tls(authority.client_context())
            peer.command("EHLO kassa")
        for first, second, _ in attempts():
            send(peer, first, second)
        peer.command("QUIT")
    wanted = [content for _, _, content in attempts()]
    arrived = smarthost.wait_for(len(wanted))
    relay.wait_until(lambda: relay.queue() == [])
    assert len(smarthost.received) == len(wanted)
    for each in arrived:
        assert each.sender.address == SENDER
        assert [path.address for path in each.recipients] == [RECIPIENT]
        number = re.search(rb"Subject: (\d+)", each.content)
        assert number is not None
        assert each.content.endswith(wanted[int(number[1])])
    leaves_no_way_out(smarthost, len(wanted))


def leaves_no_way_out(smarthost: Smarthost, messages: int) -> None:
    """Looks at the very bytes that the smarthost got."""
    wire = b"".join(bytes(session.received) for session in smarthost.sessions)
    assert BARE.search(wire) is None
    assert wire.count(b"\r\n.\r\n") == messages
    commands = [line for session in smarthost.sessions for line in session.commands]
    assert sum(line.startswith("MAIL") for line in commands) == messages
    assert not any("example.org" in line for line in commands)


@pytest.mark.parametrize("begun", [False, True], ids=["outside", "in a transaction"])
def test_no_chunk_is_ever_taken_for_commands(
    relay: RelayProcess, smarthost: Smarthost, begun: bool
) -> None:
    inner = b"RSET\r\n" + ENVELOPE.replace(RECIPIENT.encode(), b"buit@example.org") + b"x\r\n.\r\n"
    for verb in (b"BDAT %d LAST", b"BDAT %d", b"XEXCH50 %d 2", b"bdat %d"):
        with relay.connect() as peer:
            peer.reply()
            peer.command("EHLO kassa")
            if begun:
                peer.send(ENVELOPE.removesuffix(b"DATA\r\n"))
                assert [peer.reply()[:3], peer.reply()[:3]] == ["250", "250"]
            peer.send(verb % len(inner) + b"\r\n" + inner)
            assert peer.reply() == "502 5.5.1 not supported"
            assert peer.rest() == b""
    assert relay.queue() == []
    assert relay.log_events("accepted") == []
    assert smarthost.sessions == []
