"""`diagnose send`: a test message, every step timed, every refused recipient apart."""

import asyncio
import email
import email.policy
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
import typer
from fakes.certificates import Authority
from fakes.peers import needs
from fakes.ports import free_port
from fakes.postfix import Postfix, Settings
from fakes.providers import PASSWORD, USERNAME, Provider
from fakes.relay_file import RelayFile
from fakes.relay_process import RelayProcess
from fakes.script import Action, Behaviour, Script, when
from fakes.smarthost import Smarthost
from typer.testing import CliRunner

from diagnose.account import Chosen
from diagnose.checks.send import Mail, examine_sending
from diagnose.commands.send import send
from diagnose.message import Attachment, Letter, compose
from diagnose.runner import Circumstances
from relay.config.model import Smarthost as Entry
from relay.config.model import TlsMode

KEYS = {"steps", "accepted", "refused", "message_id"}
NOW = datetime(2026, 11, 2, 8, 15, tzinfo=UTC)

app = typer.Typer()
app.command()(send)


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert PASSWORD not in result.output
    return result.exit_code, result.stdout, result.stderr


def document(code: int, *arguments: object) -> dict[str, Any]:
    """The document of a run that must end with this exit code."""
    ended, out, err = run(*arguments, "--json", "--lang", "en")
    assert ended == code, (out, err)
    found: dict[str, Any] = json.loads(out)
    assert found["command"] == "send"
    assert found.keys() >= KEYS
    assert all(step["milliseconds"] >= 0 for step in found["steps"])
    return found


def steps(found: dict[str, Any]) -> list[str]:
    return [step["name"] for step in found["steps"]]


def ids(found: dict[str, Any]) -> list[str]:
    return [each["id"] for each in found["findings"]]


def parsed(content: bytes) -> EmailMessage:
    message = email.message_from_bytes(content, policy=email.policy.SMTP)
    assert isinstance(message, EmailMessage)
    return message


@pytest.fixture
def plain() -> Iterator[Smarthost]:
    """A server without TLS or login, as the relay is to its clients."""
    with Smarthost() as fake:
        yield fake


def via_relay(fake: Smarthost) -> tuple[object, ...]:
    return ("--relay", f"127.0.0.1:{fake.port}", "--from", "kassa@mijnbakkerij.nl")


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "isp.secret"
    path.touch(0o600)
    path.write_text(f"{PASSWORD}\n")
    return path


# --- taken ---


def test_through_a_provider_with_every_field(
    authority: Authority, secret: Path, tmp_path: Path
) -> None:
    invoice = tmp_path / "factuur 12.pdf"
    invoice.write_bytes(b"%PDF-1.4\n.\n.dots\n" + bytes(range(256)))
    with Provider("microsoft365", authority.issue().server_context()) as fake:
        found = document(
            0,
            *("--via", f"localhost:{fake.port}", "--ca-file", authority.ca_file),
            *("--username", USERNAME, "--password-file", secret),
            *("--to", "a@example.org", "--to", "b@example.org", "--cc", "c@example.org"),
            *("--bcc", "d@example.org", "--bcc", "a@example.org"),
            *("--reply-to", "info@mijnbakkerij.nl", "--attach", invoice),
        )
        (sent,) = fake.accepted
    everybody = [f"{letter}@example.org" for letter in "abcd"]
    assert [path.address for path in sent.recipients] == found["accepted"] == everybody
    assert sent.sender.address == USERNAME
    assert (found["refused"], ids(found)) == ([], ["accepted"])
    ways = ["dns", "connect", "greeting", "ehlo", "tls", "ehlo", "auth"]
    assert steps(found) == [*ways, "mail", *["rcpt"] * 4, "data", "end"]
    assert found["steps"][-1]["reply"]["text"].startswith("OK <")
    assert found["reply"] == found["steps"][-1]["reply"]
    message = parsed(sent.content)
    assert message["From"] == USERNAME
    assert message["To"] == "a@example.org, b@example.org"
    assert (message["Cc"], message["Bcc"]) == ("c@example.org", None)
    assert message["Reply-To"] == "info@mijnbakkerij.nl"
    assert message["Message-ID"] == found["message_id"]
    assert parsedate_to_datetime(message["Date"]).tzinfo is not None
    (attached,) = message.iter_attachments()
    assert (attached.get_filename(), attached.get_content_type()) == (
        "factuur 12.pdf",
        "application/pdf",
    )
    assert attached.get_content() == invoice.read_bytes()
    assert sent.content.isascii()


def test_two_messages_have_two_ids(plain: Smarthost) -> None:
    both = [document(0, *via_relay(plain), "--to", "a@example.org") for _ in range(2)]
    assert both[0]["message_id"] != both[1]["message_id"]
    assert len(plain.accepted) == 2


def test_people_see_the_steps_and_the_queue_id(plain: Smarthost) -> None:
    code, out, _ = run(*via_relay(plain), "--to", "a@example.org", "--lang", "nl")
    assert code == 0
    assert "rcpt a@example.org" in out
    assert "queued as 1-1" in out
    assert "Aangenomen is nog niet bezorgd" in out


def test_with_implicit_tls_the_handshake_is_a_step_of_its_own(authority: Authority) -> None:
    context = authority.issue().server_context()
    with Smarthost(Behaviour(tls="implicit", context=context)) as fake:
        options = ("--tls", "implicit", "--ca-file", authority.ca_file)
        found = document(0, *via_relay(fake), *options, "--to", "a@example.org")
    assert steps(found)[:5] == ["dns", "connect", "tls", "greeting", "ehlo"]
    assert [step["reply"] is None for step in found["steps"][:4]] == [True, True, True, False]


@pytest.mark.parametrize("language", ["nl", "en"])
def test_the_message_says_that_it_is_a_test(language: Any) -> None:
    letter = Letter(
        sender="kassa@mijnbakkerij.nl",
        to=("a@example.org",),
        attachments=(Attachment("é.txt", b"hi"), Attachment("mail.eml", b"Subject: x\n\nx")),
    )
    content = compose(letter, "smtp.example.net:587", "<1@mijnbakkerij.nl>", NOW, language)
    assert content.isascii()
    assert content.count(b"\n") == content.count(b"\r\n")
    assert max(map(len, content.split(b"\r\n"))) <= 998
    message = parsed(content)
    body = message.get_body(("plain",))
    assert body is not None
    text = " ".join(body.get_content().split())
    assert ("testbericht" if language == "nl" else "test message") in text
    assert "smtp.example.net:587" in text
    assert message["Subject"] is not None
    assert message["Auto-Submitted"] == "auto-generated"
    assert [each.get_filename() for each in message.iter_attachments()] == ["é.txt", "mail.eml"]


# --- refused ---


def test_a_refused_recipient_stands_apart_and_the_others_get_it(plain: Smarthost) -> None:
    refused = {"weg@": "550 5.1.1 User unknown", "later@": "450 4.2.0 Greylisted"}
    plain.behaviour.script = {"RCPT": when(refused)}
    addresses = ("a@example.org", "weg@example.org", "later@example.org")
    options = [word for address in addresses for word in ("--to", address)]
    found = document(1, *via_relay(plain), *options)
    assert found["accepted"] == ["a@example.org"]
    assert [each["address"] for each in found["refused"]] == list(addresses[1:])
    assert [each["reply"]["code"] for each in found["refused"]] == [550, 450]
    assert [each["explanation"]["scope"] for each in found["refused"]] == ["recipient"] * 2
    assert ids(found) == ["accepted", "recipient-refused", "recipient-refused"]
    assert len(plain.accepted) == 1


@pytest.mark.parametrize(
    ("moment", "reply", "finding"),
    [
        ("MAIL", "553 5.7.1 Sender address rejected: not owned by user x", "sender-refused"),
        ("RCPT", "554 5.7.1 Relay access denied", "recipient-refused"),
        ("DATA", "451 4.3.0 try later", "message-refused"),
        ("DATA", "250 what", "message-refused"),
        ("DOT", "552 5.3.4 Message size exceeds fixed limit", "message-refused"),
        ("RCPT", "421 4.7.0 closing", "recipient-refused"),
    ],
)
def test_a_refusal_of_all(moment: str, reply: str, finding: str, plain: Smarthost) -> None:
    drop = Action(reply, drop="after") if reply.startswith("421") else reply
    plain.behaviour.script = {moment: drop}
    found = document(1, *via_relay(plain), "--to", "a@example.org", "--cc", "b@example.org")
    assert (found["accepted"], found["reply"]) == ([], None)
    assert [each["address"] for each in found["refused"]] == ["a@example.org", "b@example.org"]
    assert {each["reply"]["code"] for each in found["refused"]} == {int(reply[:3])}
    assert set(ids(found)) == {finding}
    assert plain.accepted == []


def test_a_refused_login_sends_nothing(authority: Authority, secret: Path) -> None:
    context = authority.issue().server_context()
    with Provider("ziggo", context, "auth-temporary") as fake:
        found = document(
            1,
            *("--via", f"localhost:{fake.port}", "--ca-file", authority.ca_file),
            *("--username", USERNAME, "--password-file", secret, "--to", "a@example.org"),
        )
        assert [len(session.logins) for session in fake.sessions] == [1]
        assert "MAIL" not in fake.sessions[0].verbs
    assert ids(found) == ["login-refused"]
    assert steps(found)[-1] == "auth"


# --- could not send ---


def test_nobody_listens() -> None:
    where = ("--relay", f"127.0.0.1:{free_port()}", "--from", "a@example.nl")
    found = document(3, *where, "--to", "a@example.org")
    assert ids(found) == ["not-reached"]
    assert steps(found) == ["dns", "connect"]


SCRIPTS: dict[str, Script] = {
    "silent at MAIL": {"MAIL": Action(wait_for=threading.Event())},
    "silent in the message": {"DATA": Action(wait_for=threading.Event())},
    "gone at RCPT": {"RCPT": Action(drop="before")},
    "out of step": {"RCPT": Action(reply=b"250 one\r\n250 two\r\n")},
    "babble": {"MAIL": Action(reply=b"250-" + b"x" * 100_000)},
}


@pytest.mark.parametrize("case", SCRIPTS)
def test_a_connection_that_breaks(case: str, plain: Smarthost) -> None:
    plain.behaviour.script = SCRIPTS[case]
    found = document(3, *via_relay(plain), "--to", "a@example.org", "--timeout", "0.4")
    assert ids(found) == ["broken"]
    assert plain.accepted == []


def test_a_lost_reply_to_the_end_leaves_it_in_doubt(plain: Smarthost) -> None:
    plain.behaviour.script = {"DOT": Action(drop="before")}
    found = document(3, *via_relay(plain), "--to", "a@example.org")
    assert ids(found) == ["in-doubt"]
    assert len(plain.received) == 1


def test_what_was_known_when_the_time_was_over(plain: Smarthost, tmp_path: Path) -> None:
    # The wait for the last reply grows with the message, beyond the limit of the whole command.
    plain.behaviour.script = {
        "RCPT": when({"weg@example.org": "550 5.1.1 no such user"}),
        "DOT": Action(wait_for=threading.Event()),
    }
    large = tmp_path / "large.bin"
    large.write_bytes(bytes(30_000))
    to = ("--to", "a@example.org", "--to", "weg@example.org", "--attach", large)
    found = document(1, *via_relay(plain), *to, "--timeout", "0.2")
    assert ids(found) == ["check-timed-out", "recipient-refused", "in-doubt"]
    assert [each["address"] for each in found["refused"]] == ["weg@example.org"]


async def test_a_message_that_is_given_up_gets_no_end(plain: Smarthost) -> None:
    go_on = threading.Event()
    plain.behaviour.script = {"BODY": Action(wait_for=go_on, after_bytes=1)}
    entry = Entry(name="relay", host="127.0.0.1", port=plain.port, tls=TlsMode.NONE)
    mail = Mail("a@example.nl", ("b@example.org",), "<1@example.nl>", b"x" * 76 * 500_000)
    circumstances = Circumstances(timeout_seconds=20)
    chosen = Chosen("relay", entry, "kassa.test")
    sending = asyncio.create_task(examine_sending(chosen, mail, circumstances))
    await asyncio.to_thread(plain.wait_until, lambda: plain.most_connections > 0)
    await asyncio.to_thread(plain.wait_until, lambda: plain.sessions[0].received[-1:] == b"x")
    (check,) = asyncio.all_tasks() - {sending, asyncio.current_task()}
    check.cancel()  # as when the time of the whole command is over
    go_on.set()
    found = await sending
    assert [each.id for each in found.findings] == ["check-timed-out"]
    plain.stop()
    assert not plain.sessions[-1].received.endswith(b"QUIT\r\n")
    assert plain.received == []


def test_the_next_command_names_a_server_that_it_understands(
    authority: Authority, tmp_path: Path
) -> None:
    relay = RelayFile(tmp_path)
    relay.add_smarthost(free_port(), authority.ca_file, preset="ziggo")
    relay.write_config()
    where = ("--config", relay.config, "--from", "a@example.nl", "--to", "a@example.org")
    found = document(3, *where)
    (remedy,) = [each["remedy"][-1] for each in found["findings"] if each["remedy"]]
    assert "diagnose connect 127.0.0.1:" in remedy


# --- usage ---

TO = ("--to", "a@example.org")
RELAY = ("--relay", "127.0.0.1:1")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        TO,
        (*TO, *RELAY),  # no sender
        (*TO, *RELAY, "--via", "ziggo", "--from", "a@example.nl"),
        (*TO, *RELAY, "--from", "geen adres"),
        (*TO, *RELAY, "--from", "a@example.nl", "--cc", "b@example.org; c@example.org"),
        (*TO, *RELAY, "--from", "a@example.nl", "--attach", "/nowhere/factuur.pdf"),
        (*TO, *RELAY, "--from", "a@example.nl", "--attach", "/"),
        ("--to", "", *RELAY, "--from", "a@example.nl"),
        ("--to", "a@example.org\r\nBcc: x@example.org", *RELAY, "--from", "a@example.nl"),
        (*TO, "--via", "zigo", "--from", "a@example.nl"),
        (*TO, "--config", "/nowhere/relay.toml", "--from", "a@example.nl"),
        (*TO, "--smarthost", "isp", "--username", "x", "--from", "a@example.nl"),
    ],
)
@pytest.mark.parametrize("language", ["nl", "en"])
def test_wrong_usage_is_exit_2_and_no_document(arguments: tuple[str, ...], language: str) -> None:
    code, out, err = run(*arguments, "--json", "--lang", language)
    assert (code, out) == (2, "")
    assert err


# --- through the relay, to a real server ---


@needs("postfix", "saslpasswd2", "sasl-plain")
def test_through_a_real_postfix(authority: Authority, tmp_path: Path) -> None:
    secret = tmp_path / "postfix.secret"
    secret.touch(0o600)
    secret.write_text("geheim")
    settings = Settings(refused_recipients={"weg@example.org": "550 5.1.1 no such mailbox"})
    with Postfix(authority.issue(), settings) as postfix:
        found = document(
            1,
            *("--via", f"127.0.0.1:{postfix.port}", "--ca-file", authority.ca_file),
            *("--username", "bakker", "--password-file", secret, "--from", "a@mijnbakkerij.nl"),
            *("--to", "a@example.org", "--to", "weg@example.org"),
        )
        (copy,) = postfix.wait_for(1)
    assert found["accepted"] == [copy.recipient] == ["a@example.org"]
    assert "queued as" in found["reply"]["text"]
    assert found["refused"][0]["explanation"]["cause"] == "user-unknown"
    assert found["message_id"].encode() in copy.content


@needs("postfix", "saslpasswd2", "sasl-plain")
def test_through_the_running_relay(authority: Authority, tmp_path: Path) -> None:
    relay = RelayProcess(tmp_path)
    with Postfix(authority.issue()) as postfix:
        relay.add_smarthost(postfix.port, authority.ca_file)
        with relay:
            where = ("--relay", f"127.0.0.1:{relay.port}", "--from", "kassa@mijnbakkerij.nl")
            found = document(0, *where, "--to", "a@example.org", "--bcc", "b@example.org")
            copies = postfix.wait_for(2)
    assert [copy.recipient for copy in copies] == found["accepted"]
    assert all(found["message_id"].encode() in copy.content for copy in copies)
    assert found["reply"]["enhanced"] == "2.0.0"
