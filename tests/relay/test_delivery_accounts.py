"""A login that the provider refuses: tried once, for all who use it, until somebody acts."""

import asyncio
import threading
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fakes.certificates import Authority
from fakes.delivery_rig import Rig, rig_smarthost, with_login
from fakes.script import Behaviour
from fakes.smarthost import Smarthost

from relay.config.model import Route, TlsMode
from relay.config.model import Smarthost as Entry
from relay.spool.ledger_entry import BlockedBy, PausedAccount
from relay.spool.model import State

SENDER = "info@bakkerij.nl"
ROUTES = (Route(recipient="*@twee.net", smarthosts=("two",)),)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    return tmp_path / "isp.secret"


def behaviour(authority: Authority, password: str = "geheim") -> Behaviour:
    context = authority.issue().server_context()
    return Behaviour(tls="starttls", context=context, users={"bakker": password})


def entry(
    fake: Smarthost, authority: Authority, secret: Path, name: str = "isp", **keys: Any
) -> Entry:
    login = with_login(secret, password="verkeerd")
    keys = {"tls": TlsMode.STARTTLS, "ca_file": authority.ca_file, **login, **keys}
    return rig_smarthost(fake, name, **keys)


def logins(fake: Smarthost) -> int:
    return sum(session.verbs.count("AUTH") for session in fake.sessions)


async def refused(rig: Rig) -> None:
    """Both lanes have mail, and the login has been refused."""
    for n in range(5):
        await rig.accept(SENDER, [f"r{n}@een.net"])
        await rig.accept(SENDER, [f"r{n}@twee.net"])
    await rig.event("paused", by="account")
    await rig.settled()


@pytest.fixture
def two(authority: Authority, secret: Path) -> Any:
    """Two entries of one account, and mail for both."""

    def smarthosts(fake: Smarthost) -> list[Entry]:
        names = ("isp", "two")
        return [entry(fake, authority, secret, name, max_connections=4) for name in names]

    return smarthosts


async def test_a_refused_login_is_tried_once_and_fails_nothing(
    tmp_path: Path, authority: Authority, two: Any
) -> None:
    with Smarthost(behaviour(authority)) as fake:
        async with Rig(tmp_path, two(fake), routes=ROUTES) as rig:
            await refused(rig)
            assert logins(fake) == 1
            assert {message.state for message in await rig.waiting()} == {State.QUEUED}
            assert {message.waiting_for for message in await rig.waiting()} == {"account"}
            assert len(rig.events.named("alert", cause="account-paused")) == 1
            assert rig.events.named("failed") == rig.events.named("dsn") == []
            (account,) = await rig.spool.ledger.paused()
            assert (account.host, account.username) == ("127.0.0.1", "bakker")
            assert account.until == rig.now + timedelta(minutes=15)
            lanes = await rig.spool.ledger.lanes()
            assert [lane.block.by for lane in lanes.values() if lane.block] == [
                BlockedBy.ACCOUNT
            ] * 2
            assert "verkeerd" not in repr(rig.events.seen)


async def test_it_is_tried_after_a_quarter_and_an_hour_and_then_no_more(
    tmp_path: Path, authority: Authority, two: Any
) -> None:
    with Smarthost(behaviour(authority)) as fake:
        async with Rig(tmp_path, two(fake), routes=ROUTES) as rig:
            await refused(rig)
            rig.advance(minutes=14)
            await rig.settled()
            assert logins(fake) == 1
            rig.advance(minutes=2)
            await rig.event("paused", 2, by="account")
            await rig.settled()
            assert logins(fake) == 2
            rig.advance(minutes=61)
            await rig.event("paused", 3, by="account")
            rig.advance(days=2)
            await rig.settled()
            assert logins(fake) == 3


async def test_a_clock_that_is_set_back_is_no_reason_to_try_earlier(
    tmp_path: Path, authority: Authority, two: Any
) -> None:
    with Smarthost(behaviour(authority)) as fake:
        async with Rig(tmp_path, two(fake), routes=ROUTES) as rig:
            await refused(rig)
            rig.advance(hours=-3)
            assert rig.dispatcher.blocked_names() == {"isp", "two"}
            await rig.accept(SENDER, ["new@een.net"])
            rig.advance(minutes=14)
            assert rig.dispatcher.blocked_names() == {"isp", "two"}
            rig.advance(minutes=2)
            await rig.event("paused", 2, by="account")
            await rig.settled()
            assert logins(fake) == 2


async def test_a_look_at_the_secrets_while_one_is_marked_ends_no_pause(
    tmp_path: Path, authority: Authority, two: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Smarthost(behaviour(authority)) as fake:
        async with Rig(tmp_path, two(fake), routes=ROUTES) as rig:
            blocks, looked = rig.dispatcher.blocks, threading.Event()
            mark, first = blocks.pauses._mark, iter([True])

            def slowly(entries: Sequence[Entry]) -> str | None:
                if next(first, False):
                    looked.wait(10)
                return mark(entries)

            monkeypatch.setattr(blocks.pauses, "_mark", slowly)
            await rig.accept(SENDER, ["r@een.net"])
            while not rig.dispatcher.blocked_names():
                await asyncio.sleep(0)
            changed = await blocks.forget_changed_secrets()
            looked.set()
            assert not changed
            await rig.event("paused", by="account")
            await rig.settled()
            assert logins(fake) == 1


async def test_a_login_that_is_refused_for_now_is_tried_each_hour_without_end(
    tmp_path: Path, authority: Authority, secret: Path
) -> None:
    """454 blames the provider's own side: its outage may outlast any number of tries."""
    waiting = behaviour(authority, "verkeerd")
    waiting.script = {"AUTH": "454 4.7.0 Temporary authentication failure"}
    with Smarthost(waiting) as fake:
        async with Rig(tmp_path, [entry(fake, authority, secret)]) as rig:
            await rig.accept(SENDER, ["een@example.net"])
            for tries, minutes in enumerate((15, 60, 60, 60), start=1):
                await rig.event("paused", tries, by="account")
                await rig.settled()
                (account,) = await rig.spool.ledger.paused()
                assert account.until == rig.now + timedelta(minutes=minutes)
                assert logins(fake) == tries
                rig.advance(minutes=minutes, seconds=1)
            await rig.event("paused", 5, by="account")
            assert rig.events.named("failed") == rig.events.named("dsn") == []
            fake.behaviour.script = {}
            rig.advance(minutes=61)
            await rig.event("resumed")
            assert await rig.spool.ledger.paused() == ()
            assert len(rig.events.named("alert", cause="account-paused")) == 1


async def test_the_pause_survives_a_restart(tmp_path: Path, authority: Authority, two: Any) -> None:
    with Smarthost(behaviour(authority)) as fake:
        async with Rig(tmp_path, two(fake), routes=ROUTES) as rig:
            await refused(rig)
            await rig.restart()
            await rig.settled()
            assert rig.dispatcher.blocked_names() == {"isp", "two"}
            assert logins(fake) == 1


async def test_try_now_does_not_resume_it(tmp_path: Path, authority: Authority, two: Any) -> None:
    with Smarthost(behaviour(authority)) as fake:
        async with Rig(tmp_path, two(fake), routes=ROUTES) as rig:
            await refused(rig)
            await rig.spool.queue.retry(await rig.spool.queue.ids())
            await rig.dispatcher.try_now()
            await rig.settled()
            assert logins(fake) == 1
            assert {message.waiting_for for message in await rig.waiting()} == {"account"}


async def test_another_secret_ends_it_for_all(
    tmp_path: Path, authority: Authority, two: Any, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.delivery.dispatcher._WATCH_EVERY_SECONDS", 0.02)
    with Smarthost(behaviour(authority)) as fake:
        async with Rig(tmp_path, two(fake), routes=ROUTES) as rig:
            await refused(rig)
            secret.write_text("geheim\n")
            await rig.event("delivered", 10)
            assert await rig.spool.ledger.paused() == ()
            lanes = await rig.spool.ledger.lanes()
            assert [lane.block for lane in lanes.values()] == [None, None]


async def test_entries_with_secrets_of_their_own_are_one_account_all_the_same(
    tmp_path: Path, authority: Authority, secret: Path
) -> None:
    """The secret of one entry is no change of the other's."""
    other = tmp_path / "two.secret"
    with Smarthost(behaviour(authority)) as fake:
        entries = [entry(fake, authority, secret), entry(fake, authority, other, "two")]
        other.write_text("ook verkeerd\n")
        async with Rig(tmp_path, entries, routes=ROUTES) as rig:
            await refused(rig)
            for _ in range(3):
                assert not await rig.dispatcher.blocks.forget_changed_secrets()
            await rig.settled()
            assert logins(fake) == 1
            other.write_text("geheim\n")
            assert await rig.dispatcher.blocks.forget_changed_secrets()


async def test_a_pause_that_the_ledger_does_not_know_yet_is_not_forgotten(
    tmp_path: Path, authority: Authority, two: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `relay queue retry` comes at that moment."""
    with Smarthost(behaviour(authority)) as fake:
        async with Rig(tmp_path, two(fake), routes=ROUTES) as rig:
            keep = rig.spool.ledger.pause

            async def pause(account: PausedAccount) -> None:
                await rig.dispatcher.try_now()
                await keep(account)

            monkeypatch.setattr(rig.spool.ledger, "pause", pause)
            await refused(rig)
            assert logins(fake) == 1
            assert len(rig.events.named("alert", cause="account-paused")) == 1


async def test_a_secret_changed_while_it_was_stopped_ends_it(
    tmp_path: Path, authority: Authority, two: Any, secret: Path
) -> None:
    with Smarthost(behaviour(authority)) as fake:
        async with Rig(tmp_path, two(fake), routes=ROUTES) as rig:
            await refused(rig)
            await rig.dispatcher.stop(0)
            secret.write_text("geheim\n")
            await rig.start()
            await rig.event("delivered", 10)


async def test_a_reload_sees_another_secret_at_once(
    tmp_path: Path, authority: Authority, two: Any, secret: Path
) -> None:
    with Smarthost(behaviour(authority)) as fake:
        async with Rig(tmp_path, two(fake), routes=ROUTES) as rig:
            await refused(rig)
            secret.write_text("geheim\n")
            await rig.reload()
            await rig.event("delivered", 10)


async def test_a_secret_that_becomes_readable_ends_it(
    tmp_path: Path, authority: Authority, secret: Path
) -> None:
    with Smarthost(behaviour(authority)) as fake:
        smarthost = entry(fake, authority, secret)
        secret.unlink()
        async with Rig(tmp_path, [smarthost]) as rig:
            await rig.accept(SENDER, ["een@example.net"])
            await rig.event("paused", by="account")
            assert logins(fake) == 0
            secret.touch(0o600)
            secret.write_text("geheim\n")
            await rig.reload()
            await rig.event("delivered")


async def test_resumed_by_command_while_it_runs(
    tmp_path: Path, authority: Authority, two: Any
) -> None:
    with Smarthost(behaviour(authority)) as fake:
        async with Rig(tmp_path, two(fake), routes=ROUTES) as rig:
            await refused(rig)
            fake.behaviour.users = {"bakker": "verkeerd"}
            await rig.spool.ledger.resume("127.0.0.1", "bakker")
            await rig.dispatcher.account_resumed("127.0.0.1", "bakker")
            await rig.event("delivered", 10)


async def test_resumed_by_command_while_it_was_stopped(
    tmp_path: Path, authority: Authority, two: Any
) -> None:
    with Smarthost(behaviour(authority)) as fake:
        async with Rig(tmp_path, two(fake), routes=ROUTES) as rig:
            await refused(rig)
            await rig.dispatcher.stop(0)
            fake.behaviour.users = {"bakker": "verkeerd"}
            await rig.spool.ledger.resume("127.0.0.1", "bakker")
            await rig.start()
            await rig.event("delivered", 10)
            lanes = await rig.spool.ledger.lanes()
            assert [lane.block for lane in lanes.values()] == [None, None]


async def test_a_login_refused_at_mail_pauses_it_too_and_the_waits_grow(
    tmp_path: Path, authority: Authority, secret: Path
) -> None:
    refusing = behaviour(authority, "verkeerd")
    refusing.script = {"MAIL": "535 5.7.8 account locked"}
    with Smarthost(refusing) as fake:
        async with Rig(tmp_path, [entry(fake, authority, secret)]) as rig:
            await rig.accept(SENDER, ["een@example.net"])
            await rig.event("paused", 1, by="account")
            rig.advance(minutes=16)
            await rig.event("paused", 2, by="account")
            rig.advance(minutes=61)
            await rig.event("paused", 3, by="account")
            (account,) = await rig.spool.ledger.paused()
            assert account.until is None


async def test_a_new_user_name_is_another_account(
    tmp_path: Path, authority: Authority, secret: Path
) -> None:
    with Smarthost(behaviour(authority)) as fake:
        async with Rig(tmp_path, [entry(fake, authority, secret)]) as rig:
            await rig.accept(SENDER, ["een@example.net"])
            await rig.event("paused", by="account")
            fake.behaviour.users = {"nieuw": "verkeerd"}
            await rig.reload(smarthosts=(entry(fake, authority, secret, username="nieuw"),))
            await rig.event("delivered")
