"""Mail through a smarthost that wants OAuth2: tokens end in the middle, are revoked, come back."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fakes.certificates import Authority
from fakes.delivery_rig import START, Rig
from fakes.issuer import Issuer
from fakes.script import Action, Command
from fakes.smarthost import Smarthost
from fakes.token_login import (
    consented,
    oauth2_at,
    token_behaviour,
    token_entry,
    token_requests,
)

from presets.verdict import Scope
from relay.account.login_test import LoginTest
from relay.config.model import Route
from relay.config.model import Smarthost as Entry
from relay.config.secret import SecretRef
from relay.delivery.trouble import BY_OPERATOR, Trouble
from relay.smarthost.tokens import NoToken
from relay.spool.ledger_entry import BlockedBy, PausedAccount
from relay.spool.model import State

SENDER = "boekhouding@bakkerij.example"
TWO = (Route(recipient="*@twee.net", smarthosts=("two",)),)


class Clock:
    """The rig's clock for an issuer that starts before it."""

    rig: Rig | None = None

    def __call__(self) -> Any:
        return self.rig.now if self.rig else START


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def issuer(clock: Clock) -> Iterator[Issuer]:
    with Issuer(clock) as found:
        yield found


@pytest.fixture
def fake(issuer: Issuer, authority: Authority) -> Iterator[Smarthost]:
    with Smarthost(token_behaviour(issuer, authority)) as found:
        yield found


class Office(Rig):
    """A rig with a consent in its vault."""

    def __init__(
        self, directory: Path, fake: Smarthost, issuer: Issuer, authority: Authority, clock: Clock
    ) -> None:
        entries = [
            token_entry(fake, issuer, authority, name, max_connections=3)
            for name in ("m365", "two")
        ]
        super().__init__(directory, entries, routes=TWO)
        self.issuer = issuer
        self.account = (entries[0].host, issuer.username)
        clock.rig = self

    async def start(self) -> None:
        if await self.spool.vault.grant(*self.account) is None:
            await self.spool.vault.keep(*self.account, consented(self.issuer, self.now))
        await super().start()

    async def accept_many(self, count: int) -> None:
        for number in range(count):
            await self.accept(SENDER, [f"r{number}@{('een', 'twee')[number % 2]}.net"])

    async def grant_anew(self) -> None:
        """As `relay account login` does."""
        await self.spool.vault.keep(*self.account, consented(self.issuer, self.now))
        await self.spool.ledger.resume(*self.account)
        await self.dispatcher.granted(*self.account)

    async def test(self, force: bool = False) -> LoginTest | PausedAccount:
        return await self.dispatcher.test_account(self.config.smarthosts[0], force)


@pytest.fixture
def office(
    tmp_path: Path, fake: Smarthost, issuer: Issuer, authority: Authority, clock: Clock
) -> Office:
    return Office(tmp_path, fake, issuer, authority, clock)


def logins(fake: Smarthost) -> list[bool]:
    return [login.accepted for session in fake.sessions for login in session.logins]


async def test_a_token_that_ends_in_the_middle_of_the_queue(
    office: Office, fake: Smarthost, issuer: Issuer
) -> None:
    def an_hour_passes(_: Command) -> Action:
        office.now += timedelta(minutes=25)
        return Action(drop="after")

    fake.behaviour.script = {"DOT": an_hour_passes}
    async with office:
        await office.accept_many(8)
        for _ in range(8):
            office.dispatcher.wake()
        await office.event("delivered", 8)
        assert all(logins(fake))
        assert issuer.user_of(fake.sessions[0].logins[0].password) is None
        offered = token_requests(issuer)
        assert 3 <= len(offered) <= 5
        assert len(set(offered)) == len(offered)  # each time the newest of a rotation
        assert office.events.named("paused") == []


async def test_many_messages_and_lanes_cause_one_refresh(
    office: Office, fake: Smarthost, issuer: Issuer
) -> None:
    async with office:
        await office.accept_many(40)
        await office.event("delivered", 40)
        assert len(token_requests(issuer)) == 1
        assert all(logins(fake))


async def test_a_revoked_consent_pauses_once_and_a_new_one_ends_it(
    office: Office, fake: Smarthost, issuer: Issuer
) -> None:
    async with office:
        issuer.revoke()
        await office.accept_many(20)
        await office.event("paused", by="account")
        await office.settled()
        (alert,) = office.events.named("alert", cause="account-paused")
        assert "relay account login" in alert["text"]
        assert len(token_requests(issuer)) == 1
        assert logins(fake) == []
        assert {view.state for view in await office.waiting()} == {State.QUEUED}
        await office.restart()
        await office.settled()
        assert len(token_requests(issuer)) == 1
        await office.grant_anew()
        await office.event("delivered", 20)
        assert await office.spool.ledger.paused() == ()
        assert len(office.events.named("alert")) == 1


async def test_after_the_period_the_issuer_is_asked_once_more(
    office: Office, fake: Smarthost, issuer: Issuer
) -> None:
    async with office:
        issuer.revoke()
        await office.accept_many(4)
        await office.event("paused", by="account")
        office.advance(minutes=16)
        await office.event("paused", 2, by="account")
        await office.settled()
        assert len(token_requests(issuer)) == 2
        (account,) = await office.spool.ledger.paused()
        assert account.until == office.now + timedelta(hours=1)


async def test_an_issuer_out_of_order_defers_and_pauses_nobody(
    office: Office, fake: Smarthost, issuer: Issuer
) -> None:
    async with office:
        issuer.throttle(40)
        await office.accept(SENDER, ["a@een.net"])
        paused = await office.event("paused", by="smarthost")
        assert paused["cause"] == "token-throttled"
        assert office.events.named("alert") == []
        office.advance(minutes=2)
        await office.event("delivered")
        assert await office.spool.ledger.paused() == ()


async def test_a_token_that_the_server_refuses_pauses_and_the_next_try_has_another(
    office: Office, fake: Smarthost, issuer: Issuer
) -> None:
    async with office:
        fake.behaviour.user_of = lambda _: None
        await office.accept_many(20)
        await office.event("paused", by="account")
        await office.settled()
        assert logins(fake) == [False]
        (alert,) = office.events.named("alert", cause="account-paused")
        assert "status=400 schemes=Bearer" in alert["text"]
        fake.behaviour.user_of = issuer.user_of
        office.advance(minutes=16)
        await office.event("delivered", 20)
        tokens = {login.password for session in fake.sessions for login in session.logins}
        assert len(tokens) == 2
        assert not any(token in repr(office.events.seen) for token in tokens)


async def test_a_refresh_ahead_of_time_that_is_refused_pauses_before_anybody_logs_in(
    office: Office, fake: Smarthost, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.account.keeper._LOOK_EVERY_SECONDS", 0.02)
    issuer.refuse(50173)
    async with office:
        await office.event("alert", cause="account-paused")
        assert len(await office.spool.ledger.paused()) == 1
        assert fake.sessions == []
        await office.settled()
        assert len(token_requests(issuer)) == 1


async def test_refusals_at_the_same_moment_count_once(office: Office) -> None:
    async with office:
        trouble = Trouble(BlockedBy.ACCOUNT, "login-refused", None, "535")
        refused = office.dispatcher.blocks.refused
        await asyncio.gather(*(refused(each, trouble) for each in office.config.smarthosts * 5))
        (account,) = await office.spool.ledger.paused()
        assert account.refusals == 1
        assert len(office.events.named("alert")) == 1


async def test_a_refusal_that_a_test_and_the_refresh_ahead_hear_counts_once(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with office:
        why = NoToken(Scope.ACCOUNT, "grant-revoked", "revoked")
        tasks = []

        async def joined(smarthost: Entry, *_: object) -> LoginTest:
            tasks.append(asyncio.ensure_future(office.dispatcher._token_refused(smarthost, why)))
            await asyncio.sleep(0)
            return LoginTest(scope=why.scope, cause=why.cause, detail=why.detail)

        monkeypatch.setattr("relay.delivery.dispatcher.try_login", joined)
        await office.test()
        await asyncio.gather(*tasks)
        (account,) = await office.spool.ledger.paused()
        assert account.refusals == 1
        assert len(office.events.named("alert", cause="account-paused")) == 1


async def test_who_hears_of_a_pause_finds_it_in_the_ledger(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`relay status` reads it there."""
    async with office:
        keep, written = office.spool.ledger.pause, asyncio.Event()

        async def slowly(account: PausedAccount) -> None:
            await written.wait()
            await keep(account)

        monkeypatch.setattr(office.spool.ledger, "pause", slowly)
        why = NoToken(Scope.ACCOUNT, "grant-revoked", "revoked")
        refusing = asyncio.ensure_future(
            office.dispatcher._token_refused(office.config.smarthosts[0], why)
        )
        while office.dispatcher.blocks.paused(office.config.smarthosts[0]) is None:
            await asyncio.sleep(0)
        testing = asyncio.ensure_future(office.test())
        await asyncio.sleep(0)
        assert not testing.done()
        written.set()
        assert isinstance(await testing, PausedAccount)
        assert len(await office.spool.ledger.paused()) == 1
        await refusing


async def test_who_resumes_it_meanwhile_is_not_overruled(office: Office) -> None:
    async with office:
        trouble = Trouble(BlockedBy.ACCOUNT, "login-refused", None, "535")
        blocks, smarthost = office.dispatcher.blocks, office.config.smarthosts[0]
        refusing = asyncio.ensure_future(blocks.refused(smarthost, trouble))
        while blocks.paused(smarthost) is None:
            await asyncio.sleep(0)
        await blocks.resume(smarthost)
        await refusing
        assert blocks.blocked(smarthost) is None


# --- an app of its own, without anybody's consent ---


def app_entry(fake: Smarthost, issuer: Issuer, authority: Authority, secret: Path) -> Entry:
    oauth2 = oauth2_at(
        issuer.authority("bakkerij.example"),
        issuer.ca_file,
        issuer.client_id,
        flow="client-credentials",
        tenant="bakkerij.example",
        client_secret=SecretRef("file", str(secret)),
    )
    oauth2 = replace(oauth2, scopes=("https://outlook.office365.com/.default",))
    return token_entry(fake, issuer, authority, oauth2=oauth2)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "client.secret"
    file.touch(0o600)
    return file


async def test_a_client_secret_that_is_put_right_ends_the_pause(
    tmp_path: Path,
    fake: Smarthost,
    issuer: Issuer,
    authority: Authority,
    secret: Path,
    clock: Clock,
) -> None:
    secret.write_text("expired")
    async with Rig(tmp_path, [app_entry(fake, issuer, authority, secret)]) as rig:
        clock.rig = rig
        await rig.accept(SENDER, ["a@een.net"])
        await rig.event("paused", by="account")
        assert await rig.dispatcher.blocks.forget_changed_secrets() is False
        secret.write_text(issuer.client_secret)
        assert await rig.dispatcher.blocks.forget_changed_secrets() is True
        rig.dispatcher.wake()
        await rig.event("delivered")
        assert len(token_requests(issuer)) == 2


async def test_an_app_without_a_right_on_the_mailbox_is_told_how_to_get_it(
    tmp_path: Path,
    fake: Smarthost,
    issuer: Issuer,
    authority: Authority,
    secret: Path,
    clock: Clock,
) -> None:
    secret.write_text(issuer.client_secret)
    fake.behaviour.user_of = lambda _: None
    async with Rig(tmp_path, [app_entry(fake, issuer, authority, secret)]) as rig:
        clock.rig = rig
        await rig.accept(SENDER, ["a@een.net"])
        alert = await rig.event("alert", cause="account-paused")
        assert "New-ServicePrincipal" in alert["text"]
        assert issuer.client_id in alert["text"]
        assert issuer.username in alert["text"]


# --- trying a login by hand ---


async def test_a_login_test_that_is_accepted_ends_a_pause(
    office: Office, fake: Smarthost, issuer: Issuer
) -> None:
    async with office:
        issuer.refuse(50173)
        await office.accept_many(2)
        await office.event("paused", by="account")
        refused = await office.test()
        assert isinstance(refused, PausedAccount)
        assert refused.username == issuer.username
        assert logins(fake) == []
        forced = await office.test(force=True)
        assert isinstance(forced, LoginTest)
        assert (forced.accepted, forced.mechanism) == (True, "XOAUTH2")
        await office.event("delivered", 2)
        assert await office.spool.ledger.paused() == ()


async def test_a_login_test_that_is_refused_is_the_one_try_of_its_period(
    office: Office, fake: Smarthost, issuer: Issuer
) -> None:
    async with office:
        fake.behaviour.user_of = lambda _: None
        first = await office.test()
        assert isinstance(first, LoginTest)
        assert not first.accepted
        await office.accept_many(10)
        await office.settled()
        assert isinstance(await office.test(), PausedAccount)
        assert logins(fake) == [False]
        (account,) = await office.spool.ledger.paused()
        assert account.until == office.now + timedelta(minutes=15)
        forced = await office.test(force=True)
        assert isinstance(forced, LoginTest)
        (account,) = await office.spool.ledger.paused()
        assert (account.refusals, account.until) == (2, office.now + timedelta(hours=1))
        office.now += timedelta(minutes=61)
        due = await office.test()
        assert isinstance(due, LoginTest)
        await office.settled()
        assert logins(fake) == [False] * 3
        (account,) = await office.spool.ledger.paused()
        assert (account.refusals, account.until) == (3, None)


async def test_a_login_test_that_does_not_get_through_changes_nothing(
    office: Office, fake: Smarthost
) -> None:
    async with office:
        fake.stop()
        found = await office.test()
        assert isinstance(found, LoginTest)
        assert (found.accepted, found.cause) == (False, "connection-failed")
        assert await office.spool.ledger.paused() == ()


# --- paused by hand ---


async def test_what_an_operator_pauses_waits_until_it_is_resumed(
    office: Office, fake: Smarthost
) -> None:
    async with office:
        await office.dispatcher.pause(office.config.smarthosts[1])
        await office.accept_many(6)
        await office.settled()
        assert {view.waiting_for for view in await office.waiting()} == {"account"}
        (account,) = await office.spool.ledger.paused()
        assert (account.cause, account.until) == (BY_OPERATOR, None)
        office.advance(days=3)
        smarthosts = tuple(
            replace(each, oauth2=replace(each.oauth2, tenant="other"))
            for each in office.config.smarthosts
            if each.oauth2
        )
        await office.reload(smarthosts=smarthosts)
        await office.restart()
        await office.settled()
        assert fake.sessions == []
        assert isinstance(await office.test(), PausedAccount)
        forced = await office.test(force=True)
        assert isinstance(forced, LoginTest)
        assert forced.accepted
        assert len(await office.spool.ledger.paused()) == 1
        await office.settled()
        assert len(await office.waiting()) == 6
        await office.spool.ledger.resume(*office.account)
        await office.dispatcher.account_resumed(*office.account)
        await office.event("delivered", 6)
