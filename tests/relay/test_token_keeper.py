"""Tokens for many: asked for once, ahead of need, durable before use, and not again when refused."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fakes.counting_provider import CountingProvider

from presets.verdict import Scope
from relay.account.keeper import TokenKeeper
from relay.config.model import AuthMethod, Config, OAuth2, Smarthost, Spool
from relay.config.secret import SecretRef
from relay.smarthost.tokens import NoToken
from relay.spool.errors import SpoolFull, VaultError
from relay.spool.vault_entry import Grant

START = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
HOST, USER = "smtp.office365.com", "boekhouding@bakkerij.example"
DOWN = NoToken(Scope.CONNECTION, "token-unreachable", "no route")
BUSY = NoToken(Scope.SERVICE, "token-throttled", "429", retry_after_seconds=120)
REVOKED = NoToken(Scope.ACCOUNT, "grant-revoked", "invalid_grant")


class MemoryVault:
    """A vault that fails on demand and can be made slow; `kept` is what it took, in order."""

    def __init__(self) -> None:
        self.grants: dict[tuple[str, str], Grant] = {}
        self.kept: list[Grant] = []
        self.error: Exception | None = None
        self.open = asyncio.Event()
        self.open.set()

    async def grant(self, host: str, username: str) -> Grant | None:
        if isinstance(self.error, VaultError):
            raise self.error
        return self.grants.get((host, username))

    async def keep(self, host: str, username: str, grant: Grant) -> None:
        await self.open.wait()
        if self.error is not None:
            raise self.error
        self.kept.append(grant)
        self.grants[host, username] = grant

    async def forget(self, host: str, username: str) -> bool:
        return self.grants.pop((host, username), None) is not None


class Desk:
    """A keeper with everything around it in a test's hands."""

    def __init__(self, directory: Path) -> None:
        self.now = START
        self.vault = MemoryVault()
        self.provider = CountingProvider()
        self.secret = directory / "client.secret"
        self.secret.touch(0o600)
        self.secret.write_text("first")
        self.smarthost = Smarthost(
            name="m365",
            host=HOST,
            auth=AuthMethod.OAUTH2,
            username=USER,
            oauth2=OAuth2(client_id="app", client_secret=SecretRef("file", str(self.secret))),
        )
        self.keeper = TokenKeeper(self.config(), self.vault, lambda: self.now)
        self.refused: list[NoToken] = []

    def config(self) -> Config:
        spool = Spool(url="sqlite://")
        return Config(language="nl", hostname="r", spool=spool, smarthosts=(self.smarthost,))

    def consent(self, **keys: Any) -> Grant:
        keys = {"access_token": None, "expires_at": None, **keys}
        grant = Grant(refresh_token="refresh-0", consented_at=START, refreshed_at=START, **keys)
        self.vault.grants[HOST, USER] = grant
        return grant

    async def token(self) -> str | NoToken:
        return await self.keeper.access_token(self.smarthost)

    async def refresh_due(self, paused: bool = False) -> None:
        async def refused(_: Smarthost, why: NoToken) -> None:
            self.refused.append(why)

        await self.keeper.refresh_due(lambda _: paused, refused)

    @property
    def asked(self) -> int:
        return len(self.provider.asked)


@pytest.fixture
async def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    found = Desk(tmp_path)
    monkeypatch.setattr("relay.account.provider.provider_of", lambda _: found.provider)
    yield found
    found.provider.go.set()
    found.vault.open.set()
    await found.keeper.stop(5)


async def test_a_hundred_who_wait_cause_one_refresh(desk: Desk) -> None:
    desk.consent()
    desk.provider.go.clear()
    other = replace(desk.smarthost, name="second-entry")
    waiting = [
        asyncio.ensure_future(desk.keeper.access_token(each))
        for each in [desk.smarthost, other] * 50
    ]
    await asyncio.to_thread(desk.provider.began.wait, 10)
    desk.provider.go.set()
    assert set(await asyncio.gather(*waiting)) == {"access-1"}
    assert desk.asked == 1
    assert await desk.token() == "access-1"
    assert desk.asked == 1


async def test_who_stops_waiting_does_not_stop_the_refresh(desk: Desk) -> None:
    desk.consent()
    desk.provider.go.clear()
    first = asyncio.ensure_future(desk.token())
    await asyncio.to_thread(desk.provider.began.wait, 10)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    desk.provider.go.set()
    assert await desk.token() == "access-1"
    assert desk.asked == 1
    assert [each.refresh_token for each in desk.vault.kept] == ["refresh-1"]


async def test_the_new_refresh_token_is_durable_before_the_access_token_is_used(
    desk: Desk,
) -> None:
    desk.consent()
    desk.vault.open.clear()
    asked = asyncio.ensure_future(desk.token())
    await asyncio.to_thread(desk.provider.began.wait, 10)
    done, _ = await asyncio.wait([asked], timeout=0.3)
    assert not done
    desk.vault.open.set()
    assert await asked == "access-1"
    assert desk.vault.grants[HOST, USER].refresh_token == "refresh-1"


async def test_an_answer_that_could_not_be_stored_is_stored_before_anything_else(
    desk: Desk,
) -> None:
    desk.consent()
    desk.vault.error = SpoolFull("disk full")
    found = await desk.token()
    assert isinstance(found, NoToken)
    assert (found.scope, found.cause) == (Scope.SERVICE, "token-not-stored")
    assert isinstance(await desk.token(), NoToken)
    desk.vault.error = None
    assert await desk.token() == "access-1"
    assert desk.asked == 1
    assert desk.vault.grants[HOST, USER].refresh_token == "refresh-1"


async def test_an_answer_is_not_lost_when_the_vault_cannot_even_be_read(desk: Desk) -> None:
    desk.consent()

    def broken() -> None:
        desk.vault.error = VaultError("kapot", "broken")

    desk.provider.answers.append(broken)
    assert isinstance(await desk.token(), NoToken)
    desk.vault.error = None
    assert await desk.token() == "access-1"
    assert desk.asked == 1


async def test_a_token_lasts_over_a_restart(desk: Desk) -> None:
    desk.consent(access_token="kept", expires_at=START + timedelta(minutes=30))
    assert await desk.token() == "kept"
    assert desk.asked == 0


@pytest.mark.parametrize(
    ("lifetime_seconds", "left_seconds"), [(3600, 301), (3600, 299), (60, 13), (60, 11)]
)
async def test_it_is_refreshed_before_it_ends(
    desk: Desk, lifetime_seconds: int, left_seconds: int
) -> None:
    desk.consent()
    desk.provider.lifetime_seconds = lifetime_seconds
    await desk.token()
    desk.now += timedelta(seconds=lifetime_seconds - left_seconds)
    late = left_seconds in (299, 11)
    assert await desk.token() == ("access-2" if late else "access-1")


async def test_it_is_refreshed_ahead_though_nobody_waits(desk: Desk) -> None:
    desk.consent()
    await desk.refresh_due()
    assert desk.asked == 1
    await desk.refresh_due()
    assert desk.asked == 1
    desk.now += timedelta(minutes=56)
    await desk.refresh_due()
    assert desk.asked == 2


async def test_an_issuer_that_hangs_delays_no_other_account(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.consent()
    grant = desk.vault.grants[HOST, "other@bakkerij.example"] = desk.consent()
    oauth2 = replace(desk.smarthost.oauth2, client_id="other app")
    other = replace(desk.smarthost, name="other", username="other@bakkerij.example", oauth2=oauth2)
    config = replace(desk.config(), smarthosts=(desk.smarthost, other))
    desk.keeper.reload(config)
    hanging = CountingProvider()
    hanging.go.clear()
    providers = {"app": hanging, "other app": desk.provider}
    monkeypatch.setattr(
        "relay.account.provider.provider_of", lambda oauth2: providers[oauth2.client_id]
    )
    due = asyncio.ensure_future(desk.refresh_due())
    async with asyncio.timeout(60):
        while desk.vault.grants[HOST, "other@bakkerij.example"] == grant:
            await asyncio.sleep(0.01)
    assert desk.vault.grants[HOST, USER].refresh_token == "refresh-0"
    hanging.go.set()
    await due


async def test_a_long_lived_token_is_refreshed_every_week_all_the_same(desk: Desk) -> None:
    desk.consent()
    desk.provider.lifetime_seconds = 90 * 86_400
    await desk.refresh_due()
    desk.now += timedelta(days=6, hours=23)
    await desk.refresh_due()
    assert desk.asked == 1
    desk.now += timedelta(hours=2)
    await desk.refresh_due()
    assert desk.asked == 2


async def test_nothing_is_refreshed_ahead_without_a_consent_or_while_paused(desk: Desk) -> None:
    await desk.refresh_due()
    desk.consent()
    await desk.refresh_due(paused=True)
    assert desk.asked == 0


@pytest.mark.parametrize("trouble", [DOWN, BUSY])
async def test_trouble_that_passes_uses_the_old_token_while_it_lasts(
    desk: Desk, trouble: NoToken
) -> None:
    desk.consent()
    await desk.token()
    desk.provider.answers.extend([trouble] * 9)
    desk.now += timedelta(minutes=57)
    assert await desk.token() == "access-1"
    desk.now += timedelta(minutes=4)
    assert await desk.token() == trouble
    desk.provider.answers.clear()
    desk.now += timedelta(minutes=3)
    assert await desk.token() == "access-4"


@pytest.mark.parametrize(
    ("trouble", "patience_seconds"),
    [
        (DOWN, 15),
        (BUSY, 120),
        (replace(BUSY, retry_after_seconds=10**9), 900),
        (replace(BUSY, retry_after_seconds=0.1), 15),
    ],
)
async def test_the_issuer_is_left_alone_for_a_while(
    desk: Desk, trouble: NoToken, patience_seconds: float
) -> None:
    desk.consent()
    desk.provider.answers.append(trouble)
    assert await desk.token() == trouble
    desk.now += timedelta(seconds=patience_seconds - 1)
    assert await desk.token() == trouble
    assert desk.asked == 1
    desk.now += timedelta(seconds=1)
    assert await desk.token() == "access-2"


async def test_the_pauses_grow_and_are_bounded(desk: Desk) -> None:
    desk.consent()
    desk.provider.answers.extend([DOWN] * 6)
    for seconds in (15, 30, 60, 60):
        asked = desk.asked
        await desk.token()
        assert desk.asked == asked + 1
        desk.now += timedelta(seconds=seconds - 1)
        await desk.token()
        assert desk.asked == asked + 1
        desk.now += timedelta(seconds=1)


async def test_a_revoked_grant_is_told_with_its_steps_and_not_asked_for_again(desk: Desk) -> None:
    desk.consent()
    desk.provider.answers.append(REVOKED)
    found = await desk.token()
    assert isinstance(found, NoToken)
    assert (found.scope, found.cause) == (Scope.ACCOUNT, "grant-revoked")
    assert "(1) " in found.detail
    assert "relay account login" in found.detail
    for _ in range(100):
        assert await desk.token() == found
    await desk.refresh_due()
    assert desk.refused == [found]  # who runs the breaker pauses it, and then:
    await desk.refresh_due(paused=True)
    assert desk.asked == 1


async def test_after_the_breakers_period_it_is_asked_again(desk: Desk) -> None:
    desk.consent()
    desk.provider.answers.append(REVOKED)
    await desk.token()
    desk.now += timedelta(minutes=14, seconds=59)
    assert isinstance(await desk.token(), NoToken)
    desk.now += timedelta(seconds=1)
    assert await desk.token() == "access-2"


async def test_a_new_secret_is_tried_at_once(desk: Desk) -> None:
    desk.consent()
    desk.provider.answers.append(REVOKED)
    await desk.token()
    desk.secret.write_text("second")
    assert await desk.token() == "access-2"


async def test_a_new_grant_is_used_at_once(desk: Desk) -> None:
    desk.consent()
    desk.provider.answers.append(REVOKED)
    await desk.token()
    desk.vault.grants[HOST, USER] = replace(desk.consent(), refresh_token="consented")
    desk.keeper.granted(HOST, USER)
    assert await desk.token() == "access-2"
    assert [each and each.refresh_token for each in desk.provider.asked] == [
        "refresh-0",
        "consented",
    ]


async def test_a_new_grant_replaces_a_token_that_still_lasts(desk: Desk) -> None:
    desk.consent()
    await desk.token()
    desk.consent()
    desk.keeper.granted(HOST, USER)
    assert await desk.token() == "access-2"


async def test_a_new_grant_is_seen_though_nobody_says_so(desk: Desk) -> None:
    desk.provider.answers.append(REVOKED)
    await desk.token()
    desk.consent()
    assert await desk.token() == "access-2"


async def test_somebody_who_resumes_it_is_believed(desk: Desk) -> None:
    desk.consent()
    desk.provider.answers.append(REVOKED)
    await desk.token()
    desk.keeper.retry(HOST, USER)
    assert await desk.token() == "access-2"


async def test_a_consent_while_the_issuer_answers_is_not_overwritten(desk: Desk) -> None:
    desk.consent()

    def consented() -> None:
        desk.vault.grants[HOST, USER] = replace(
            desk.consent(), refresh_token="consented", consented_at=START + timedelta(seconds=5)
        )
        desk.keeper.granted(HOST, USER)

    desk.provider.answers.append(consented)
    assert isinstance(await desk.token(), NoToken)
    assert desk.vault.grants[HOST, USER].refresh_token == "consented"
    assert await desk.token() == "access-2"


async def test_a_refused_token_is_not_given_again_even_after_a_restart(desk: Desk) -> None:
    desk.consent()
    assert await desk.token() == "access-1"
    await desk.keeper.refused(desk.smarthost, "access-1")
    assert desk.vault.grants[HOST, USER].access_token is None
    assert desk.vault.grants[HOST, USER].refresh_token == "refresh-1"
    assert await desk.token() == "access-2"
    await desk.keeper.refused(desk.smarthost, "access-1")
    assert await desk.token() == "access-2"


async def test_a_refused_token_is_not_given_again_though_the_vault_fails(desk: Desk) -> None:
    desk.consent()
    await desk.token()
    desk.vault.error = SpoolFull("disk full")
    await desk.keeper.refused(desk.smarthost, "access-1")
    desk.vault.error = None
    assert await desk.token() == "access-2"


async def test_another_app_after_a_reload_gets_a_token_of_its_own(desk: Desk) -> None:
    desk.consent()
    await desk.token()
    assert desk.smarthost.oauth2 is not None
    desk.smarthost = replace(
        desk.smarthost, oauth2=replace(desk.smarthost.oauth2, client_id="other")
    )
    desk.keeper.reload(desk.config())
    assert await desk.token() == "access-2"
    assert await desk.token() == "access-2"


async def test_an_issuer_that_hangs_is_not_waited_for_and_its_answer_is_kept(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.account.keeper._WAIT_SECONDS", 0.05)
    desk.consent()
    desk.provider.go.clear()
    found = [await desk.token() for _ in range(3)]
    assert {each.cause for each in found if isinstance(each, NoToken)} == {"token-timeout"}
    assert desk.asked == 1
    monkeypatch.setattr("relay.account.keeper._WAIT_SECONDS", 20)
    late = asyncio.ensure_future(desk.token())
    desk.provider.go.set()
    assert await late == "access-1"
    assert desk.vault.grants[HOST, USER].refresh_token == "refresh-1"


async def test_an_answer_under_way_at_the_end_is_kept(desk: Desk) -> None:
    desk.consent()
    desk.provider.go.clear()
    asked = asyncio.ensure_future(desk.token())
    await asyncio.to_thread(desk.provider.began.wait, 10)
    stopping = asyncio.ensure_future(desk.keeper.stop(10))
    desk.provider.go.set()
    await stopping
    assert desk.vault.grants[HOST, USER].refresh_token == "refresh-1"
    assert await asked == "access-1"


async def test_a_vault_that_fails_defers_with_its_words_and_alarms_once(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.vault.error = VaultError("doe: chmod 600 x", "run: chmod 600 x")
    for _ in range(5):
        found = await desk.token()
    assert [record.getMessage() for record in caplog.records].count("alert") == 1
    assert isinstance(found, NoToken)
    assert (found.scope, found.cause) == (Scope.SERVICE, "token-vault")
    assert found.detail == "doe: chmod 600 x"


async def test_a_flow_without_consent_needs_no_grant(desk: Desk) -> None:
    assert desk.smarthost.oauth2 is not None
    oauth2 = replace(desk.smarthost.oauth2, flow="client-credentials")
    desk.smarthost = replace(desk.smarthost, oauth2=oauth2)
    assert await desk.token() == "access-1"
    assert desk.vault.grants[HOST, USER].refresh_token is None
    assert await desk.token() == "access-1"


async def test_run_goes_on_after_a_fault(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("relay.account.keeper._LOOK_EVERY_SECONDS", 0.001)
    desk.consent()
    twice = asyncio.Event()
    calls: list[int] = []

    def paused(_: Smarthost) -> bool:
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("first")
        twice.set()
        return True

    async def refused(_: Smarthost, __: NoToken) -> None:
        raise AssertionError

    running = asyncio.ensure_future(desk.keeper.run(paused, refused))
    async with asyncio.timeout(10):
        await twice.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert "refreshing tokens ahead" in caplog.text
