"""`diagnose auth` beside the relay: an account that it has paused is not tried again."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from fakes.certificates import Authority
from fakes.relay_process import RelayProcess
from fakes.script import Behaviour
from fakes.smarthost import Smarthost
from typer.testing import CliRunner

from diagnose.commands.auth import auth
from diagnose.commands.send import send
from relay.control.token import ADDRESS_FILE, TOKEN_FILE

PASSWORD = "CANARY-roggebrood"

app = typer.Typer()
app.command()(auth)
app.command()(send)


@pytest.fixture
def smarthost(authority: Authority) -> Iterator[Smarthost]:
    context = authority.issue().server_context()
    behaviour = Behaviour(tls="starttls", context=context, users={"bakker": PASSWORD})
    with Smarthost(behaviour) as fake:
        yield fake


@pytest.fixture
def relay(tmp_path: Path, authority: Authority, smarthost: Smarthost) -> Iterator[RelayProcess]:
    """A relay whose login has just been refused."""
    relay = RelayProcess(tmp_path)
    relay.add_smarthost(smarthost.port, authority.ca_file, password="fout")
    with relay:
        relay.send("info@mijnbakkerij.nl", ["klant@example.org"], b"Subject: x\r\n\r\nx\r\n")
        relay.wait_for_event("paused")
        yield relay


def run(relay: RelayProcess, *arguments: str, command: str = "auth") -> tuple[int, dict[str, Any]]:
    options = ("--config", str(relay.config), "--smarthost", "isp", "--json", "--lang", "en")
    result = CliRunner().invoke(app, [command, *arguments, *options])
    assert PASSWORD not in result.output
    return result.exit_code, json.loads(result.stdout)


def ids(document: dict[str, Any]) -> list[str]:
    return [each["id"] for each in document["findings"]]


def logins(smarthost: Smarthost) -> list[bool]:
    return [login.accepted for session in smarthost.sessions for login in session.logins]


def test_a_paused_account_is_left_alone(relay: RelayProcess, smarthost: Smarthost) -> None:
    code, found = run(relay)
    assert (code, found["verdict"]) == (3, "unknown")
    assert ids(found) == ["config-joined", "account-paused"]
    assert found["accepted"] is False
    assert "relay account resume isp" in found["findings"][1]["remedy"][-1]
    assert "password" in found["findings"][1]["evidence"]["meaning"]
    assert logins(smarthost) == [False]


def test_nothing_is_sent_over_it_either(relay: RelayProcess, smarthost: Smarthost) -> None:
    options = ("--to", "klant@example.org", "--from", "info@mijnbakkerij.nl")
    code, found = run(relay, *options, command="send")
    assert (code, ids(found)) == (3, ["config-joined", "account-paused"])
    assert logins(smarthost) == [False]


def test_force_lets_the_relay_try_once_and_what_works_frees_the_account(
    relay: RelayProcess, smarthost: Smarthost
) -> None:
    relay.secret("isp", PASSWORD)
    code, found = run(relay, "--force")
    assert (code, ids(found)) == (0, ["config-joined", "login-accepted"])
    assert found["findings"][1]["evidence"]["by"] == "relay"
    assert (found["mechanism"], found["reply"]["code"]) == ("PLAIN", 235)
    relay.wait_for_event("delivered")  # the mail that waited needed a login of its own
    assert logins(smarthost) == [False, True, True]


def test_a_forced_refusal_is_the_try_of_the_next_period(
    relay: RelayProcess, smarthost: Smarthost
) -> None:
    code, found = run(relay, "--force")
    assert (code, ids(found)) == (1, ["config-joined", "login-refused"])
    assert found["explanation"]["steps"] == found["findings"][1]["remedy"]
    assert logins(smarthost) == [False, False]
    (account,) = relay.run("account", "list", "--json").json["accounts"]
    assert (account["paused"], account["refusals"]) == (True, 2)


def test_a_refusal_met_here_pauses_the_account(
    tmp_path: Path, authority: Authority, smarthost: Smarthost
) -> None:
    relay = RelayProcess(tmp_path)
    relay.add_smarthost(smarthost.port, authority.ca_file, password="fout")
    with relay:
        assert run(relay)[0] == 1
        code, found = run(relay)
        assert (code, ids(found)) == (3, ["config-joined", "account-paused"])
        relay.wait_for_event("paused")
    assert logins(smarthost) == [False]


def test_a_pause_by_hand_is_not_blamed_on_the_password(
    tmp_path: Path, authority: Authority, smarthost: Smarthost
) -> None:
    relay = RelayProcess(tmp_path)
    relay.add_smarthost(smarthost.port, authority.ca_file, password=PASSWORD)
    with relay:
        assert relay.run("account", "pause", "isp").code == 0
        _, found = run(relay)
    told = found["findings"][1]
    assert (told["id"], "by hand" in told["detail"]) == ("account-paused", True)
    assert len(told["remedy"]) == 1
    assert logins(smarthost) == []


def test_without_a_relay_it_is_tried_here_and_said_so(
    tmp_path: Path, authority: Authority, smarthost: Smarthost
) -> None:
    relay = RelayProcess(tmp_path)
    relay.add_smarthost(smarthost.port, authority.ca_file, password="fout")
    with relay:
        assert relay.sigterm() == 0
    before = relay.spool.read_bytes()
    code, found = run(relay)
    assert (code, ids(found)) == (1, ["config-joined", "login-refused", "relay-not-told"])
    assert relay.spool.read_bytes() == before
    assert logins(smarthost) == [False]


def test_force_without_a_relay_tries_what_it_paused(
    relay: RelayProcess, smarthost: Smarthost
) -> None:
    assert relay.sigterm() == 0
    relay.secret("isp", PASSWORD)
    code, found = run(relay, "--force")
    assert (code, ids(found)) == (0, ["config-joined", "login-accepted", "relay-not-told"])
    assert logins(smarthost) == [False, True]


def test_a_smarthost_that_the_relay_does_not_know_yet(
    tmp_path: Path, authority: Authority, smarthost: Smarthost
) -> None:
    relay = RelayProcess(tmp_path)
    relay.add_smarthost(smarthost.port, authority.ca_file, name="oud", password=PASSWORD)
    with relay:
        relay.tables = ""
        relay.add_smarthost(smarthost.port, authority.ca_file, username="nieuw", password=PASSWORD)
        relay.write_config()
        code, found = run(relay)
    assert (code, ids(found)) == (3, ["config-joined", "relay-no-answer"])
    assert "relay reload" in found["findings"][1]["remedy"][-1]
    assert logins(smarthost) == []


def test_the_pause_outlives_the_relay(relay: RelayProcess, smarthost: Smarthost) -> None:
    assert relay.sigterm() == 0
    before = sorted(relay.directory.iterdir())
    code, found = run(relay)
    assert (code, ids(found)) == (3, ["config-joined", "account-paused"])
    assert sorted(relay.directory.iterdir()) == before


def test_the_pause_outlives_a_relay_that_was_killed(
    relay: RelayProcess, smarthost: Smarthost
) -> None:
    relay.kill9()
    assert relay.spool.with_name(ADDRESS_FILE).exists()
    code, found = run(relay)
    assert (code, ids(found)) == (3, ["config-joined", "account-paused"])
    assert logins(smarthost) == [False]


def test_who_may_not_ask_the_relay_does_not_try(relay: RelayProcess, smarthost: Smarthost) -> None:
    relay.spool.with_name(TOKEN_FILE).write_text("someone else's")
    code, found = run(relay)
    assert (code, ids(found)) == (3, ["config-joined", "pause-unknown"])
    assert logins(smarthost) == [False]


def test_an_account_that_is_not_paused_is_tried(
    tmp_path: Path, authority: Authority, smarthost: Smarthost
) -> None:
    relay = RelayProcess(tmp_path)
    relay.add_smarthost(smarthost.port, authority.ca_file, password=PASSWORD)
    with relay:
        assert run(relay)[0] == 0
    assert logins(smarthost) == [True]
