"""The scripted smarthost does what its behaviour table says, and records what happened."""

import base64
import smtplib  # noqa: TID251 -- an independent client to try our fake with
import ssl
import threading

import pytest
from fakes.certificates import Authority
from fakes.raw_client import RawClient
from fakes.script import Action, Behaviour, Script, nth_time, when
from fakes.smarthost import Smarthost

ENVELOPE = b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n"


def connect(smarthost: Smarthost) -> RawClient:
    client = RawClient(smarthost.host, smarthost.port)
    assert client.reply() == "220 smarthost.test ESMTP"
    return client


def begin_message(client: RawClient) -> None:
    client.command("HELO client.test")
    client.send(ENVELOPE)
    assert [client.reply()[:3] for _ in range(3)] == ["250", "250", "354"]


def test_a_message_is_recorded_with_its_envelope_and_without_transparency_dots() -> None:
    with Smarthost() as smarthost:
        with smtplib.SMTP(smarthost.host, smarthost.port, timeout=10) as client:
            client.sendmail(
                "a@example.com",
                ["b@example.net", "c@example.net"],
                b"Subject: dots\r\n\r\n.one\r\n..two\r\n.\r\nend\r\n",
                mail_options=["BODY=8BITMIME"],
                rcpt_options=["NOTIFY=NEVER"],
            )
        (message,) = smarthost.accepted
    assert message.sender.address == "a@example.com"
    assert message.sender.parameters == ("size=38", "BODY=8BITMIME")
    assert [path.address for path in message.recipients] == ["b@example.net", "c@example.net"]
    assert message.recipients[0].parameters == ("NOTIFY=NEVER",)
    assert message.content == b"Subject: dots\r\n\r\n.one\r\n..two\r\n.\r\nend\r\n"
    assert smarthost.sessions[0].verbs == ["EHLO", "MAIL", "RCPT", "RCPT", "DATA", "QUIT"]
    assert smarthost.sessions[0].ended == "quit"
    assert not smarthost.sessions[0].pipelined


def test_three_pipelined_messages_in_one_segment_are_three_transactions() -> None:
    with Smarthost() as smarthost, connect(smarthost) as client:
        client.command("EHLO client.test")
        bodies = [f"Subject: {n}\r\n\r\nbody\r\n".encode() for n in range(3)]
        client.send(b"".join(ENVELOPE + body + b".\r\n" for body in bodies) + b"QUIT\r\n")
        replies = [client.reply()[:3] for _ in range(13)]
        assert client.rest() == b""
        assert [message.content for message in smarthost.accepted] == bodies
    assert replies == ["250", "250", "354", "250"] * 3 + ["221"]
    assert smarthost.sessions[0].pipelined


def test_only_a_dot_between_two_crlf_ends_the_message_at_every_split() -> None:
    content = b"one\n.\r\ntwo\r\n.\nthree\r.\r\nfour\r\n"
    with Smarthost() as smarthost, connect(smarthost) as client:
        begin_message(client)
        client.send_byte_by_byte(content + b".\r\n")
        assert client.reply().startswith("250 2.0.0 queued")
        # RFC 5321 section 4.5.2: a leading dot goes from every line, which CR LF ends alone.
        assert smarthost.accepted[0].content == b"one\n.\r\ntwo\r\n\nthree\r.\r\nfour\r\n"


def test_an_empty_message_is_a_message() -> None:
    with Smarthost() as smarthost, connect(smarthost) as client:
        begin_message(client)
        client.send(b".\r\n")
        assert client.reply().startswith("250")
        assert smarthost.accepted[0].content == b""


def test_chunks_make_one_message() -> None:
    with Smarthost() as smarthost, connect(smarthost) as client:
        client.command("EHLO client.test")
        client.send(ENVELOPE.removesuffix(b"DATA\r\n"))
        client.send(b"BDAT 4\r\nab\r\nBDAT 3 LAST\r\n.\r\n")
        assert [client.reply()[:3] for _ in range(4)] == ["250"] * 4
        assert smarthost.accepted[0].content == b"ab\r\n.\r\n"
        assert smarthost.accepted[0].chunked


def test_replies_by_recipient_and_by_count() -> None:
    script = {
        "RCPT": when({"bad@": "550 5.1.1 no such mailbox"}),
        "MAIL": nth_time({1: "451 4.7.1 greylisted"}),
    }
    with Smarthost(Behaviour(script=script)) as smarthost, connect(smarthost) as client:
        client.command("EHLO client.test")
        assert client.command("MAIL FROM:<a@example.com>") == "451 4.7.1 greylisted"
        assert client.command("MAIL FROM:<a@example.com>").startswith("250")
        assert client.command("RCPT TO:<bad@example.net>") == "550 5.1.1 no such mailbox"
        assert client.command("RCPT TO:<good@example.net>").startswith("250")
        assert client.command("DATA").startswith("354")
        client.send(b"x\r\n.\r\n")
        client.reply()
        recipients = smarthost.accepted[0].recipients
    assert [path.address for path in recipients] == ["good@example.net"]


def test_a_refused_message_is_received_but_not_accepted() -> None:
    behaviour = Behaviour(script={"DOT": "554 5.7.1 spam"})
    with Smarthost(behaviour) as smarthost, connect(smarthost) as client:
        begin_message(client)
        client.send(b"x\r\n.\r\n")
        assert client.reply() == "554 5.7.1 spam"
        assert smarthost.accepted == []
        assert smarthost.received[0].reply == "554 5.7.1 spam"


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize(("when_dropped", "reply"), [("before", ""), ("after", "250")])
def test_a_drop_after_the_final_dot(when_dropped: str, reply: str, reset: bool) -> None:
    action = Action(drop="before" if when_dropped == "before" else "after", reset=reset)
    with Smarthost(Behaviour(script={"DOT": action})) as smarthost:
        with connect(smarthost) as client:
            begin_message(client)
            client.send(b"x\r\n.\r\n")
            rest = client.rest()
        smarthost.wait_until(lambda: smarthost.sessions[0].ended == "dropped")
        (message,) = smarthost.received
    assert message.reply[:3] == reply
    # A reset may throw away what the client had not read yet.
    assert rest[:3].decode() == reply or (reset and rest == b"")


def test_a_drop_within_the_body_leaves_no_message() -> None:
    script = {"BODY": Action(drop="before", after_bytes=1000)}
    with Smarthost(Behaviour(script=script)) as smarthost, connect(smarthost) as client:
        begin_message(client)
        client.send(b"y" * 1000)
        assert client.rest() == b""
        assert smarthost.received == []


def test_a_stall_lasts_until_its_event() -> None:
    event = threading.Event()
    script = {"MAIL": Action(wait_for=event)}
    with Smarthost(Behaviour(script=script)) as smarthost:
        client = RawClient(smarthost.host, smarthost.port, timeout_seconds=0.3)
        client.reply()
        client.command("HELO client.test")
        with pytest.raises(TimeoutError):
            client.command("MAIL FROM:<a@example.com>")
        event.set()
        assert client.reply().startswith("250")
        client.close()


def test_stopping_ends_a_stalled_session_and_the_port_returns() -> None:
    script = {"MAIL": Action(wait_for=threading.Event())}
    smarthost = Smarthost(Behaviour(script=script))
    smarthost.start()
    port = smarthost.port
    client = connect(smarthost)
    client.command("HELO client.test")
    client.send(b"MAIL FROM:<a@example.com>\r\n")
    smarthost.wait_until(lambda: "MAIL" in smarthost.sessions[0].verbs)
    smarthost.stop()
    assert client.rest() == b""
    client.close()
    with pytest.raises(ConnectionRefusedError):
        RawClient(smarthost.host, port)
    smarthost.start()
    assert smarthost.port == port
    connect(smarthost).close()
    smarthost.stop()


def test_two_replies_in_one_segment_and_a_reply_byte_by_byte() -> None:
    script: Script = {
        "NOOP": Action(reply=b"250 2.0.0 ok\r\n250 2.0.0 surplus\r\n"),
        "RSET": Action(byte_by_byte=True),
        "EHLO": "250-smarthost.test\n250 SIZE",
    }
    with Smarthost(Behaviour(script=script)) as smarthost, connect(smarthost) as client:
        assert client.command("EHLO client.test") == "250-smarthost.test\n250 SIZE"
        assert client.command("NOOP") == "250 2.0.0 ok"
        assert client.reply() == "250 2.0.0 surplus"
        assert client.command("RSET") == "250 2.0.0 forgotten"
        assert smarthost.sessions[0].replies[2] == "250 2.0.0 ok\n250 2.0.0 surplus"


def test_starttls_throws_injected_commands_away_and_is_then_gone(authority: Authority) -> None:
    behaviour = Behaviour(tls="starttls", context=authority.issue().server_context())
    with Smarthost(behaviour) as smarthost, connect(smarthost) as client:
        assert "250 STARTTLS" in client.command("EHLO client.test")
        client.send(b"STARTTLS\r\nNOOP\r\n")
        assert client.reply().startswith("220")
        client.start_tls(authority.client_context())
        assert "STARTTLS" not in client.command("EHLO client.test")
        assert smarthost.sessions[0].verbs == ["EHLO", "STARTTLS", "EHLO"]
        assert smarthost.sessions[0].tls == "TLSv1.3"


def test_a_client_that_trusts_another_authority_does_not_get_in(
    authority: Authority, unknown_authority: Authority
) -> None:
    context = unknown_authority.issue().server_context(ssl.TLSVersion.TLSv1_2)
    with Smarthost(Behaviour(tls="implicit", context=context)) as smarthost:
        client = RawClient(smarthost.host, smarthost.port)
        with pytest.raises(ssl.SSLCertVerificationError):
            client.start_tls(authority.client_context())
        client.close()
        smarthost.wait_until(lambda: smarthost.sessions[0].ended == "tls failed")


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_a_login_is_checked_and_demanded(authority: Authority, mechanism: str) -> None:
    behaviour = Behaviour(
        tls="implicit",
        context=authority.issue().server_context(),
        users={"bakker": "geheim"},
        mechanisms=(mechanism,),
    )
    with (
        Smarthost(behaviour) as smarthost,
        smtplib.SMTP_SSL(
            "localhost", smarthost.port, timeout=10, context=authority.client_context()
        ) as client,
    ):
        client.ehlo()
        assert client.esmtp_features["auth"].split() == [mechanism]
        assert client.docmd("MAIL", "FROM:<a@example.com>")[0] == 530
        with pytest.raises(smtplib.SMTPAuthenticationError):
            client.login("bakker", "fout")
        assert client.login("bakker", "geheim")[0] == 235
        assert client.docmd("MAIL", "FROM:<a@example.com>")[0] == 250
        logins = smarthost.sessions[0].logins
    assert [(one.mechanism, one.username, one.password) for one in logins][-1] == (
        mechanism,
        "bakker",
        "geheim",
    )
    assert [one.accepted for one in logins][-1] is True
    assert not any(one.accepted for one in logins[:-1])


def test_plain_with_an_initial_response_and_in_clear_when_allowed() -> None:
    behaviour = Behaviour(users={"bakker": "geheim"}, login_without_tls=True)
    token = base64.b64encode(b"\0bakker\0geheim").decode()
    with Smarthost(behaviour) as smarthost, connect(smarthost) as client:
        assert "AUTH PLAIN LOGIN" in client.command("EHLO client.test")
        assert client.command(f"AUTH PLAIN {token}").startswith("235")
        assert client.command("AUTH XOAUTH2 abc").startswith("504")


def test_connections_are_counted() -> None:
    with Smarthost() as smarthost:
        first, second = connect(smarthost), connect(smarthost)
        assert smarthost.open_connections == 2
        first.close()
        second.reset()
        smarthost.wait_until(lambda: smarthost.open_connections == 0)
        connect(smarthost).close()
        assert len(smarthost.sessions) == 3
        assert smarthost.most_connections == 2
        assert smarthost.sessions[0].ended == "closed by client"


def test_waiting_for_what_does_not_come_says_what_was_seen() -> None:
    with (
        Smarthost() as smarthost,
        connect(smarthost),
        pytest.raises(TimeoutError, match=r"smarthost\.test"),
    ):
        smarthost.wait_for(1, timeout_seconds=0.1)
