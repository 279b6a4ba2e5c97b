"""Accounts over the API: try, pause, grant; a token that was handed over is never told back."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from fakes.stocked_spool import NOON, FakeDaemon, office_config
from starlette.applications import Starlette
from starlette.testclient import TestClient

from presets.reply import Reply
from presets.verdict import Phase, Scope
from relay.account.login_test import LoginTest
from relay.config.model import Smarthost
from relay.control.errors import Declined
from relay.control.grants import grant_document, read_grant
from relay.control.page_desk import PageDesk
from relay.spool.ledger_entry import PausedAccount
from relay.spool.sqlite import open_spool
from relay.spool.vault_entry import Grant
from relay.web.api import create_app

AUTH = {"Authorization": "Bearer token"}
USER = "bakker@example.nl"
CANARY = "CANARY-roggebrood-7"
TABLES = f"""
[[smarthost]]
name = "m365"
preset = "microsoft365"
username = "{USER}"
[smarthost.oauth2]
client_id = "11111111-2222-3333-4444-555555555555"
"""
GRANT = Grant(CANARY, "access", NOON + timedelta(hours=1), NOON, NOON, ("SMTP.Send",))


class Daemon(FakeDaemon):
    """A relay whose login is refused, unless it is paused."""

    paused: PausedAccount | None = None

    async def account_test(self, smarthost: Smarthost, force: bool) -> LoginTest | PausedAccount:
        self.calls.append(f"account_test {smarthost.name} {force}")
        if self.paused is not None and not force:
            return self.paused
        return LoginTest(
            mechanism="XOAUTH2",
            mechanisms_offered=("XOAUTH2", "LOGIN"),
            reply=Reply(535, "5.7.3", "Authentication unsuccessful"),
            phase=Phase.AUTH,
            scope=Scope.ACCOUNT,
            cause="login-refused",
            detail="535 5.7.3 Authentication unsuccessful",
            address="192.0.2.1",
            seconds=0.12345,
        )

    async def account_pause(self, smarthost: Smarthost) -> None:
        self.calls.append(f"account_pause {smarthost.name}")

    async def granted(self, host: str, username: str) -> None:
        self.calls.append(f"granted {username}")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[TestClient, Daemon]]:
    app = Starlette()
    config = office_config(tmp_path, TABLES)
    daemons: list[Daemon] = []

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        spool = open_spool(tmp_path / "spool.db", lambda: NOON)
        daemons.append(Daemon(config, spool))
        app.mount("/", create_app(PageDesk(spool, daemons[0], lambda: NOON), "token", ()))
        yield
        await spool.close()

    app.router.lifespan_context = lifespan
    with TestClient(app, "http://127.0.0.1:8025") as client:
        yield client, daemons[0]


def post(client: TestClient, verb: str, body: object, code: int = 200) -> dict[str, Any]:
    answer = client.post(f"/api/v1/accounts/{verb}?lang=nl", json=body, headers=AUTH)
    assert answer.status_code == code, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_try_is_told_field_by_field(served: tuple[TestClient, Daemon]) -> None:
    client, daemon = served
    found = post(client, "test", {"name": "m365"})
    explanation = found.pop("explanation")
    assert explanation["steps"]
    assert found == {
        "schema": "relay/1",
        "command": "account test",
        "smarthost": "m365",
        "host": "smtp.office365.com",
        "username": USER,
        "tested": True,
        "refused_because": None,
        "paused_until": None,
        "mechanism": "XOAUTH2",
        "mechanisms_offered": ["XOAUTH2", "LOGIN"],
        "accepted": False,
        "phase": "auth",
        "scope": "account",
        "cause": "login-refused",
        "detail": "535 5.7.3 Authentication unsuccessful",
        "reply": {"code": 535, "enhanced": "5.7.3", "text": "Authentication unsuccessful"},
        "address": "192.0.2.1",
        "seconds": 0.123,
    }
    assert daemon.calls == ["account_test m365 False"]


def test_a_pause_is_told_with_the_same_keys(served: tuple[TestClient, Daemon]) -> None:
    client, daemon = served
    forced = post(client, "test", {"name": USER, "force": True})
    host = "smtp.office365.com"
    daemon.paused = PausedAccount(host, USER, NOON, None, 3, "grant-revoked", None, None)
    found = post(client, "test", {"name": USER, "force": False})
    assert list(found) == list(forced)
    assert (found["tested"], found["accepted"], found["refused_because"]) == (
        False,
        False,
        "paused",
    )
    assert (found["cause"], found["paused_until"]) == ("grant-revoked", None)
    assert any("relay account login" in step for step in found["explanation"]["steps"])


def test_a_pause_by_hand(served: tuple[TestClient, Daemon]) -> None:
    client, daemon = served
    done = post(client, "pause", {"name": "m365"})
    assert done["paused"] == [{"host": "smtp.office365.com", "username": USER}]
    assert daemon.calls == ["account_pause m365"]


def test_a_grant_is_kept_and_not_told_back(
    served: tuple[TestClient, Daemon], tmp_path: Path
) -> None:
    client, daemon = served
    done = post(client, "grant", {"name": "m365", "grant": grant_document(GRANT)})
    assert (done["username"], done["resumed"]) == (USER, False)
    listed = client.get("/api/v1/accounts", headers=AUTH)
    assert CANARY not in repr(done) + listed.text
    assert daemon.calls == [f"granted {USER}", "mail_due"]
    assert CANARY in (tmp_path / "spool.db.tokens").read_text()


@pytest.mark.parametrize(
    "change",
    [
        {"refreshed_at": None},
        {"refreshed_at": "yesterday"},
        {"refreshed_at": "2026-11-21T12:00:00"},
        {"expires_at": 3600},
        {"refresh_token": [CANARY]},
        {"scopes": "SMTP.Send"},
        {"scopes": [1]},
    ],
)
def test_a_grant_that_is_none_is_declined(
    served: tuple[TestClient, Daemon], change: dict[str, object]
) -> None:
    client, daemon = served
    body = {"name": "m365", "grant": {**grant_document(GRANT), **change}}
    assert CANARY not in repr(post(client, "grant", body, 400))
    assert daemon.calls == []


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("test", {}),
        ("test", {"name": "m365", "force": "yes"}),
        ("test", {"name": "nergens"}),
        ("pause", {"name": 1}),
        ("pause", {"name": "nergens"}),
        ("grant", {"name": "m365"}),
        ("grant", {"name": "m365", "grant": "x"}),
    ],
)
def test_a_bad_request_does_nothing(
    served: tuple[TestClient, Daemon], verb: str, body: object
) -> None:
    client, daemon = served
    assert set(post(client, verb, body, 400)["error"]) == {"nl", "en"}
    assert daemon.calls == []


def test_tokens_that_cannot_be_kept_are_told_in_both_languages(
    served: tuple[TestClient, Daemon], tmp_path: Path
) -> None:
    client, _ = served
    tokens = tmp_path / "spool.db.tokens"
    tokens.touch(0o600)
    tokens.write_text("{")
    body = {"name": "m365", "grant": grant_document(GRANT)}
    error = post(client, "grant", body, 503)["error"]
    assert error["nl"] != error["en"]
    assert "spool.db.tokens" in error["nl"]


def test_a_grant_survives_the_way_there() -> None:
    east = timezone(timedelta(hours=1))
    grant = Grant("r", None, None, NOON.astimezone(east), NOON, ())
    assert read_grant(grant_document(grant)) == grant
    assert read_grant(grant_document(GRANT)).expires_at == datetime(2026, 11, 21, 13, tzinfo=UTC)
    with pytest.raises(Declined):
        read_grant({})
