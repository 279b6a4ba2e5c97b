"""Real mail programs hand their mail to the relay; it arrives in a real Postfix, byte for byte.

The Postfix demands STARTTLS and a login, of which these programs know nothing.
"""

import smtplib  # noqa: TID251 -- one of the programs that users send with
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.certificates import Authority
from fakes.invoice import attachment, invoice, parsed, pdf
from fakes.peers import needs, program
from fakes.postfix import Delivered, Postfix
from fakes.relay_process import RelayProcess

pytestmark = needs("postfix", "saslpasswd2", "sasl-plain")

SENDER = "info@mijnbakkerij.nl"
RECIPIENT = "klant@example.net"
PDF = pdf(150_000)
MESSAGE = invoice(SENDER, [RECIPIENT], attached=PDF)


@pytest.fixture
def postfix(authority: Authority) -> Iterator[Postfix]:
    with Postfix(authority.issue()) as postfix:
        yield postfix


@pytest.fixture
def relay(tmp_path: Path, authority: Authority, postfix: Postfix) -> Iterator[RelayProcess]:
    relay = RelayProcess(tmp_path)
    relay.add_smarthost(postfix.port, authority.ca_file)
    with relay:
        yield relay


def arrived(postfix: Postfix) -> Delivered:
    """The one copy, which came from the relay and over TLS."""
    (copy,) = postfix.wait_for(1)
    assert copy.sender == SENDER
    assert copy.recipient == RECIPIENT
    assert b"with ESMTPSA id" in copy.content
    assert b" by relay.test " in copy.content.replace(b"\r\n\t", b" ")
    return copy


def run(*command: str | Path, given: bytes = b"") -> None:
    """Runs a mail program that must succeed."""
    done = subprocess.run(command, input=given, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, (done.stdout, done.stderr)


@needs("swaks")
def test_swaks(relay: RelayProcess, postfix: Postfix, tmp_path: Path) -> None:
    (tmp_path / "factuur.pdf").write_bytes(PDF)
    run(
        *(program("swaks"), "--server", relay.host, "--port", str(relay.port)),
        *("--from", SENDER, "--to", RECIPIENT, "--hide-all"),
        *("--attach-type", "application/pdf", "--attach", f"@{tmp_path}/factuur.pdf"),
    )
    parts = list(parsed(arrived(postfix).content).walk())
    assert parts[-1].get_content_type() == "application/pdf"
    assert parts[-1].get_payload(decode=True) == PDF


@needs("curl")
def test_curl(relay: RelayProcess, postfix: Postfix, tmp_path: Path) -> None:
    (tmp_path / "message.eml").write_bytes(MESSAGE)
    run(
        *(program("curl"), "--silent", "--show-error", "--max-time", "30"),
        *("--mail-from", SENDER, "--mail-rcpt", RECIPIENT),
        *("--upload-file", tmp_path / "message.eml", f"smtp://{relay.host}:{relay.port}/kantoor"),
    )
    assert arrived(postfix).content.endswith(b"\r\n" + MESSAGE)


@needs("msmtp")
def test_msmtp(relay: RelayProcess, postfix: Postfix) -> None:
    run(
        *(program("msmtp"), "--file=/dev/null", f"--host={relay.host}", f"--port={relay.port}"),
        *("--auth=off", "--tls=off", f"--from={SENDER}", RECIPIENT),
        given=MESSAGE.replace(b"\r\n", b"\n"),
    )
    assert arrived(postfix).content.endswith(b"\r\n" + MESSAGE)


@needs("s-nail")
def test_s_nail(relay: RelayProcess, postfix: Postfix, tmp_path: Path) -> None:
    (tmp_path / "factuur.pdf").write_bytes(PDF)
    run(
        *(program("s-nail"), "-:/", "-S", "v15-compat"),
        *("-S", f"mta=smtp://{relay.host}:{relay.port}", "-S", "smtp-auth=none"),
        *("-S", "sendwait", "-S", "nosave", "-S", f"from={SENDER}"),
        *("-a", tmp_path / "factuur.pdf", "-s", "Factuur 1", RECIPIENT),
        given=b"Hierbij de factuur.\n",
    )
    copy = arrived(postfix)
    assert attachment(copy.content) == PDF
    assert parsed(copy.content)["Subject"] == "Factuur 1"


def test_python_smtplib(relay: RelayProcess, postfix: Postfix) -> None:
    with smtplib.SMTP(relay.host, relay.port, timeout=20) as client:
        assert client.sendmail(SENDER, [RECIPIENT], MESSAGE) == {}
    assert arrived(postfix).content.endswith(b"\r\n" + MESSAGE)


def test_python_smtplib_with_starttls_and_a_login(
    tmp_path: Path, authority: Authority, postfix: Postfix
) -> None:
    certificate = authority.issue()
    listener = f"""\
tls = "starttls"
certificate = "{certificate.chain}"
key = "{certificate.key}"
"""
    tables = """
[[client]]
name = "webshop"
networks = ["127.0.0.1"]
any_login = true
require_tls = true
"""
    relay = RelayProcess(tmp_path, tables, listener=listener)
    relay.add_smarthost(postfix.port, authority.ca_file)
    with relay, smtplib.SMTP(relay.host, relay.port, timeout=20) as client:
        client.ehlo()
        assert client.docmd("MAIL", f"FROM:<{SENDER}>")[0] == 530
        client.starttls(context=authority.client_context())
        client.login("webshop", "wat-het-ook-is")
        assert client.sendmail(SENDER, [RECIPIENT], MESSAGE) == {}
        assert arrived(postfix).content.endswith(b"\r\n" + MESSAGE)
        assert "wat-het-ook-is" not in relay.stderr
