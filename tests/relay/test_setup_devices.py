"""What `relay setup` does beside a relay: the learning window, and a relay that runs already."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.certificates import Authority
from fakes.nameserver import NameServer
from fakes.providers import PASSWORD, USERNAME, Provider
from fakes.raw_client import RawClient
from fakes.relay_process import RelayProcess
from fakes.setup_office import ZONE, Office

from relay.config.load import load

SCANNER = "127.0.0.9"
CONTENT = b"From: scanner@kantoor.example\r\nSubject: scan\r\n\r\nhallo\r\n"
SECONDS = 60.0


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with NameServer(ZONE) as server:
        yield Office(tmp_path, server.address)


@pytest.fixture
def ziggo(office: Office, authority: Authority) -> Iterator[Provider]:
    with Provider("ziggo", authority.issue().server_context()) as provider:
        office.at_provider(provider.port, authority.ca_file)
        login = ("--address=mijnbakkerij@ziggo.nl", "--username", USERNAME, "--test-to=none")
        office.options += [*login, "--password-file", str(office.password(PASSWORD))]
        yield provider


def scan(port: int) -> bool:
    """Whether a scanner on another address could send something."""
    try:
        with RawClient("127.0.0.1", port, SCANNER) as client:
            client.reply()
            client.command("HELO scanner")
            client.command("MAIL FROM:<scanner@kantoor.example>")
            if not client.command("RCPT TO:<klant@elders.example>").startswith("250"):
                return False
            return client.message(CONTENT).startswith("250")
    except OSError:
        return False


def scan_until_taken(port: int) -> None:
    end = time.monotonic() + SECONDS
    while not scan(port):
        assert time.monotonic() < end, "nobody takes it"
        time.sleep(0.2)  # noqa: TID251 -- a device that tries again; the window tells nobody


def test_a_scanner_is_found_let_in_and_its_scan_sent(office: Office, ziggo: Provider) -> None:
    with office.sit_down("--lang", "en", "--machines", "learn") as terminal:
        for _ in ("provider", "sender", "any_login", "postmaster", "review"):
            terminal.expect(r"> $")
            terminal.type("")
        terminal.expect("Now let each program")
        terminal.expect("Enter when all have sent: ")
        terminal.type("")
        terminal.expect("Nobody sent anything")
        scan_until_taken(office.port)
        assert ziggo.accepted == [], "held"
        terminal.type("")
        found = terminal.expect(r"127\.0\.0\.9, 1 messages, sender scanner@kantoor.example")
        assert found
        terminal.type("scanner")
        ziggo.wait_for(1, SECONDS)
        assert terminal.end() == 0
    listed = office.relay("client", "list", "--json").json
    assert [(each["address"], each["name"]) for each in listed["adopted"]] == [(SCANNER, "scanner")]
    assert listed["learning_until"] is None
    assert office.relay("status", "--json").json["running"] is False, "ours ended"


def test_unattended_the_machines_are_counted_and_let_in(office: Office, ziggo: Provider) -> None:
    sending = threading.Thread(target=scan_until_taken, args=[office.port])
    sending.start()
    done = office.unattended("--machines=learn", "--any-login=yes", "--expect=1", "--allow-found")
    sending.join(SECONDS)
    assert done.code == 0, done
    assert done.json["devices"] == [
        {
            "address": SCANNER,
            "messages": 1,
            "senders": ["scanner@kantoor.example"],
            "allowed_as": "office",
        }
    ]
    assert load(office.config).clients[1].any_login


def test_a_search_that_cannot_start_is_said_and_the_file_stays(
    office: Office, ziggo: Provider
) -> None:
    # A spool of a damaged kind: whoever serves it ends at once.
    office.spool.mkdir()
    done = office.unattended("--machines=learn", "--expect=1")
    assert done.code == 0, done
    assert "relay client learn" in done.err
    assert load(office.config).warnings == ()


def test_the_relay_that_runs_takes_the_new_file(office: Office, ziggo: Provider) -> None:
    relay = RelayProcess(office.directory, '[[smarthost]]\nname="old"\nhost="127.0.0.1"\n')
    office.config.parent.mkdir()
    relay.config, relay.spool = office.config, office.spool
    office.listen, office.web = f"127.0.0.1:{relay.port}", f"127.0.0.1:{relay.web_port}"
    with relay:
        done = office.unattended("--replace")
        assert done.code == 0, done
        (service,) = [each for each in done.json["findings"] if each["id"] == "service"]
        assert (service["severity"], service["detail"]) == (
            *("ok", "The relay that runs works with it now."),
        )
        accounts = relay.run("account", "list", "--json").json["accounts"]
        assert [each["username"] for each in accounts] == [USERNAME]
