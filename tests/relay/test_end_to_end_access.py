"""Who may send: a machine that is not listed hears what would help, and can be adopted."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.certificates import Authority
from fakes.invoice import invoice
from fakes.relay_process import RelayProcess
from fakes.script import Behaviour
from fakes.smarthost import Smarthost

CLIENTS = """
[[client]]
name = "kassa"
networks = ["127.0.0.1"]
"""
SENDER = "info@mijnbakkerij.nl"
STRANGER = "127.0.0.2"


@pytest.fixture
def smarthost(authority: Authority) -> Iterator[Smarthost]:
    context = authority.issue().server_context()
    with Smarthost(
        Behaviour(tls="starttls", context=context, users={"bakker": "geheim"})
    ) as smarthost:
        yield smarthost


@pytest.fixture
def relay(tmp_path: Path, authority: Authority, smarthost: Smarthost) -> RelayProcess:
    relay = RelayProcess(tmp_path, CLIENTS)
    relay.add_smarthost(smarthost.port, authority.ca_file)
    return relay


def refused_devices(relay: RelayProcess) -> list[tuple[str, int]]:
    listed = relay.run("client", "refused", "--json")
    assert listed.code == 0, listed
    return [(device["address"], device["count"]) for device in listed.json["devices"]]


@pytest.mark.parametrize("language", ["nl", "en"])
def test_an_unlisted_machine_hears_its_address_and_the_command_that_allows_it(
    relay: RelayProcess, language: str
) -> None:
    relay.language = language
    with relay:
        with relay.connect(source=STRANGER) as client:
            reply = client.reply()
            rest = client.rest()
        assert reply.startswith(f"554 5.7.1 {STRANGER} ")
        assert reply.endswith(f"relay client allow {STRANGER}")
        assert reply.isascii()
        assert rest == b""
        (refused,) = relay.wait_for_event("refused")
        assert refused["address"] == STRANGER


def test_a_refused_machine_is_listed_and_may_send_once_it_is_allowed(
    relay: RelayProcess, smarthost: Smarthost
) -> None:
    with relay:
        for _ in range(2):
            with relay.connect(source=STRANGER) as client:
                assert client.reply().startswith("554 5.7.1")
        relay.wait_until(lambda: refused_devices(relay) == [(STRANGER, 2)])
        allowed = relay.run("client", "allow", STRANGER)
        assert allowed.code == 0, allowed
        content = invoice(SENDER, ["een@example.net"])
        relay.send(SENDER, ["een@example.net"], content, source=STRANGER)
        smarthost.wait_for(1)
        relay.restart()
        relay.send(SENDER, ["een@example.net"], content, source=STRANGER)
        smarthost.wait_for(2)
        removed = relay.run("client", "remove", STRANGER)
        assert removed.code == 0, removed
        with relay.connect(source=STRANGER) as client:
            assert client.reply().startswith("554 5.7.1")


def test_an_unlisted_machine_stays_out_though_it_talks_first(
    relay: RelayProcess, smarthost: Smarthost
) -> None:
    with relay:
        with relay.connect(source=STRANGER) as client:
            client.send(b"EHLO x\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.net>\r\n")
            assert client.reply().startswith("554 5.7.1")
            assert b"250" not in client.rest()
        assert relay.queue() == []
    assert smarthost.sessions == []
