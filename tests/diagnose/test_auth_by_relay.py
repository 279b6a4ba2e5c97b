"""`diagnose auth` of an account with OAuth2: the running relay logs in, nobody else has a token."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import typer
from fakes.certificates import Authority
from fakes.consented import add_consented, kept_grant, token_behaviour
from fakes.issuer import Issuer
from fakes.relay_process import RelayProcess
from fakes.smarthost import Smarthost
from typer.testing import CliRunner

from diagnose.account import Chosen, as_the_relay
from diagnose.checks.sender_login import ask_provider
from diagnose.commands.auth import auth
from diagnose.commands.send import send
from diagnose.domain import Address
from diagnose.relay_login import _verdict
from diagnose.runner import Circumstances
from presets.catalog import catalog
from relay.config import model
from relay.config.load import load
from relay.spool.vault import tokens_file

app = typer.Typer()
app.command()(auth)
app.command()(send)


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as issuer:
        yield issuer


@pytest.fixture
def smarthost(authority: Authority, issuer: Issuer) -> Iterator[Smarthost]:
    with Smarthost(token_behaviour(authority, issuer, "LOGIN", "XOAUTH2")) as smarthost:
        yield smarthost


@pytest.fixture
def relay(
    tmp_path: Path, authority: Authority, issuer: Issuer, smarthost: Smarthost
) -> RelayProcess:
    relay = RelayProcess(tmp_path)
    add_consented(relay, smarthost.port, authority.ca_file, issuer, datetime.now(UTC))
    return relay


def run(
    relay: RelayProcess, *arguments: str, command: str = "auth", language: str = "en"
) -> tuple[int, dict[str, Any]]:
    options = ("--config", str(relay.config), "--smarthost", "isp", "--json", "--lang", language)
    result = CliRunner().invoke(app, [command, *arguments, *options])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, json.loads(result.stdout)


def ids(document: dict[str, Any]) -> list[str]:
    return [each["id"] for each in document["findings"]]


def logins(smarthost: Smarthost) -> list[tuple[str, bool]]:
    return [(one.mechanism, one.accepted) for each in smarthost.sessions for one in each.logins]


def refreshes(issuer: Issuer) -> int:
    return sum(asked.page == "token" for asked in issuer.requests)


def test_the_running_relay_logs_in(
    relay: RelayProcess, smarthost: Smarthost, issuer: Issuer
) -> None:
    with relay:
        code, found = run(relay)
        grant = kept_grant(relay, issuer.username)
    assert (code, found["verdict"], ids(found)) == (0, "pass", ["config-joined", "login-accepted"])
    assert (found["mechanism"], found["accepted"]) == ("XOAUTH2", True)
    assert found["mechanisms_offered"] == ["LOGIN", "XOAUTH2"]
    assert (found["reply"]["code"], found["explanation"]) == (235, None)
    assert logins(smarthost) == [("XOAUTH2", True)]
    assert refreshes(issuer) == 1, "by the relay, for itself and for this login"
    for token in (grant.refresh_token, grant.access_token):
        assert str(token) not in json.dumps(found)


@pytest.mark.parametrize("language", ["nl", "en"])
def test_a_lost_consent_is_told_with_its_steps_and_left_alone(
    relay: RelayProcess, smarthost: Smarthost, issuer: Issuer, language: str
) -> None:
    issuer.revoke()
    with relay:
        relay.wait_for_event("paused")  # it refreshes ahead of time
        asked = refreshes(issuer)
        code, found = run(relay, language=language)
        assert (code, ids(found)) == (3, ["config-joined", "account-paused"])
        assert refreshes(issuer) == asked
        forced_code, forced = run(relay, "--force", language=language)
    assert (forced_code, ids(forced)) == (1, ["config-joined", "no-token"])
    assert refreshes(issuer) == asked + 1
    assert forced["mechanism"] == "XOAUTH2"
    assert (forced["reply"], forced["explanation"]["cause"]) == (None, "password-changed")
    paused, refused = found["findings"][1], forced["findings"][1]
    assert refused["remedy"] == forced["explanation"]["steps"] == paused["remedy"][:-1]
    assert f"relay account login {issuer.username}" in paused["remedy"][0]
    for words in ("zelfde wachtwoord", "same password"):
        assert words not in paused["detail"]
    assert logins(smarthost) == []


def test_an_issuer_out_of_order_could_not_be_checked(relay: RelayProcess, issuer: Issuer) -> None:
    for _ in range(30):
        issuer.fail(503)
    with relay:
        code, found = run(relay)
        (account,) = relay.run("account", "list", "--json").json["accounts"]
    assert (code, ids(found), account["paused"]) == (3, ["config-joined", "no-token"], False)
    assert found["findings"][1]["severity"] == "unknown"


def test_a_token_that_the_server_refuses(
    relay: RelayProcess, smarthost: Smarthost, issuer: Issuer
) -> None:
    with relay:
        relay.wait_until(lambda: kept_grant(relay, issuer.username).access_token is not None)
        issuer.expire()
        code, found = run(relay)
    assert (code, ids(found)) == (1, ["config-joined", "login-refused"])
    assert found["reply"]["code"] == 535
    assert logins(smarthost) == [("XOAUTH2", False)]


@pytest.mark.parametrize("command", ["auth", "send"])
@pytest.mark.parametrize("force", [True, False])
def test_without_a_relay_it_could_not_be_checked(
    relay: RelayProcess, smarthost: Smarthost, issuer: Issuer, command: str, force: bool
) -> None:
    relay.write_config()
    before = tokens_file(relay.spool).read_bytes()
    options = ("--to", "klant@example.org") if command == "send" else ()
    code, found = run(relay, *options, *(("--force",) if force else ()), command=command)
    assert (code, ids(found)) == (3, ["config-joined", "token-needs-relay"])
    remedy = " ".join(found["findings"][1]["remedy"])
    assert "relay account test isp" in remedy
    assert (f"--relay 127.0.0.1:{relay.port}" in remedy) is (command == "send")
    assert (smarthost.sessions, refreshes(issuer)) == ([], 0)
    assert tokens_file(relay.spool).read_bytes() == before


def test_a_relay_that_may_not_be_asked_is_unknown(
    relay: RelayProcess, smarthost: Smarthost
) -> None:
    with relay:
        relay.spool.with_name("control.token").write_text("someone else's")
        for options in ((), ("--force",)):
            code, found = run(relay, *options)
            assert (code, ids(found)) == (3, ["config-joined", "pause-unknown"])
    assert logins(smarthost) == []


async def test_sender_does_not_log_in_where_a_token_is_needed(
    relay: RelayProcess, smarthost: Smarthost, issuer: Issuer
) -> None:
    config = load(relay.write_config())
    given = model.Smarthost(
        name="microsoft365", host="127.0.0.1", port=smarthost.port, username=issuer.username
    )
    chosen = as_the_relay(Chosen("microsoft365", given, "kassa.test"), config)
    address = Address("info", "mijnbakkerij.nl")
    asked = await ask_provider(address, catalog().get("microsoft365"), chosen, Circumstances())
    (told,) = asked.findings
    assert (told.id, told.severity.value, asked.taken) == ("token-needs-relay", "unknown", None)
    assert smarthost.sessions == []


def failed_login(**keys: Any) -> dict[str, Any]:
    """A document of `account test` about a login that failed."""
    empty = {"mechanism": None, "mechanisms_offered": ["PLAIN"], "accepted": False, "reply": None}
    where = {"host": "mail.example", "username": "bakker", "smarthost": "isp", "address": None}
    return {**empty, **where, "detail": "why", "explanation": None, **keys}


@pytest.mark.parametrize(
    ("test", "id_", "severity"),
    [
        ({"phase": "auth", "scope": "account", "cause": "secret-unreadable"}, "secret-unreadable", "error"),
        ({"phase": "connect", "scope": "connection", "cause": "connection-failed"}, "not-reached", "unknown"),
        ({"phase": "starttls", "scope": "tls", "cause": "certificate-not-trusted"}, "not-trusted", "error"),
        ({"phase": "auth", "scope": "service", "cause": "no-common-mechanism"}, "no-mechanism", "error"),
    ],
)  # fmt: skip
def test_what_the_relay_met_is_told_as_if_met_here(
    test: dict[str, Any], id_: str, severity: str
) -> None:
    chosen = Chosen("isp", model.Smarthost(name="isp", host="mail.example"), "kassa.test")
    told = _verdict(failed_login(**test), chosen, "en")
    assert (told.id, told.severity.value) == (id_, severity)
    assert told.evidence["by"] == "relay"
