"""`relay account` for an account with OAuth2: the real issuer's library, an issuer of our own."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fakes.certificates import Authority
from fakes.consented import add_consented, kept_grant, token_behaviour
from fakes.issuer import Issuer
from fakes.relay_process import RelayProcess
from fakes.smarthost import Smarthost

from relay.control.client import RemoteDesk
from relay.control.token import read_address, read_token
from relay.spool.vault_entry import Grant


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as issuer:
        yield issuer


@pytest.fixture
def smarthost(authority: Authority, issuer: Issuer) -> Iterator[Smarthost]:
    with Smarthost(token_behaviour(authority, issuer, "XOAUTH2")) as smarthost:
        yield smarthost


@pytest.fixture
def relay(
    tmp_path: Path, authority: Authority, issuer: Issuer, smarthost: Smarthost
) -> RelayProcess:
    relay = RelayProcess(tmp_path)
    add_consented(relay, smarthost.port, authority.ca_file, issuer, datetime.now(UTC))
    return relay


def refreshes(issuer: Issuer) -> int:
    return sum(asked.grant_type == "refresh_token" for asked in issuer.requests)


def logins(smarthost: Smarthost) -> list[bool]:
    return [login.accepted for session in smarthost.sessions for login in session.logins]


def started_once(relay: RelayProcess) -> None:
    with relay:
        assert relay.sigterm() == 0


def test_a_stopped_relays_account_is_tested_with_its_own_tokens(
    relay: RelayProcess, issuer: Issuer, smarthost: Smarthost
) -> None:
    started_once(relay)
    before = kept_grant(relay, issuer.username)
    asyncio.run(_forget_access(relay, issuer, before))
    tested = relay.run("account", "test", "isp", "--json")
    assert (tested.code, tested.json["accepted"]) == (0, True), tested
    assert tested.json["mechanism"] == "XOAUTH2"
    assert logins(smarthost) == [True]
    (account,) = relay.run("account", "list", "--json").json["accounts"]
    assert (account["consent"], account["works_until_reason"]) == ("given", "microsoft-idle")
    grant = kept_grant(relay, issuer.username)
    assert grant.refresh_token not in (None, before.refresh_token), "rotated, and kept"
    assert str(grant.refresh_token) not in tested.out + tested.err


def test_a_revoked_consent_is_exit_1_and_asked_for_once(
    relay: RelayProcess, issuer: Issuer, smarthost: Smarthost
) -> None:
    started_once(relay)
    grant = kept_grant(relay, issuer.username)
    issuer.revoke()
    asyncio.run(_forget_access(relay, issuer, grant))
    asked = refreshes(issuer)
    refused = relay.run("account", "test", "isp", "--json", "--lang", "nl")
    assert (refused.code, refused.json["scope"]) == (1, "account"), refused
    assert "relay account login" in " ".join(refused.json["explanation"]["steps"])
    again = relay.run("account", "test", "isp", "--json")
    assert (again.code, again.json["refused_because"]) == (3, "paused")
    checked = relay.run("check", "--online", "--json")
    assert (checked.code, checked.json["verdict"]) == (3, "unknown")
    assert refreshes(issuer) == asked + 1
    assert logins(smarthost) == []
    (account,) = relay.run("account", "list", "--json").json["accounts"]
    assert (account["paused"], account["consent"]) == (True, "needed")


def test_an_issuer_out_of_order_is_exit_3_and_pauses_nothing(
    relay: RelayProcess, issuer: Issuer
) -> None:
    started_once(relay)
    asyncio.run(_forget_access(relay, issuer, kept_grant(relay, issuer.username)))
    for _ in range(3):
        issuer.fail(503)
    tested = relay.run("account", "test", "isp", "--json")
    assert (tested.code, tested.json["accepted"]) == (3, False), tested
    (account,) = relay.run("account", "list", "--json").json["accounts"]
    assert not account["paused"]


def test_a_running_relay_takes_a_grant_and_sends_again(
    relay: RelayProcess, issuer: Issuer, smarthost: Smarthost
) -> None:
    issuer.revoke()
    with relay:
        refused = relay.run("account", "test", "isp", "--json")
        assert refused.code == (3 if refused.json["refused_because"] else 1)
        assert relay.run("status").code == 1
        now = datetime.now(UTC)
        grant = Grant(issuer.new_grant(), None, None, now, now)
        desk = RemoteDesk(str(read_address(relay.spool)), read_token(relay.spool))
        kept = asyncio.run(desk.account_grant("isp", grant))
        assert kept["resumed"]
        tested = relay.run("account", "test", "isp", "--json")
        assert (tested.code, tested.json["accepted"]) == (0, True), tested
        assert relay.run("status").code == 0
        assert logins(smarthost) == [True]


async def _forget_access(relay: RelayProcess, issuer: Issuer, grant: Grant) -> None:
    """The access token that the relay may have refreshed ahead is not there."""
    from relay.spool.vault import FileVault, tokens_file

    bare = replace(grant, access_token=None, expires_at=None)
    await FileVault(tokens_file(relay.spool)).keep("127.0.0.1", issuer.username, bare)
