"""Direct mode as users run it: real programs hear what a real Postfix says of a recipient."""

import smtplib  # noqa: TID251 -- one of the programs that users send with
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.certificates import Authority
from fakes.invoice import invoice
from fakes.peers import needs, program
from fakes.postfix import Postfix, Settings
from fakes.relay_process import RelayProcess

pytestmark = needs("postfix", "saslpasswd2", "sasl-plain")

ACCOUNT = "mijnbakkerij@ziggo.nl"
SENDER = "info@mijnbakkerij.nl"
GONE = "weg@example.net"
MESSAGE = invoice(SENDER, [GONE])


@pytest.fixture
def postfix(authority: Authority) -> Iterator[Postfix]:
    settings = Settings(
        users={ACCOUNT: "geheim"},
        own_senders={ACCOUNT: ACCOUNT, SENDER: ACCOUNT},
        refused_recipients={GONE: "550 5.1.1 mailbox unknown"},
    )
    with Postfix(authority.issue(), settings) as postfix:
        yield postfix


@pytest.fixture
def relay(tmp_path: Path, authority: Authority, postfix: Postfix) -> Iterator[RelayProcess]:
    relay = RelayProcess(tmp_path, '[delivery]\nmode = "direct"\n')
    relay.language = "nl"
    relay.add_smarthost(postfix.port, authority.ca_file, username=ACCOUNT)
    with relay:
        yield relay


def test_python_smtplib_hears_the_refusal_with_its_explanation(
    relay: RelayProcess, postfix: Postfix
) -> None:
    with smtplib.SMTP(relay.host, relay.port, timeout=20) as client:
        with pytest.raises(smtplib.SMTPDataError) as caught:
            client.sendmail(SENDER, [GONE], MESSAGE)
        assert caught.value.smtp_code == 550
        text = caught.value.smtp_error
        assert isinstance(text, bytes)
        assert text.startswith(f"5.1.1 {GONE}: Het adres van de ontvanger bestaat niet.".encode())
        assert b"mailbox unknown" in text
        assert client.sendmail(SENDER, ["klant@example.net"], MESSAGE) == {}
        assert [copy.recipient for copy in postfix.wait_for(1)] == ["klant@example.net"]
        assert client.sendmail(SENDER, ["een@example.net", GONE], MESSAGE) == {}
    copies = postfix.wait_for(3)
    assert sorted(copy.recipient for copy in copies) == sorted(
        ["klant@example.net", "een@example.net", SENDER]
    )
    (report,) = [copy for copy in copies if copy.recipient == SENDER]
    assert GONE.encode() in report.content
    relay.wait_until(lambda: relay.queue() == [])


def test_the_refused_message_is_in_the_history_with_its_attempt(relay: RelayProcess) -> None:
    with (
        smtplib.SMTP(relay.host, relay.port, timeout=20) as client,
        pytest.raises(smtplib.SMTPDataError),
    ):
        client.sendmail(SENDER, [GONE], MESSAGE)
    listed = relay.run("queue", "list", "--json", "--state", "failed").json["messages"]
    assert [each["recipients"][0]["address"] for each in listed] == [GONE]
    shown = relay.run("queue", "show", listed[0]["id"], "--json").json
    (attempt,) = shown["attempts"]
    assert attempt["outcome"] == "failed"
    assert attempt["explanation"]["cause"] == "user-unknown"


@needs("swaks")
def test_swaks_ends_with_the_refusal(relay: RelayProcess, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *(program("swaks"), "--server", relay.host, "--port", str(relay.port)),
            *("--from", SENDER, "--to", GONE),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 26, "swaks: error after the message"
    assert f"550 5.1.1 {GONE}: Het adres van de ontvanger bestaat niet." in done.stdout


def test_why_tells_that_the_program_waits(relay: RelayProcess) -> None:
    answer = relay.run("why", "127.0.0.1", SENDER, "--json").json
    assert answer["direct_wait_seconds"] == 8
    told = relay.run("why", "127.0.0.1", SENDER, "--lang", "nl").out
    assert "8 s" in told


def test_postfix_away_means_queued_without_a_wait(relay: RelayProcess, postfix: Postfix) -> None:
    postfix.stop()
    for _ in range(2):
        with smtplib.SMTP(relay.host, relay.port, timeout=5) as client:
            assert client.sendmail(SENDER, ["klant@example.net"], MESSAGE) == {}
    assert len(relay.queue()) == 2
    postfix.start()
    relay.retry_all()
    postfix.wait_for(2)
