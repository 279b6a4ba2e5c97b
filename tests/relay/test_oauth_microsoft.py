"""Real msal against the fake issuer: every grant, and every way it can go wrong."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fakes.certificates import Authority
from fakes.issuer import Answer, Fault, Issuer
from fakes.issuer_keys import AppCertificate
from fakes.oauth_accounts import at_microsoft, secret_file

from presets.verdict import Scope
from relay.account.provider import provider_of
from relay.config.model import OAuth2, SecretRef
from relay.smarthost.tokens import NoToken
from relay.spool.vault_entry import Grant

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
USER = "boekhouding@bakkerij.example"


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as running:
        yield running


def held(issuer: Issuer, refresh_token: str | None = None) -> Grant:
    token = refresh_token or issuer.new_grant()
    return Grant(token, None, None, NOW - timedelta(days=30), NOW - timedelta(days=1))


def fetch(oauth2: OAuth2, grant: Grant | None, seconds: float = 10.0) -> Grant | NoToken:
    return provider_of(oauth2, seconds).fetch(oauth2, USER, grant, NOW)


def refused(oauth2: OAuth2, grant: Grant | None, seconds: float = 10.0) -> NoToken:
    found = fetch(oauth2, grant, seconds)
    assert isinstance(found, NoToken)
    return found


def test_a_refresh_gives_a_token_and_the_rotated_refresh_token(issuer: Issuer) -> None:
    old = held(issuer)
    new = fetch(at_microsoft(issuer), old)
    assert isinstance(new, Grant)
    assert new.access_token is not None
    assert issuer.user_of(new.access_token) == USER
    assert new.refresh_token not in (None, old.refresh_token)
    assert new.expires_at == NOW + timedelta(hours=1)
    assert (new.consented_at, new.refreshed_at) == (old.consented_at, NOW)
    assert new.scopes == ("https://outlook.office.com/SMTP.Send",)
    assert [asked.grant_type for asked in issuer.requests if asked.page == "token"] == [
        "refresh_token"
    ]


def test_without_rotation_the_refresh_token_stays(issuer: Issuer) -> None:
    issuer.rotate = False
    old = held(issuer)
    new = fetch(at_microsoft(issuer), old)
    assert isinstance(new, Grant)
    assert new.refresh_token == old.refresh_token


def test_a_grant_of_the_device_flow_refreshes_without_a_secret(
    issuer: Issuer, tmp_path: Path
) -> None:
    oauth2 = at_microsoft(issuer, "device", client_secret=secret_file(tmp_path, "s", "wrong"))
    assert isinstance(fetch(oauth2, held(issuer)), Grant)


def test_an_app_with_a_secret(issuer: Issuer, tmp_path: Path) -> None:
    secret = secret_file(tmp_path, "app.secret", issuer.client_secret + "\n")
    new = fetch(at_microsoft(issuer, "client-credentials", client_secret=secret), None)
    assert isinstance(new, Grant)
    assert issuer.user_of(new.access_token or "") == USER
    assert (new.refresh_token, new.consented_at) == (None, None)


def test_an_app_with_a_certificate(issuer: Issuer, tmp_path: Path) -> None:
    pem = secret_file(tmp_path, "relay.pem", issuer.certificate_pem)
    new = fetch(at_microsoft(issuer, "client-credentials", certificate=pem), None)
    assert isinstance(new, Grant)
    assert "client_assertion" in issuer.requests[-1].form


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (AppCertificate.make().pem, "certificate-refused"),
        (AppCertificate.make().pem.partition("-----BEGIN CERT")[0], "certificate-unusable"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "certificate-unusable"),
        (
            "-----BEGIN PRIVATE KEY-----\nA\n-----END PRIVATE KEY-----"
            "-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----",
            "certificate-unusable",
        ),
    ],
    ids=["another's", "key alone", "certificate alone", "damaged"],
)
def test_a_certificate_that_will_not_do(
    issuer: Issuer, tmp_path: Path, text: str, cause: str
) -> None:
    pem = secret_file(tmp_path, "relay.pem", text)
    why = refused(at_microsoft(issuer, "client-credentials", certificate=pem), None)
    assert (why.scope, why.cause) == (Scope.ACCOUNT, cause)
    assert "PRIVATE" not in why.detail


def test_nobody_consented_yet(issuer: Issuer) -> None:
    assert refused(at_microsoft(issuer), None).cause == "consent-needed"
    assert issuer.requests == []


def test_a_secret_that_cannot_be_read(issuer: Issuer, tmp_path: Path) -> None:
    missing = SecretRef("file", str(tmp_path / "none"))
    why = refused(at_microsoft(issuer, "client-credentials", client_secret=missing), None)
    assert (why.scope, why.cause) == (Scope.ACCOUNT, "secret-unreadable")


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        (70008, "grant-expired"),
        (700082, "grant-expired"),
        (50173, "password-changed"),
        (65001, "consent-missing"),
        (7000215, "secret-wrong"),
        (7000222, "secret-expired"),
        (7000218, "secret-missing"),
        (53003, "access-blocked"),
        (530033, "access-blocked"),
        (50076, "mfa-needed"),
        (50053, "user-blocked"),
        (50057, "user-blocked"),
        (50105, "user-not-assigned"),
        (70044, "session-ended"),
        (700016, "app-unknown"),
        (1002012, "scope-refused"),
        (90094, "consent-missing"),
    ],
)
def test_a_refusal_pauses_the_account_and_is_told_apart(
    issuer: Issuer, code: int, cause: str
) -> None:
    issuer.refuse(code)
    why = refused(at_microsoft(issuer), held(issuer))
    assert (why.scope, why.cause) == (Scope.ACCOUNT, cause)
    assert f"AADSTS{code}" in why.detail
    assert USER in why.detail


def test_the_device_flow_blocked_by_policy_names_the_other_flow(issuer: Issuer) -> None:
    issuer.refuse(53003)
    assert refused(at_microsoft(issuer, "device"), held(issuer)).cause == "device-code-blocked"


def test_a_revoked_grant_really_is_refused(issuer: Issuer) -> None:
    grant = held(issuer)
    issuer.revoke(grant.refresh_token)
    assert refused(at_microsoft(issuer), grant).cause == "password-changed"
    assert refused(at_microsoft(issuer), held(issuer, "unknown")).cause == "grant-revoked"


@pytest.mark.parametrize("at", ["token", "discovery"])
@pytest.mark.parametrize(
    ("fault", "scope", "cause"),
    [
        (lambda i, at: i.throttle(45, at), Scope.SERVICE, "token-throttled"),
        (lambda i, at: i.fail(500, at), Scope.SERVICE, "token-service-down"),
        (lambda i, at: i.fail(503, at), Scope.SERVICE, "token-service-down"),
        (lambda i, at: i.play("endless", at), Scope.SERVICE, "token-garbled"),
        (lambda i, at: i.play("drop", at), Scope.CONNECTION, "token-unreachable"),
        (lambda i, at: i.play("hang", at), Scope.CONNECTION, "token-unreachable"),
        (lambda i, at: i.garble(at), Scope.SERVICE, "token-garbled"),
        (lambda i, at: i.redirect(at=at), Scope.CONNECTION, "token-redirected"),
        (lambda i, at: i.redirect(f"{i.url}/x", at=at), Scope.CONNECTION, "token-redirected"),
    ],
    ids=["429", "500", "503", "endless", "drop", "hang", "garbage", "to http", "elsewhere"],
)
def test_what_passes_by_itself_pauses_nobody(
    issuer: Issuer, at: str, fault: Any, scope: Scope, cause: str
) -> None:
    fault(issuer, at)
    why = refused(at_microsoft(issuer), held(issuer), seconds=1.0)
    assert (why.scope, why.cause) == (scope, cause)
    assert why.retry_after_seconds == (45 if cause == "token-throttled" else None)
    assert len(issuer.requests) == (1 if at == "discovery" else 2)
    assert isinstance(fetch(at_microsoft(issuer), held(issuer)), Grant)


@pytest.mark.parametrize(
    "body",
    [{}, {"access_token": 7}, {"access_token": "x"}, {"access_token": "x", "expires_in": "soon"},
     {"access_token": "x", "expires_in": -1}, {"error": None}],
)  # fmt: skip
def test_json_that_is_no_answer_pauses_nobody(issuer: Issuer, body: dict[str, Any]) -> None:
    issuer.faults.append(Fault(answer=Answer(200, body)))
    why = refused(at_microsoft(issuer), held(issuer))
    assert (why.scope, why.cause) == (Scope.SERVICE, "token-garbled")


def test_a_transient_error_of_microsofts_own_passes(issuer: Issuer) -> None:
    issuer.refuse(90033)
    why = refused(at_microsoft(issuer), held(issuer))
    assert (why.scope, why.cause) == (Scope.SERVICE, "token-service-down")


def test_a_tenant_that_is_not_there_is_about_the_account(issuer: Issuer) -> None:
    issuer.refuse(90002, at="discovery")
    why = refused(at_microsoft(issuer), held(issuer))
    assert (why.scope, why.cause) == (Scope.ACCOUNT, "tenant-unknown")


def test_an_issuer_whose_pages_are_not_encrypted_gets_nothing(issuer: Issuer) -> None:
    pages = {
        "issuer": issuer.url,
        "authorization_endpoint": "http://127.0.0.1:9/a",
        "token_endpoint": "http://127.0.0.1:9/bakery/token",
    }
    issuer.faults.append(Fault(answer=Answer(200, pages), at="discovery"))
    why = refused(at_microsoft(issuer), held(issuer))
    assert (why.scope, why.cause) == (Scope.SERVICE, "token-garbled")


def test_a_stranger_in_between_is_found_by_its_certificate(issuer: Issuer, tmp_path: Path) -> None:
    other = Authority(tmp_path, "other")
    why = refused(at_microsoft(issuer, ca_file=other.ca_file), held(issuer))
    assert (why.scope, why.cause) == (Scope.TLS, "token-tls")
    assert issuer.requests == []


def test_an_authority_file_that_is_gone(issuer: Issuer, tmp_path: Path) -> None:
    why = refused(at_microsoft(issuer, ca_file=tmp_path / "none.pem"), held(issuer))
    assert (why.scope, why.cause) == (Scope.TLS, "token-tls")
    assert "none.pem" in why.detail


def test_the_systems_authorities_do_not_know_our_issuer(issuer: Issuer) -> None:
    assert refused(at_microsoft(issuer, ca_file=None), held(issuer)).cause == "token-tls"


def test_nobody_listens(tmp_path: Path) -> None:
    with Issuer() as gone:
        ca_file = tmp_path / "ca.pem"
        ca_file.write_text(gone.ca_file.read_text())
        oauth2, grant = at_microsoft(gone, ca_file=ca_file), held(gone)
    why = refused(oauth2, grant)
    assert (why.scope, why.cause) == (Scope.CONNECTION, "token-unreachable")
    assert "refused" in why.detail


def test_the_environment_changes_nothing(
    issuer: Issuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Authority(tmp_path, "other")
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, str(other.ca_file))
    for name in ("https_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    assert isinstance(fetch(at_microsoft(issuer), held(issuer)), Grant)


def test_no_token_and_no_secret_reaches_a_log(
    issuer: Issuer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = secret_file(tmp_path, "app.secret", issuer.client_secret)
    old = held(issuer)
    new = fetch(at_microsoft(issuer, client_secret=secret), old)
    issuer.refuse(70008)
    fetch(at_microsoft(issuer, client_secret=secret), old)
    assert isinstance(new, Grant)
    for text in (old.refresh_token, new.refresh_token, new.access_token, issuer.client_secret):
        assert text
        assert text not in caplog.text
        assert text not in repr(replace(new))
