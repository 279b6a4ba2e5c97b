"""Envelopes that few programs send, from the client to the smarthost and in the spool."""

import contextlib
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.relay_process import RelayProcess
from fakes.script import Action, Behaviour
from fakes.smarthost import Smarthost

SENDER, RECIPIENT = "info@mijnbakkerij.nl", "klant@example.net"
CONTENT = b"Subject: x\r\n\r\nx\r\n"
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters but for tab and line feed, which no stored text of an envelope has either."""


@pytest.fixture
def smarthost() -> Iterator[Smarthost]:
    with Smarthost() as smarthost:
        yield smarthost


@pytest.fixture
def relay(tmp_path: Path, smarthost: Smarthost) -> Iterator[RelayProcess]:
    plain = (
        f'[[smarthost]]\nname = "isp"\nhost = "127.0.0.1"\nport = {smarthost.port}\ntls = "none"'
    )
    with RelayProcess(tmp_path, plain, listener="max_recipients = 3") as relay:
        yield relay


def test_the_null_sender_leaves_as_such(relay: RelayProcess, smarthost: Smarthost) -> None:
    relay.send("", [RECIPIENT], CONTENT)
    smarthost.wait_for(1)
    commands = [line for session in smarthost.sessions for line in session.commands]
    assert [line.split()[1] for line in commands if line.startswith("MAIL")] == ["FROM:<>"]


def test_each_exact_address_gets_one(relay: RelayProcess, smarthost: Smarthost) -> None:
    twice = ["a@example.net", "A@example.net", "a@example.net", "a@EXAMPLE.net", "A@example.net"]
    relay.send(SENDER, twice, CONTENT)
    smarthost.wait_for(1)
    relay.wait_until(lambda: relay.queue() == [])
    got = Counter(path.address for each in smarthost.accepted for path in each.recipients)
    assert got == Counter(set(twice))


def test_those_beyond_the_limit_come_when_they_are_sent_again(
    relay: RelayProcess, smarthost: Smarthost
) -> None:
    names = [f"r{number}@example.net" for number in range(5)]
    waiting = names
    with relay.connect() as client:
        client.reply()
        client.command("HELO kassa")
        while waiting:
            client.command(f"MAIL FROM:<{SENDER}>")
            replies = {name: client.command(f"RCPT TO:<{name}>") for name in waiting}
            assert client.message(CONTENT).startswith("250")
            assert all(reply.startswith(("250", "452 4.5.3")) for reply in replies.values())
            waiting = [name for name, reply in replies.items() if reply.startswith("452")]
    smarthost.wait_for(2)
    got = [path.address for each in smarthost.accepted for path in each.recipients]
    assert sorted(got) == names


HOSTILE = [
    bytes([code]) for code in (*range(32), 127, 128, 155, 255) if code not in (10, 13, 32)
] + [b"\r", b"\x1b[2J", b"\xed\xa0\x80", b"\xc2\x85", "\u202e".encode(), "\u2028".encode()]


def test_no_control_character_gets_into_the_spool_or_into_a_trace(
    relay: RelayProcess, smarthost: Smarthost
) -> None:
    refused = 0
    for evil in HOSTILE:
        with relay.connect() as client:
            client.reply()
            client.send(b"EHLO kas" + evil + b"sa\r\n")
            assert client.reply().startswith("250")
            for command in (
                b"MAIL FROM:<in" + evil + b"fo@mijnbakkerij.nl> SMTPUTF8",
                b'MAIL FROM:<"in' + evil + b'fo"@mijnbakkerij.nl> SMTPUTF8',
                b"MAIL FROM:<info@mijnbakkerij.nl> ENVID=a" + evil + b"b",
            ):
                client.send(command + b"\r\n")
                reply = client.reply()
                assert reply.startswith(("501 5.1.7", "501 5.5.4")), (command, reply)
                assert CONTROL.search(reply) is None
                refused += 1
            assert client.command(f"MAIL FROM:<{SENDER}> SMTPUTF8").startswith("250")
            for command in (
                b"RCPT TO:<kl" + evil + b"ant@example.net>",
                b"RCPT TO:<klant@exa" + evil + b"mple.net>",
                b"RCPT TO:<klant@example.net> ORCPT=utf-8;a" + evil + b"b",
            ):
                client.send(command + b"\r\n")
                assert client.reply().startswith(("501 5.1.3", "501 5.5.4")), command
                refused += 1
            assert client.command(f"RCPT TO:<{RECIPIENT}>").startswith("250")
            assert client.message(CONTENT).startswith("250 2.0.0")
    arrived = smarthost.wait_for(len(HOSTILE))
    for each in arrived:
        trace = each.content.partition(b"\r\nDate:")[0]
        assert re.fullmatch(rb"Received: from [ -~\r\n\t]+", trace)
        assert b"kas?" in trace
    assert refused == 6 * len(HOSTILE)
    texts = list(stored_texts(relay.spool))
    assert any(SENDER in text for text in texts)
    assert [text for text in texts if CONTROL.search(text)] == []
    assert [line for line in relay.stderr.splitlines() if CONTROL.search(line)] == []


def stored_texts(spool: Path) -> Iterator[str]:
    """Every text in every row of the spool."""
    with contextlib.closing(sqlite3.connect(f"file:{spool}?mode=ro", uri=True)) as reader:
        names = [
            name for (name,) in reader.execute("SELECT name FROM sqlite_master WHERE type='table'")
        ]
        for name in names:
            for row in reader.execute(f'SELECT * FROM "{name}"'):
                yield from (value for value in row if isinstance(value, str))


def test_utf8_goes_only_where_it_is_taken(tmp_path: Path) -> None:
    without = Behaviour(capabilities=("8BITMIME",), script={"RCPT": Action()})
    with Smarthost(without) as smarthost:
        plain = f'[[smarthost]]\nname = "isp"\nhost = "127.0.0.1"\nport = {smarthost.port}\ntls = "none"'
        with RelayProcess(tmp_path, plain) as relay, relay.connect() as client:
            client.reply()
            client.command("EHLO kassa")
            for command in (f"MAIL FROM:<{SENDER}> SMTPUTF8", "RCPT TO:<bäcker@bäckerei.example>"):
                assert client.command(command).startswith("250")
            assert client.message(CONTENT).startswith("250")
            (failed,) = relay.wait_for_event("failed")
            assert failed["cause"]
            report = smarthost.wait_for(1)[0]
            assert b"5.6.7" in report.content
            commands = [line for session in smarthost.sessions for line in session.commands]
            assert all(line.isascii() for line in commands)
