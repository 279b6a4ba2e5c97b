"""Mail through Microsoft 365 with OAuth2: tokens end, rotate, and survive a kill -9."""

import signal
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from fakes.certificates import Authority
from fakes.consented import add_consented, kept_grant
from fakes.disk_faults import DiskFaults
from fakes.hurried_relay import HurriedRelay
from fakes.invoice import invoice
from fakes.issuer import Fault, Issuer
from fakes.microsoft365 import Limits, Microsoft365
from fakes.peers import needs
from fakes.relay_process import RelayProcess
from fakes.scaled_time import ScaledClock

QUICK = Limits(messages_per_minute=10_000)
MINUTE = 60.0


class HoldingIssuer(Issuer):
    """Rotates the refresh token and keeps the answer to itself, while `hold` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.hold = False
        self.rotated = threading.Event()
        self.go_on = threading.Event()

    def answer(self, path: str, form: dict[str, str], posted: bool) -> Fault:
        answer = super().answer(path, form, posted)
        if self.hold and form.get("grant_type") == "refresh_token":
            self.rotated.set()
            self.go_on.wait(30)
        return answer


def submit(relay: RelayProcess, account: str, numbers: range) -> None:
    for number in numbers:
        recipient = f"klant{number}@example.net"
        relay.send(account, [recipient], invoice(account, [recipient], number=number))


def arrived(microsoft: Microsoft365) -> list[str]:
    return sorted(message.recipients[0] for message in microsoft.messages)


def customers(numbers: range) -> list[str]:
    return sorted(f"klant{number}@example.net" for number in numbers)


def refreshes(issuer: Issuer) -> list[str]:
    """The refresh tokens that were presented, in order."""
    asked = (one for one in issuer.requests if one.grant_type == "refresh_token")
    return [one.form["refresh_token"] for one in asked]


@pytest.fixture
def clock() -> ScaledClock:
    return ScaledClock(MINUTE)


@pytest.fixture
def issuer(clock: ScaledClock) -> Iterator[Issuer]:
    with Issuer(clock.now) as issuer:
        issuer.lifetime_seconds = 180
        yield issuer


@pytest.fixture
def microsoft(authority: Authority, issuer: Issuer, clock: ScaledClock) -> Iterator[Microsoft365]:
    context = authority.issue().server_context()
    with Microsoft365(context, clock, user_of=issuer.user_of) as fake:
        # Many logins, so that an old token would be noticed.
        fake.messages_per_session = 5
        yield fake


@pytest.fixture
def relay(
    tmp_path: Path,
    authority: Authority,
    issuer: Issuer,
    microsoft: Microsoft365,
    clock: ScaledClock,
) -> HurriedRelay:
    relay = HurriedRelay(tmp_path, clock)
    consented_at = clock.now() - timedelta(days=30)
    add_consented(relay, microsoft.port, authority.ca_file, issuer, consented_at)
    return relay


def test_tokens_end_while_mail_leaves_and_each_is_refreshed_once(
    relay: HurriedRelay, issuer: Issuer, microsoft: Microsoft365
) -> None:
    issuer.single_use = True  # stricter than Microsoft: a second refresh with one token is refused
    run = range(170)
    first = kept_grant(relay, issuer.username).refresh_token
    with relay:
        submit(relay, issuer.username, run)
        microsoft.wait_until(lambda: len(microsoft.messages) >= len(run), 40)
        relay.wait_until(lambda: relay.queue() == [])
        assert relay.log_events("failed") == relay.log_events("alert") == []
        assert relay.sigterm() == 0
    assert arrived(microsoft) == customers(run)
    assert microsoft.refused_logins == []
    assert len(microsoft.logins) >= len(run) / 5
    assert len(issuer.access) >= 3
    assert len(refreshes(issuer)) == len(issuer.access)
    assert refreshes(issuer) == list(issuer.refresh)[:-1]
    assert refreshes(issuer)[0] == first
    assert kept_grant(relay, issuer.username).refresh_token == list(issuer.refresh)[-1]
    assert microsoft.violations == []


def test_a_token_ends_while_the_issuer_is_away_and_mail_only_waits(
    relay: HurriedRelay, issuer: Issuer, microsoft: Microsoft365
) -> None:
    run = range(110)
    with relay:
        submit(relay, issuer.username, run)
        microsoft.wait_until(lambda: len(microsoft.messages) >= 10)
        (token,) = issuer.access
        for _ in range(6):
            issuer.fail(503)
        relay.wait_until(lambda: issuer.user_of(token) is None and issuer.faults.__len__() < 3)
        relay.wait_until(lambda: any(one["by"] != "quota" for one in relay.log_events("paused")))
        queue = relay.queue()
        assert {one["state"] for one in queue} == {"queued"}
        microsoft.wait_until(lambda: len(microsoft.messages) >= len(run), 40)
        assert {one["by"] for one in relay.log_events("paused")} == {"smarthost"}
        assert relay.log_events("failed") == relay.log_events("dsn") == []
    assert arrived(microsoft) == customers(run)
    assert microsoft.refused_logins == []


def test_a_hundred_messages_wait_for_one_refresh(tmp_path: Path, authority: Authority) -> None:
    run = range(100)
    with (
        HoldingIssuer() as issuer,
        Microsoft365(
            authority.issue().server_context(), user_of=issuer.user_of, limits=QUICK
        ) as microsoft,
    ):
        relay = RelayProcess(tmp_path)
        consented_at = microsoft.clock.now() - timedelta(days=30)
        quick = "messages_per_minute = 10000"
        add_consented(relay, microsoft.port, authority.ca_file, issuer, consented_at, quick)
        issuer.hold = True
        with relay:
            submit(relay, issuer.username, run)
            assert issuer.rotated.wait(20)
            assert len(relay.queue()) == len(run)
            issuer.go_on.set()
            microsoft.wait_until(lambda: len(microsoft.messages) >= len(run))
        assert arrived(microsoft) == customers(run)
        assert len(refreshes(issuer)) == 1
        assert microsoft.refused_logins == []


def mail_flows_again(relay: RelayProcess, issuer: Issuer, microsoft: Microsoft365) -> None:
    """After a kill in the middle of a refresh: nobody has to do anything."""
    relay.start()
    submit(relay, issuer.username, range(3, 5))
    microsoft.wait_until(lambda: len(microsoft.messages) >= 5)
    relay.wait_until(lambda: relay.queue() == [])
    assert relay.run("status").code == 0
    assert relay.log_events("alert") == relay.log_events("failed") == []
    assert arrived(microsoft) == customers(range(5))
    assert microsoft.refused_logins == []
    assert kept_grant(relay, issuer.username).refresh_token == list(issuer.refresh)[-1]


def test_a_kill_while_the_rotated_token_is_on_its_way(tmp_path: Path, authority: Authority) -> None:
    with (
        HoldingIssuer() as issuer,
        Microsoft365(authority.issue().server_context(), user_of=issuer.user_of) as microsoft,
    ):
        relay = RelayProcess(tmp_path)
        consented_at = microsoft.clock.now() - timedelta(days=30)
        old = add_consented(relay, microsoft.port, authority.ca_file, issuer, consented_at)
        issuer.hold = True
        with relay:
            submit(relay, issuer.username, range(3))
            assert issuer.rotated.wait(20)
            relay.kill9()
            issuer.hold = False
            issuer.go_on.set()
            assert len(issuer.refresh) == 2
            assert kept_grant(relay, issuer.username).refresh_token == old
            mail_flows_again(relay, issuer, microsoft)


@needs("cc")
def test_a_kill_while_the_rotated_token_is_being_stored(
    tmp_path: Path, authority: Authority
) -> None:
    with (
        HoldingIssuer() as issuer,
        Microsoft365(authority.issue().server_context(), user_of=issuer.user_of) as microsoft,
    ):
        relay = RelayProcess(tmp_path)
        consented_at = microsoft.clock.now() - timedelta(days=30)
        old = add_consented(relay, microsoft.port, authority.ca_file, issuer, consented_at)
        faults = DiskFaults(tmp_path / "faults", tmp_path / "spool.db.tokens")
        relay.environment = faults.environment
        faults.order("kill", "sync")
        issuer.hold = True
        with relay:
            submit(relay, issuer.username, range(3))
            issuer.hold = False
            issuer.go_on.set()
            assert relay.wait_for_exit() == -signal.SIGKILL
            faults.clear()
            assert len(issuer.refresh) == 2
            assert microsoft.logins == []
            assert kept_grant(relay, issuer.username).refresh_token == old
            mail_flows_again(relay, issuer, microsoft)
