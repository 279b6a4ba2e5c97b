"""Real google-auth and google-auth-oauthlib against the fake issuer."""

import json
import logging
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fakes.issuer import Answer, Fault, Issuer
from fakes.oauth_accounts import at_google, secret_file

from presets.verdict import Scope
from relay.account.consent import read_redirect
from relay.account.provider import CodeConsent, Consented, provider_of
from relay.config.model import OAuth2
from relay.smarthost.tokens import NoToken
from relay.spool.vault_entry import Grant

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
USER = "boekhouding@bakkerij.example"


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as running:
        yield running


def held(issuer: Issuer, age: timedelta = timedelta(days=30)) -> Grant:
    return Grant(issuer.new_grant(), None, None, NOW - age, NOW - timedelta(hours=1), ("old",))


def fetch(oauth2: OAuth2, grant: Grant | None, seconds: float = 10.0) -> Grant | NoToken:
    return provider_of(oauth2, seconds).fetch(oauth2, USER, grant, NOW)


def refused(oauth2: OAuth2, grant: Grant | None, seconds: float = 10.0) -> NoToken:
    found = fetch(oauth2, grant, seconds)
    assert isinstance(found, NoToken)
    return found


def begun(oauth2: OAuth2) -> CodeConsent:
    consent = provider_of(oauth2, 10.0).begin_code(oauth2, USER, "http://127.0.0.1:49163", NOW)
    assert not isinstance(consent, NoToken)
    return consent


def brought(issuer: Issuer, consent: CodeConsent) -> Mapping[str, str]:
    found = read_redirect(issuer.approve(consent.address))
    assert found is not None
    return found


def test_a_refresh_keeps_the_refresh_token(issuer: Issuer, tmp_path: Path) -> None:
    old = held(issuer)
    new = fetch(at_google(issuer, tmp_path), old)
    assert isinstance(new, Grant)
    assert issuer.user_of(new.access_token or "") == USER
    assert new.refresh_token == old.refresh_token
    assert new.expires_at is not None
    assert timedelta(minutes=59) < new.expires_at - NOW <= timedelta(hours=1)
    assert (new.consented_at, new.refreshed_at) == (old.consented_at, NOW)


def test_consent_with_pkce_gives_a_grant_and_who_gave_it(issuer: Issuer, tmp_path: Path) -> None:
    consent = begun(at_google(issuer, tmp_path))
    query = parse_qs(urlsplit(consent.address).query)
    assert query["code_challenge_method"] == ["S256"]
    assert query["login_hint"] == [USER]
    assert query["access_type"] == ["offline"]
    assert query["prompt"] == ["consent"]
    outcome = consent.finish(brought(issuer, consent), NOW)
    assert isinstance(outcome, Consented)
    assert outcome.account == USER
    assert outcome.grant.refresh_token
    assert outcome.grant.consented_at == NOW
    assert "https://mail.google.com/" in outcome.grant.scopes
    assert isinstance(fetch(at_google(issuer, tmp_path), outcome.grant), Grant)


def test_the_verifier_is_sent_and_checked(issuer: Issuer, tmp_path: Path) -> None:
    first, second = begun(at_google(issuer, tmp_path)), begun(at_google(issuer, tmp_path))
    outcome = first.finish(brought(issuer, second), NOW)
    assert isinstance(outcome, NoToken)
    assert outcome.cause == "code-expired"
    assert "code verifier" in outcome.detail


def test_a_code_works_once(issuer: Issuer, tmp_path: Path) -> None:
    consent = begun(at_google(issuer, tmp_path))
    answer = brought(issuer, consent)
    assert isinstance(consent.finish(answer, NOW), Consented)
    again = consent.finish(answer, NOW)
    assert isinstance(again, NoToken)
    assert again.cause == "code-expired"


def test_a_box_left_unticked_is_found_at_once(issuer: Issuer, tmp_path: Path) -> None:
    consent = begun(at_google(issuer, tmp_path))
    body = {"access_token": "x", "expires_in": 3600, "refresh_token": "r", "scope": "openid"}
    issuer.faults.append(Fault(answer=Answer(200, body)))
    outcome = consent.finish(brought(issuer, consent), NOW)
    assert isinstance(outcome, NoToken)
    assert (outcome.scope, outcome.cause) == (Scope.ACCOUNT, "scope-missing")


def test_no_refresh_token_is_no_consent(issuer: Issuer, tmp_path: Path) -> None:
    consent = begun(at_google(issuer, tmp_path))
    issuer.faults.append(Fault(answer=Answer(200, {"access_token": "x", "expires_in": 3600})))
    outcome = consent.finish(brought(issuer, consent), NOW)
    assert isinstance(outcome, NoToken)
    assert outcome.cause == "no-refresh-token"


def test_there_is_no_device_flow_for_mail(issuer: Issuer, tmp_path: Path) -> None:
    oauth2 = at_google(issuer, tmp_path)
    outcome = provider_of(oauth2).begin_device(oauth2, USER, NOW)
    assert isinstance(outcome, NoToken)
    assert outcome.cause == "device-not-offered"


def test_a_service_account_acts_for_the_mailbox(issuer: Issuer, tmp_path: Path) -> None:
    new = fetch(at_google(issuer, tmp_path, "service-account"), None)
    assert isinstance(new, Grant)
    assert issuer.user_of(new.access_token or "") == USER
    assert new.refresh_token is None


def test_a_service_account_may_act_for_another(issuer: Issuer, tmp_path: Path) -> None:
    oauth2 = at_google(issuer, tmp_path, "service-account", subject="info@bakkerij.example")
    new = fetch(oauth2, None)
    assert isinstance(new, Grant)
    assert issuer.user_of(new.access_token or "") == "info@bakkerij.example"


def test_a_key_file_sends_its_assertion_nowhere_else(issuer: Issuer, tmp_path: Path) -> None:
    info = {**json.loads(issuer.service_account_json), "token_uri": "https://evil.example/token"}
    secret = secret_file(tmp_path, "key.json", json.dumps(info))
    oauth2 = at_google(issuer, tmp_path, "service-account", client_secret=secret)
    assert isinstance(fetch(oauth2, None), Grant)


@pytest.mark.parametrize("text", ["geheim", "[]", '{"type": "service_account"}', '{"a": 1'])
def test_a_key_file_that_is_none(issuer: Issuer, tmp_path: Path, text: str) -> None:
    secret = secret_file(tmp_path, "key.json", text)
    why = refused(at_google(issuer, tmp_path, "service-account", client_secret=secret), None)
    assert (why.scope, why.cause) == (Scope.ACCOUNT, "key-file-unusable")


@pytest.mark.parametrize(
    ("error", "description", "cause"),
    [
        ("unauthorized_client", "Client is unauthorized to retrieve", "delegation-missing"),
        ("invalid_grant", "Invalid JWT Signature.", "key-refused"),
        ("invalid_grant", "Invalid email or User ID", "subject-unknown"),
        (
            "invalid_grant",
            "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable"
            " timeframe. Check your iat and exp values in the JWT claim.",
            "clock-wrong",
        ),
    ],
)
def test_what_google_says_of_a_service_account(
    issuer: Issuer, tmp_path: Path, error: str, description: str, cause: str
) -> None:
    issuer.refuse_google(error, description)
    why = refused(at_google(issuer, tmp_path, "service-account"), None)
    assert (why.scope, why.cause) == (Scope.ACCOUNT, cause)
    assert description[:20] in why.detail


@pytest.mark.parametrize(
    ("days", "cause"), [(7.04, "google-testing"), (7.99, "google-testing"), (8, "grant-revoked")]
)
def test_revoked_within_eight_days_points_at_testing(
    issuer: Issuer, tmp_path: Path, days: float, cause: str
) -> None:
    grant = held(issuer, timedelta(days=days))
    issuer.revoke()
    assert refused(at_google(issuer, tmp_path), grant).cause == cause


def test_a_wrong_secret_and_a_wrong_app(issuer: Issuer, tmp_path: Path) -> None:
    wrong = secret_file(tmp_path, "wrong", "no")
    assert refused(at_google(issuer, tmp_path, client_secret=wrong), held(issuer)).cause == (
        "secret-wrong"
    )
    assert refused(at_google(issuer, tmp_path, client_id="other"), held(issuer)).cause == (
        "app-unknown"
    )


@pytest.mark.parametrize("flow", ["code", "service-account"])
@pytest.mark.parametrize(
    ("fault", "scope", "cause"),
    [
        (lambda i: i.throttle(), Scope.SERVICE, "token-throttled"),
        (lambda i: i.fail(500), Scope.SERVICE, "token-service-down"),
        (lambda i: i.refuse_google("internal_failure"), Scope.SERVICE, "token-service-down"),
        (lambda i: i.play("endless"), Scope.SERVICE, "token-garbled"),
        (lambda i: i.play("drop"), Scope.CONNECTION, "token-unreachable"),
        (lambda i: i.play("hang"), Scope.CONNECTION, "token-unreachable"),
        (lambda i: i.garble(), Scope.SERVICE, "token-garbled"),
        (lambda i: i.redirect(), Scope.CONNECTION, "token-redirected"),
        (
            lambda i: i.faults.append(Fault(answer=Answer(200, {"access_token": 7}))),
            Scope.SERVICE,
            "token-garbled",
        ),
    ],
    ids=["429", "500", "internal", "endless", "drop", "hang", "garbage", "to http", "no token"],
)
def test_what_passes_by_itself_pauses_nobody(
    issuer: Issuer, tmp_path: Path, flow: Any, fault: Any, scope: Scope, cause: str
) -> None:
    fault(issuer)
    why = refused(at_google(issuer, tmp_path, flow), held(issuer), seconds=1.0)
    assert (why.scope, why.cause) == (scope, cause)
    # google-auth would ask three times by itself, with pauses.
    assert len(issuer.requests) == 1


def test_no_token_and_no_secret_reaches_a_log(
    issuer: Issuer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    consent = begun(at_google(issuer, tmp_path))
    answer = brought(issuer, consent)
    outcome = consent.finish(answer, NOW)
    assert isinstance(outcome, Consented)
    grant = outcome.grant
    for text in (grant.refresh_token, grant.access_token, issuer.client_secret, answer["code"]):
        assert text
        assert text not in caplog.text
