"""A consent from its start to its grant: loopback, pasted address, device code."""

import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fakes.issuer import Issuer
from fakes.oauth_accounts import at_microsoft

from presets.verdict import Scope
from relay.account.consent import (
    Loopback,
    finish,
    read_redirect,
    redirect_uri,
    wait_for_device,
)
from relay.account.provider import CodeConsent, Consented, DeviceConsent, provider_of
from relay.smarthost.tokens import NoToken

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
USER = "boekhouding@bakkerij.example"


class Clock:
    def __init__(self) -> None:
        self.now = NOW
        self.waited: list[float] = []

    def __call__(self) -> datetime:
        return self.now

    def wait(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def issuer(clock: Clock) -> Iterator[Issuer]:
    with Issuer(clock) as running:
        yield running


def begun(issuer: Issuer, back: str = "http://localhost:49163") -> CodeConsent:
    oauth2 = at_microsoft(issuer)
    consent = provider_of(oauth2, 10.0).begin_code(oauth2, USER, back, NOW)
    assert not isinstance(consent, NoToken)
    return consent


def finished(issuer: Issuer, consent: CodeConsent, pasted: str) -> Consented | NoToken:
    return finish(consent, read_redirect(pasted), (at_microsoft(issuer), USER), NOW)


def visit(address: str) -> tuple[int, str]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(address, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_the_address_asks_for_what_it_should(issuer: Issuer) -> None:
    query = parse_qs(urlsplit(begun(issuer).address).query)
    assert query["code_challenge_method"] == ["S256"]
    assert query["login_hint"] == [USER]
    assert set(query["scope"][0].split()) >= {
        "https://outlook.office.com/SMTP.Send",
        "offline_access",
    }


def test_each_issuer_gets_the_loopback_name_it_takes(issuer: Issuer) -> None:
    assert redirect_uri(at_microsoft(issuer), 7) == "http://localhost:7"


def test_a_pasted_address_gives_the_grant_and_who_gave_it(issuer: Issuer) -> None:
    consent = begun(issuer)
    outcome = finished(issuer, consent, f"  {issuer.approve(consent.address)}\r\n")
    assert isinstance(outcome, Consented)
    assert outcome.account == USER
    assert outcome.grant.refresh_token
    assert outcome.grant.consented_at == outcome.grant.refreshed_at == NOW
    assert issuer.user_of(outcome.grant.access_token or "") == USER


def test_somebody_else_who_consents_is_named(issuer: Issuer) -> None:
    consent = begun(issuer)
    outcome = finished(issuer, consent, issuer.approve(consent.address, "info@bakkerij.example"))
    assert isinstance(outcome, Consented)
    assert outcome.account == "info@bakkerij.example"


@pytest.mark.parametrize(
    "change",
    [
        lambda address, state: address.replace(state, "another"),
        lambda address, state: address.replace(f"state={state}", ""),
        lambda address, state: address.split("?")[0],
        lambda address, state: "https://example.net/",
        lambda address, state: "",
        lambda address, state: "\x1b[31m?code=x",
        lambda address, state: "?" + "&".join("code=1" for _ in range(100)),
    ],
    ids=["wrong state", "no state", "cut off", "other", "empty", "escape", "endless"],
)
def test_an_address_that_is_not_ours_is_not_exchanged(issuer: Issuer, change: Any) -> None:
    consent = begun(issuer)
    before = len(issuer.requests)
    outcome = finished(issuer, consent, change(issuer.approve(consent.address), consent.state))
    assert isinstance(outcome, NoToken)
    assert (outcome.scope, outcome.cause) == (Scope.ACCOUNT, "redirect-wrong")
    assert len(issuer.requests) == before


def test_cancel_is_told_as_such(issuer: Issuer) -> None:
    consent = begun(issuer)
    outcome = finished(issuer, consent, issuer.deny(consent.address))
    assert isinstance(outcome, NoToken)
    assert outcome.cause == "declined"


def test_an_error_in_the_redirect_is_judged_by_its_code(issuer: Issuer) -> None:
    consent = begun(issuer)
    text = f"?state={consent.state}&error=invalid_request&error_description=AADSTS65001%3A+no"
    outcome = finished(issuer, consent, text)
    assert isinstance(outcome, NoToken)
    assert outcome.cause == "consent-missing"


def test_a_code_that_came_too_late(issuer: Issuer, clock: Clock) -> None:
    consent = begun(issuer)
    address = issuer.approve(consent.address)
    clock.wait(601)
    outcome = finished(issuer, consent, address)
    assert isinstance(outcome, NoToken)
    assert outcome.cause == "grant-expired"


def test_pkce_is_checked_against_the_start(issuer: Issuer) -> None:
    first, second = begun(issuer), begun(issuer)
    address = issuer.approve(second.address).replace(second.state, first.state)
    outcome = finished(issuer, first, address)
    assert isinstance(outcome, NoToken)
    assert "AADSTS501481" in outcome.detail


def test_the_listener_takes_the_redirect_with_its_state_alone(issuer: Issuer) -> None:
    with Loopback("nl") as loopback:
        base = f"http://127.0.0.1:{loopback.port}"
        consent = begun(issuer, redirect_uri(at_microsoft(issuer), loopback.port))
        assert visit(f"{base}/?code=x&state=")[0] == 404, "before the state is known"
        loopback.expect(consent.state)
        assert visit(f"{base}/favicon.ico")[0] == 404
        assert visit(f"{base}/?code=x&state=wrong")[0] == 400
        assert loopback.wait(0.0) is None
        target = urlsplit(issuer.approve(consent.address))
        status, page = visit(f"{base}/?{target.query}")
        assert status == 200
        assert "sluiten" in page
        assert consent.state not in page
        assert visit(f"{base}/?code=second&state={consent.state}")[0] == 200
        answer = loopback.wait(5.0)
    outcome = finish(consent, answer, (at_microsoft(issuer), USER), NOW)
    assert isinstance(outcome, Consented)


def test_a_silent_connection_does_not_keep_the_redirect_out(issuer: Issuer) -> None:
    import socket

    with (
        Loopback("en") as loopback,
        socket.create_connection(("127.0.0.1", loopback.port)) as silent,
    ):
        loopback.expect("s")
        came = threading.Thread(
            target=visit, args=(f"http://127.0.0.1:{loopback.port}/?code=c&state=s",)
        )
        came.start()
        answer = loopback.wait(4.0)
        silent.close()
        came.join()
    assert answer == {"code": "c", "state": "s"}


def device(issuer: Issuer, clock: Clock) -> DeviceConsent:
    oauth2 = at_microsoft(issuer, "device")
    consent = provider_of(oauth2, 10.0).begin_device(oauth2, USER, clock())
    assert not isinstance(consent, NoToken)
    return consent


def test_the_device_flow_waits_until_the_code_is_entered(issuer: Issuer, clock: Clock) -> None:
    consent = device(issuer, clock)
    assert consent.address == f"{issuer.url}/devicelogin"

    def wait(seconds: float) -> None:
        clock.wait(seconds)
        if len(clock.waited) == 3:
            issuer.enter(consent.user_code)

    outcome = wait_for_device(consent, clock, wait)
    assert isinstance(outcome, Consented)
    assert outcome.account == USER
    assert outcome.grant.consented_at == NOW + timedelta(seconds=15)
    assert clock.waited == [5, 5, 5]


def test_slow_down_is_honoured(issuer: Issuer, clock: Clock) -> None:
    consent = device(issuer, clock)
    issuer.slow_down()
    issuer.slow_down()

    def wait(seconds: float) -> None:
        clock.wait(seconds)
        if len(clock.waited) == 4:
            issuer.enter(consent.user_code)

    assert isinstance(wait_for_device(consent, clock, wait), Consented)
    assert clock.waited == [5, 10, 15, 15]


def test_a_failing_network_does_not_end_the_device_flow(issuer: Issuer, clock: Clock) -> None:
    consent = device(issuer, clock)
    issuer.play("drop")
    issuer.fail(503)
    issuer.enter(consent.user_code)
    assert isinstance(wait_for_device(consent, clock, clock.wait), Consented)
    assert clock.waited == [5, 10, 15]


def test_a_code_that_nobody_enters_ends(issuer: Issuer, clock: Clock) -> None:
    outcome = wait_for_device(device(issuer, clock), clock, clock.wait)
    assert isinstance(outcome, NoToken)
    assert outcome.cause == "code-expired"
    assert sum(clock.waited) == 900


def test_a_code_that_somebody_declines(issuer: Issuer, clock: Clock) -> None:
    consent = device(issuer, clock)
    issuer.decline(consent.user_code)
    outcome = wait_for_device(consent, clock, clock.wait)
    assert isinstance(outcome, NoToken)
    assert outcome.cause == "declined"


def test_a_device_flow_that_policy_blocks(issuer: Issuer, clock: Clock) -> None:
    consent = device(issuer, clock)
    issuer.refuse(53003)
    outcome = wait_for_device(consent, clock, clock.wait)
    assert isinstance(outcome, NoToken)
    assert outcome.cause == "device-code-blocked"
    issuer.refuse(7000218, at="device")
    oauth2 = at_microsoft(issuer, "device")
    started = provider_of(oauth2).begin_device(oauth2, USER, NOW)
    assert isinstance(started, NoToken)
    assert started.cause == "secret-missing"


def test_a_consent_that_cannot_start(issuer: Issuer) -> None:
    issuer.fail(503, at="discovery")
    oauth2 = at_microsoft(issuer)
    started = provider_of(oauth2).begin_code(oauth2, USER, "http://localhost:1", NOW)
    assert isinstance(started, NoToken)
    assert started.scope is Scope.SERVICE
