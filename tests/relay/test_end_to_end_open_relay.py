"""The table of tests/dialogs/open_relay.table, tried on a running relay by two machines."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from fakes.raw_client import RawClient, stuffed
from fakes.relay_process import RelayProcess
from fakes.smarthost import Smarthost

TABLE = Path(__file__).parents[1] / "dialogs" / "open_relay.table"
STRANGER = "127.0.0.2"
REFUSAL = f"554 5.7.1 {STRANGER} is not listed; relay client allow {STRANGER}"


class Form(NamedTuple):
    """One line of the table."""

    sender: str
    recipient: str
    reply: str
    arrives: str


def forms() -> list[Form]:
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    cells = [line.split("|") for line in lines if line and not line.startswith("#")]
    return [Form(*(cell.strip() for cell in row)) for row in cells]


@pytest.fixture
def smarthost() -> Iterator[Smarthost]:
    with Smarthost() as smarthost:
        yield smarthost


@pytest.fixture
def relay(tmp_path: Path, smarthost: Smarthost) -> Iterator[RelayProcess]:
    plain = (
        f'[[smarthost]]\nname = "isp"\nhost = "127.0.0.1"\nport = {smarthost.port}\ntls = "none"'
    )
    clients = '[[client]]\nname = "kassa"\nnetworks = ["127.0.0.1"]\n'
    with RelayProcess(tmp_path, clients + plain) as relay:
        yield relay


def script(form: Form) -> bytes:
    lines = f"MAIL FROM:{form.sender}\r\nRCPT TO:{form.recipient}\r\nDATA\r\n".encode()
    return lines + stuffed(b"Subject: test\r\n\r\ntest\r\n") + b"QUIT\r\n"


OPENINGS = {
    "nothing first": b"",
    "HELO": b"HELO relay.test\r\n",
    "EHLO as localhost": b"EHLO localhost\r\n",
    "EHLO as the listed machine": b"EHLO [127.0.0.1]\r\n",
    "PROXY": b"PROXY TCP4 127.0.0.1 127.0.0.1 4000 25\r\nEHLO kassa\r\n",
    "PROXY, binary": b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\x01\x7f\0\0\x01\x0f\xa0\0\x19",
    "XCLIENT": b"EHLO kassa\r\nXCLIENT ADDR=127.0.0.1\r\n",
    "a login": b"EHLO kassa\r\nAUTH PLAIN AGJha2tlcgBnZWhlaW0=\r\n",
}


def test_there_are_forty_four_forms() -> None:
    assert len(forms()) == 44
    assert all(form.arrives for form in forms() if form.reply == "250")


def test_to_an_unlisted_machine_each_is_refused(relay: RelayProcess, smarthost: Smarthost) -> None:
    with relay.connect(STRANGER) as peer:
        assert peer.reply() == REFUSAL
    for at, form in enumerate(forms()):
        opening = list(OPENINGS.values())[at % len(OPENINGS)]
        with relay.connect(STRANGER) as peer:
            sends(peer, opening + script(form))
            heard = peer.rest().decode()
        # The reset that answers bytes to a closed socket may overtake the refusal.
        assert heard in ("", REFUSAL + "\r\n"), form
    assert relay.queue() == []
    assert relay.log_events("accepted") == []
    assert smarthost.sessions == []


def sends(peer: RawClient, data: bytes) -> None:
    try:
        peer.send(data)
    except ConnectionError:
        return


def test_a_listed_machine_has_each_passed_on_as_it_stands_or_refused(
    relay: RelayProcess, smarthost: Smarthost
) -> None:
    for form in forms():
        with relay.connect() as peer:
            peer.reply()
            peer.command("HELO kassa")
            assert peer.command(f"MAIL FROM:{form.sender}").startswith("250 2.1.0"), form
            reply = peer.command(f"RCPT TO:{form.recipient}")
            assert reply.startswith(form.reply), form
            if form.reply == "250":
                assert peer.message(b"Subject: test\r\n\r\ntest\r\n").startswith("250 2.0.0")
            else:
                assert peer.command("DATA").startswith("554 5.5.1")
    wanted = Counter(f"RCPT TO:<{form.arrives}>" for form in forms() if form.arrives)
    smarthost.wait_for(wanted.total())
    commands = [command for session in smarthost.sessions for command in session.commands]
    assert Counter(each for each in commands if each.startswith("RCPT")) == wanted
    assert relay.queue() == []


def test_no_header_of_a_proxy_and_no_login_makes_a_machine_another(relay: RelayProcess) -> None:
    """The client is who connects; a refused command changes nothing about who that is."""
    for opening in OPENINGS.values():
        with relay.connect() as peer:
            peer.reply()
            peer.send(opening.replace(b"127.0.0.1", b"192.0.2.1") + b"HELO kassa\r\n")
            peer.send(script(Form("<a@b.nl>", "<c@d.nl>", "", "")))
            heard = peer.rest()
        assert heard.endswith(b"221 2.0.0 bye\r\n")
    # All but the binary header, in which stands "QUIT".
    events = relay.wait_for_event("accepted", len(OPENINGS) - 1)
    assert [event["address"] for event in events] == ["127.0.0.1"] * (len(OPENINGS) - 1)
