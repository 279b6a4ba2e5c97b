"""The relay as a process: how it starts, refuses to start, ends, and takes hurried clients."""

import smtplib  # noqa: TID251 -- an independent client
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.certificates import Authority
from fakes.invoice import invoice
from fakes.raw_client import stuffed
from fakes.relay_process import RelayProcess
from fakes.script import Behaviour
from fakes.smarthost import Smarthost

SENDER = "info@mijnbakkerij.nl"
CONTENT = invoice(SENDER, ["een@example.net"])


@pytest.fixture
def smarthost(authority: Authority) -> Iterator[Smarthost]:
    context = authority.issue().server_context()
    with Smarthost(
        Behaviour(tls="starttls", context=context, users={"bakker": "geheim"})
    ) as smarthost:
        yield smarthost


@pytest.fixture
def relay(tmp_path: Path, authority: Authority, smarthost: Smarthost) -> RelayProcess:
    relay = RelayProcess(tmp_path)
    relay.add_smarthost(smarthost.port, authority.ca_file)
    return relay


def test_three_messages_in_one_segment_are_three_messages(
    relay: RelayProcess, smarthost: Smarthost
) -> None:
    bodies = [f"Subject: {n}\r\n\r\n..dot {n}\r\n".encode() for n in range(3)]
    envelope = f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<een@example.net>\r\nDATA\r\n".encode()
    with relay:
        with relay.connect() as client:
            client.reply()
            client.command("EHLO kassa")
            client.send(b"".join(envelope + one + b".\r\n" for one in bodies) + b"QUIT\r\n")
            replies = [client.reply()[:3] for _ in range(13)]
            assert client.rest() == b""
        assert replies == ["250", "250", "354", "250"] * 3 + ["221"]
        arrived = smarthost.wait_for(3)
    assert sorted(one.content.partition(b"\r\n\r\n")[2] for one in arrived) == [
        b".dot 0\r\n",
        b".dot 1\r\n",
        b".dot 2\r\n",
    ]


def test_too_big_is_said_at_mail_and_after_the_dot_and_the_session_goes_on(
    relay: RelayProcess, smarthost: Smarthost
) -> None:
    relay.listener = "max_message_bytes = 20000"
    with relay:
        with smtplib.SMTP(relay.host, relay.port, timeout=20) as client:
            client.ehlo()
            assert client.esmtp_features["size"] == "20000"
            code, text = client.docmd("MAIL", f"FROM:<{SENDER}> SIZE=20001")
            assert (code, text[:5]) == (552, b"5.3.4")
            client.docmd("MAIL", f"FROM:<{SENDER}> SIZE=10")
            client.docmd("RCPT", "TO:<een@example.net>")
            code, text = client.data(b"x" * 21000)
            assert (code, text[:5]) == (552, b"5.3.4")
            client.sendmail(SENDER, ["een@example.net"], CONTENT)
        smarthost.wait_for(1)
        assert relay.queue() == []


def test_sigterm_ends_it_with_0_and_an_open_message_may_finish(
    relay: RelayProcess, smarthost: Smarthost
) -> None:
    with relay, relay.connect() as client:
        client.reply()
        for command in ("EHLO kassa", f"MAIL FROM:<{SENDER}>", "RCPT TO:<een@example.net>"):
            assert client.command(command).startswith("250")
        assert client.command("DATA").startswith("354")
        data = stuffed(CONTENT)
        client.send(data[:100])
        relay.send_sigterm()
        relay.wait_until(lambda: not relay.listens())
        client.send(data[100:])
        assert client.reply().startswith("250 2.0.0")
        assert relay.wait_for_exit() == 0
        relay.start()
        relay.retry_all()
        (message,) = smarthost.wait_for(1)
        assert message.content.endswith(b"\r\n" + CONTENT)


def test_a_second_relay_on_the_same_spool_exits_2(relay: RelayProcess, tmp_path: Path) -> None:
    (tmp_path / "second").mkdir()
    second = RelayProcess(tmp_path / "second", relay.tables)
    second.spool = relay.spool
    with relay:
        ended = second.serve_expecting_exit()
        assert ended.code == 2, ended
        assert str(relay.spool) in ended.err
        assert "Traceback" not in ended.err
        relay.send(SENDER, ["een@example.net"], CONTENT)


def test_a_port_in_use_exits_2_and_names_it(relay: RelayProcess, tmp_path: Path) -> None:
    (tmp_path / "second").mkdir()
    second = RelayProcess(tmp_path / "second", relay.tables)
    second.port = relay.port
    with relay:
        ended = second.serve_expecting_exit()
    assert ended.code == 2, ended
    assert str(relay.port) in ended.err
    assert "Traceback" not in ended.err


def test_an_unknown_preset_exits_2_with_the_nearest_names(tmp_path: Path) -> None:
    tables = '[[smarthost]]\nname = "isp"\npreset = "zigo"\n\n[delivery]\nmodus = "queue"\n'
    relay = RelayProcess(tmp_path, tables)
    ended = relay.serve_expecting_exit()
    lines = relay.config.read_text().splitlines()
    assert ended.code == 2, ended
    assert "ziggo" in ended.err
    for key in ("preset", "modus"):
        number = next(n for n, line in enumerate(lines, 1) if line.startswith(key))
        assert f"{relay.config.name}:{number}:" in ended.err, ended.err
    assert ended.out == ""
