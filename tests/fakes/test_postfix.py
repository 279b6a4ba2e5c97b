"""The real Postfix demands what a provider demands, and keeps what it was sent byte for byte."""

import smtplib  # noqa: TID251 -- an independent client to try our fake with
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fakes.certificates import Authority
from fakes.peers import needs
from fakes.postfix import Postfix, Settings

pytestmark = needs("postfix", "saslpasswd2", "sasl-plain")

MESSAGE = (
    b"Subject: factuur\r\nFrom: a@example.com\r\nDate: Mon, 02 Nov 2026 10:00:00 +0100\r\n"
    b"Message-ID: <1@example.com>\r\n\r\n.dot\r\n" + b"x" * 5000 + b"\r\n\xe9\t \r\n"
)


@contextmanager
def session(postfix: Postfix, authority: Authority) -> Iterator[smtplib.SMTP]:
    with smtplib.SMTP(postfix.host, postfix.port, timeout=10) as client:
        client.starttls(context=authority.client_context())
        client.ehlo()
        yield client


def test_a_message_is_kept_byte_for_byte_for_each_recipient(authority: Authority) -> None:
    with Postfix(authority.issue()) as postfix:
        with session(postfix, authority) as client:
            client.login("bakker", "geheim")
            client.sendmail("a@example.com", ["b@example.net", "c@example.org"], MESSAGE)
        copies = postfix.wait_for(2)
    assert [copy.recipient for copy in copies] == ["b@example.net", "c@example.org"]
    assert {copy.sender for copy in copies} == {"a@example.com"}
    for copy in copies:
        assert copy.content.startswith(b"Received: from ")
        assert copy.content.endswith(b"\r\n" + MESSAGE)


def test_it_demands_starttls_and_a_login(authority: Authority) -> None:
    with Postfix(authority.issue(), Settings(users={"mijnbakkerij@ziggo.nl": "a b"})) as postfix:
        with smtplib.SMTP(postfix.host, postfix.port, timeout=10) as client:
            client.ehlo()
            assert not client.has_extn("auth")
            assert client.docmd("MAIL", "FROM:<a@example.com>")[0] == 530
        with session(postfix, authority) as client:
            assert client.esmtp_features["auth"].split() == ["PLAIN", "LOGIN"]
            client.docmd("MAIL", "FROM:<a@example.com>")
            assert client.docmd("RCPT", "TO:<b@example.net>")[0] == 554
            client.rset()
            with pytest.raises(smtplib.SMTPAuthenticationError):
                client.login("mijnbakkerij@ziggo.nl", "ab")
            assert client.login("mijnbakkerij@ziggo.nl", "a b")[0] == 235


def test_it_refuses_what_the_settings_refuse(authority: Authority) -> None:
    settings = Settings(
        refused_recipients={"bad@example.net": "550 5.1.1 no such mailbox"},
        own_senders={"a@example.com": "bakker"},
        refuse_null_sender=True,
        message_size_limit=10_000,
    )
    with Postfix(authority.issue(), settings) as postfix, session(postfix, authority) as client:
        client.login("bakker", "geheim")
        refused = client.sendmail("a@example.com", ["bad@example.net", "b@example.net"], MESSAGE)
        assert refused["bad@example.net"][0] == 550
        for sender in ("other@example.com", ""):
            with pytest.raises(smtplib.SMTPRecipientsRefused) as caught:
                client.sendmail(sender, ["b@example.net"], MESSAGE)
            assert caught.value.recipients["b@example.net"][0] in (550, 553)
        with pytest.raises(smtplib.SMTPSenderRefused, match=r"5\.3\.4"):
            client.sendmail("a@example.com", ["b@example.net"], MESSAGE * 2)
        assert [copy.recipient for copy in postfix.wait_for(1)] == ["b@example.net"]


def test_changed_settings_hold_after_a_reload(authority: Authority) -> None:
    with Postfix(authority.issue()) as postfix:
        postfix.settings.starttls = False
        postfix.reload()
        with smtplib.SMTP(postfix.host, postfix.port, timeout=10) as client:
            client.ehlo()
            assert not client.has_extn("starttls")
            assert not client.has_extn("auth")


def test_it_can_be_down_for_a_while_and_instances_do_not_meet(authority: Authority) -> None:
    with Postfix(authority.issue()) as first, Postfix(authority.issue()) as second:
        first.stop()
        with pytest.raises(ConnectionRefusedError):
            smtplib.SMTP(first.host, first.port, timeout=10)
        first.start()
        with session(first, authority) as client:
            client.login("bakker", "geheim")
            client.sendmail("a@example.com", ["b@example.net"], MESSAGE)
        first.wait_for(1)
        assert second.delivered() == []


def test_nothing_is_left_behind(authority: Authority) -> None:
    with Postfix(authority.issue()) as postfix:
        home = postfix.home
        assert (home / "queue" / "pid" / "master.pid").exists()
    assert not home.exists()
    assert not any(str(home) in _command_line(process) for process in Path("/proc").iterdir())


def _command_line(process: Path) -> str:
    try:
        return (process / "cmdline").read_text(errors="replace")
    except OSError:
        return ""
