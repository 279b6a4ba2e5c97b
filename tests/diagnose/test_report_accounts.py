"""`diagnose report` about the accounts of a relay: paused, tokens, limits, and passwords that end."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fakes.certificates import Authority
from fakes.consented import add_consented, kept_grant, token_behaviour
from fakes.examining import Examiner, findings, the_finding
from fakes.issuer import Issuer
from fakes.nameserver import NameServer
from fakes.relay_process import RelayProcess
from fakes.smarthost import Smarthost

from diagnose.checks.account_findings import account_findings
from diagnose.checks.report_accounts import accounts_table
from diagnose.commands.report import report
from relay.spool.vault import tokens_file

PASSWORD = "CANARY-roggebrood"
RECIPIENT = "klant@example.org"
NOW = datetime.now(UTC)

examiner = Examiner(report)


@pytest.fixture(scope="module")
def nameserver() -> Iterator[NameServer]:
    with NameServer("") as server:
        yield server


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as issuer:
        yield issuer


@pytest.fixture
def smarthost(authority: Authority, issuer: Issuer) -> Iterator[Smarthost]:
    with Smarthost(
        token_behaviour(authority, issuer, "PLAIN", "XOAUTH2", passwords={"bakker": PASSWORD})
    ) as smarthost:
        yield smarthost


@pytest.fixture
def relay(
    tmp_path: Path, authority: Authority, issuer: Issuer, smarthost: Smarthost
) -> RelayProcess:
    """With an account that somebody consented to, and one with a password."""
    relay = RelayProcess(tmp_path)
    add_consented(relay, smarthost.port, authority.ca_file, issuer, NOW)
    relay.add_smarthost(
        smarthost.port,
        authority.ca_file,
        name="oud",
        preset="microsoft365",
        password=PASSWORD,
        more="messages_per_day = 5",
    )
    relay.tables += '[[route]]\nsender = "*@mijnbakkerij.nl"\nsmarthost = ["oud"]\n'
    return relay


def options(relay: RelayProcess, nameserver: NameServer) -> tuple[str, ...]:
    where = ("--config", str(relay.config), "--nameserver", nameserver.address)
    return (*where, "--timeout", "4", "-4", "--no-login")


def accounts(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """By the name of their first smarthost."""
    (part,) = [each for each in document["parts"] if each["command"] == "relay account list"]
    return {each["smarthosts"][0]: each for each in part["accounts"]}


def examined(relay: RelayProcess, nameserver: NameServer, *more: str) -> dict[str, Any]:
    given = (*options(relay, nameserver), *more)
    result = examiner.run(*given, "--lang", "en", "--json")
    assert PASSWORD not in result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_a_running_relay_tells_dates_limits_and_passwords_that_end(
    relay: RelayProcess, issuer: Issuer, nameserver: NameServer, tmp_path: Path
) -> None:
    files = tmp_path / "report.html", tmp_path / "report.md"
    with relay:
        for _ in range(4):
            relay.send("info@mijnbakkerij.nl", [RECIPIENT], b"Subject: x\r\n\r\nx\r\n")
        relay.wait_for_event("delivered", 4)
        relay.wait_until(lambda: kept_grant(relay, issuer.username).access_token is not None)
        found = examined(relay, nameserver)
        texts = [
            examiner.run(*options(relay, nameserver), "--lang", "en").output,
            examiner.run(
                *options(relay, nameserver), "--html", str(files[0]), "--markdown", str(files[1])
            ).output,
            *(file.read_text() for file in files),
        ]
        grant = kept_grant(relay, issuer.username)
    told = findings(found)
    assert told["works-until"] == "ok"
    assert told["quota-nearly-used"] == told["password-ends"] == "warning"
    by_name = accounts(found)
    assert by_name["isp"]["works_until_reason"] == "microsoft-idle"
    assert by_name["isp"]["consented_at"] < by_name["isp"]["refreshed_at"]
    used = by_name["oud"]["usage"]["messages"]
    assert (used["used"], used["left"], used["limit"], used["warning"]) == (4, 1, 5, True)
    until = (grant.refreshed_at + timedelta(days=90)).astimezone().date().isoformat()
    ends = the_finding(found, "password-ends")
    assert ends["evidence"]["day"] == "2026-12-31"
    assert "end of December 2026" in ends["detail"]
    assert "relay account login oud" in ends["remedy"][-1]
    assert "https://" in ends["reference"]
    for text in texts:
        assert "4 / 5 (1)" in text
        assert until in text
        assert "2026-12-31" in text
        for secret in (PASSWORD, RECIPIENT, grant.refresh_token, grant.access_token):
            assert str(secret) not in text


def test_a_stopped_relay_is_read_without_a_trace(
    relay: RelayProcess, issuer: Issuer, nameserver: NameServer
) -> None:
    issuer.revoke()
    with relay:
        relay.wait_for_event("paused")
        relay.send("info@mijnbakkerij.nl", [RECIPIENT], b"Subject: x\r\n\r\nx\r\n")
        relay.wait_for_event("delivered")
        assert relay.sigterm() == 0
    asked = len(issuer.requests)
    before = {path: path.read_bytes() for path in relay.directory.iterdir() if path.is_file()}
    found = examined(relay, nameserver)
    assert before == {p: p.read_bytes() for p in relay.directory.iterdir() if p.is_file()}
    assert len(issuer.requests) == asked
    paused = the_finding(found, "account-is-paused")
    assert paused["severity"] == "error"
    assert "relay account login" in paused["remedy"][0]
    assert paused["evidence"]["cause"] == "password-changed"
    by_name = accounts(found)
    assert by_name["isp"]["steps"] == paused["remedy"][:-1]
    assert by_name["oud"]["usage"]["messages"]["used"] == 1


def test_tokens_that_cannot_be_read_are_unknown_and_never_good(
    relay: RelayProcess, nameserver: NameServer
) -> None:
    with relay:
        assert relay.sigterm() == 0
    tokens_file(relay.spool).chmod(0o644)
    found = examined(relay, nameserver)
    told = the_finding(found, "tokens-unreadable")
    assert told["severity"] == "unknown"
    assert "chmod 600" in told["detail"]
    assert "works-until" not in findings(found)
    assert accounts(found)["isp"]["consent"] == "unknown"


def test_sealed_tokens_are_read_with_their_key(relay: RelayProcess, nameserver: NameServer) -> None:
    key = relay.secret("spool", "een lange zin als sleutel")
    original = relay.write_config().read_text()
    sealed = original.replace("[spool]\n", f'[spool]\nsecret_key = {{ file = "{key}" }}\n')
    started(relay, sealed)
    assert not tokens_file(relay.spool).exists()
    relay.config.write_text(sealed)
    assert findings(examined(relay, nameserver))["works-until"] == "ok"
    relay.secret("spool", "een andere zin")
    assert findings(examined(relay, nameserver))["tokens-unreadable"] == "unknown"
    relay.config.write_text(original)
    assert findings(examined(relay, nameserver))["tokens-unreadable"] == "unknown"


def started(relay: RelayProcess, text: str) -> None:
    """Once, with this configuration."""
    relay.write_config = lambda: relay.config  # type: ignore[method-assign]
    relay.config.write_text(text)
    with relay:
        assert relay.sigterm() == 0


def test_a_relay_that_may_not_be_asked_is_unknown(
    relay: RelayProcess, nameserver: NameServer
) -> None:
    with relay:
        relay.spool.with_name("control.token").write_text("wrong\n")
        found = examined(relay, nameserver)
    told = findings(found)
    assert (told["accounts-unknown"], told["password-ends"]) == ("unknown", "warning")
    (part,) = [each for each in found["parts"] if each["command"] == "relay account list"]
    assert (part["verdict"], part["accounts"]) == ("unknown", None)


def test_before_the_first_start_nothing_is_known_of_tokens(
    relay: RelayProcess, nameserver: NameServer
) -> None:
    relay.write_config()
    told = findings(examined(relay, nameserver))
    assert (told["accounts-unknown"], told["password-ends"]) == ("unknown", "warning")
    assert not relay.spool.exists()


def test_a_login_that_pauses_the_account_shows_in_the_same_report(
    relay: RelayProcess, nameserver: NameServer
) -> None:
    relay.secret("oud", "fout")
    with relay:
        given = [each for each in options(relay, nameserver) if each != "--no-login"]
        found = examiner.document(*given, code=1)
    assert findings(found)["login-refused"] == "error"
    assert the_finding(found, "account-is-paused")["evidence"]["name"] == "oud"
    assert findings(found)["login-accepted"] == "ok"
    assert accounts(found)["oud"]["paused"]


ACCOUNT: dict[str, Any] = {
    **{"host": "mail.example", "username": "bakker", "smarthosts": ["isp"], "auth": "oauth2"},
    **{"paused": False, "vault_error": None, "consent": "given", "usage": None},
    **{"consented_at": None, "refreshed_at": None, "works_until": None},
    **{"works_until_reason": "unknown", "works_until_why": "no end is known"},
}


@pytest.mark.parametrize(
    ("days", "reason", "id_", "severity"),
    [
        (None, "unknown", "end-unknown", "info"),
        (30, "certificate", "works-until", "ok"),
        (5, "secret", "ends-soon", "warning"),
        (-1, "secret", "ends-soon", "error"),
        (-1, "certificate", "ends-soon", "error"),
        (-1, "google-testing", "ends-soon", "warning"),
        (3, "microsoft-idle", "ends-soon", "warning"),
    ],
)
def test_the_end_of_a_login(days: int | None, reason: str, id_: str, severity: str) -> None:
    until = None if days is None else (NOW + timedelta(days=days)).isoformat()
    account = {**ACCOUNT, "works_until": until, "works_until_reason": reason}
    for language in ("nl", "en"):
        (told,) = account_findings(account, True, language)
        assert (told.id, told.severity.value) == (id_, severity)
        assert bool(told.remedy) is (id_ == "ends-soon")


def test_a_consent_that_is_needed_and_a_limit_that_was_learned() -> None:
    day = {"used": 3, "left": 7, "limit": 100, "limit_now": 10, "warning": False}
    learned = {"limit": 10, "at": "2026-11-02T09:00:00.000Z"}
    usage = {"messages": {**day, "learned": learned}, "recipients": {**day, "learned": None}}
    account = {**ACCOUNT, "consent": "needed", "usage": {**usage, "empty_at": None}}
    consent, limit = account_findings(account, True, "en")
    assert (consent.id, consent.severity.value) == ("consent-needed", "error")
    assert accounts_table([{**account, "issuer": "google", "flow": "code"}], "en").rows[0][3:5] == (
        "consent needed",
        "3 / 10* (7)",
    )
    assert consent.remedy == ("Run: relay account login isp",)
    assert (limit.id, limit.evidence["configured"], limit.evidence["now"]) == (
        *("limit-learned", "100"),
        10,
    )


@pytest.mark.parametrize(
    ("hours", "words"), [(1, "again at"), (-1, "with the next mail"), (None, "by itself")]
)
def test_when_a_paused_account_is_tried_again(hours: int | None, words: str) -> None:
    until = None if hours is None else (NOW + timedelta(hours=hours)).isoformat()
    pause = {"paused": True, "paused_at": NOW.isoformat(), "paused_until": until}
    account = {**ACCOUNT, **pause, "cause": "login-refused", "explanation": None, "reply": None}
    (told,) = account_findings(account, True, "en")
    assert words in told.detail
    by_hand = replace(told, detail="")
    (told,) = account_findings({**account, "cause": "paused-by-operator"}, True, "en")
    assert "by hand" in told.detail
    assert told.remedy != by_hand.remedy
