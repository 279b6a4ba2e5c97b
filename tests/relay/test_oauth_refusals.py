"""What an issuer's error means, and what to do: complete in both languages, ids filled in."""

import string
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fakes.issuer_keys import AppCertificate
from fakes.oauth_accounts import secret_file

from presets.verdict import Scope
from relay.account import microsoft, refusal
from relay.account.refusal import causes, consent_again, judge_refusal, meaning, steps
from relay.account.validity import Validity, works_until
from relay.config.model import Issuer, OAuth2, SecretRef
from relay.spool.vault_entry import Grant

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
USER = "o'neill@bakkerij.example"
CODE = OAuth2(
    flow="code",
    authority="https://login.microsoftonline.com/organizations",
    scopes=("https://outlook.office.com/SMTP.Send", "offline_access"),
    client_id="11111111-2222-3333-4444-555555555555",
)
APP = OAuth2(
    flow="client-credentials",
    tenant="66666666-7777-8888-9999-000000000000",
    authority="https://login.microsoftonline.com/66666666-7777-8888-9999-000000000000",
    scopes=("https://outlook.office365.com/.default",),
    client_id="11111111-2222-3333-4444-555555555555",
)
GOOGLE = OAuth2(issuer=Issuer.GOOGLE, flow="code", scopes=("https://mail.google.com/",))


def blanks(text: str) -> list[str]:
    return sorted(name for _, name, _, _ in string.Formatter().parse(text) if name is not None)


@pytest.mark.parametrize("cause", causes().values(), ids=lambda cause: cause.slug)
def test_both_languages_say_the_same(cause: refusal.Cause) -> None:
    nl, en = cause.steps["nl"], cause.steps["en"]
    assert len(nl) == len(en) > 0
    assert [blanks(step) for step in nl] == [blanks(step) for step in en]
    for language in ("nl", "en"):
        assert len(cause.meaning[language]) > 20
        assert blanks(cause.meaning[language]) == []
        for oauth2 in (CODE, APP, GOOGLE):
            assert all("{" not in step for step in steps(cause.slug, oauth2, USER, language))
    assert cause.meaning["nl"] != cause.meaning["en"]


@pytest.mark.parametrize("cause", causes().values(), ids=lambda cause: cause.slug)
def test_a_cause_that_consent_cures_names_the_command(cause: refusal.Cause) -> None:
    told = " ".join(steps(cause.slug, CODE, USER, "en"))
    if consent_again(cause.slug):
        assert f"relay account login {USER}" in told
    if cause.scope is Scope.ACCOUNT:
        assert told


def test_no_code_has_two_meanings() -> None:
    codes = [code for cause in causes().values() for code in cause.aadsts]
    assert len(codes) == len(set(codes))
    errors = [error for cause in causes().values() for error in cause.errors]
    assert len(errors) == len(set(errors))


def test_every_cause_that_the_code_names_is_described() -> None:
    import re

    package = Path(microsoft.__file__).parent
    for name in ("microsoft", "google", "consent", "transport", "refusal"):
        path = package / f"{name}.py"
        for cause in re.findall(r'NoToken\(\s*Scope\.\w+,\s*"([a-z-]+)"', path.read_text()):
            assert cause in causes(), (path.name, cause)


def test_a_cause_that_is_not_about_tokens_says_nothing() -> None:
    assert meaning("wrong-password", "nl") is None
    assert steps("wrong-password", CODE, USER, "nl") == ()
    assert not consent_again("wrong-password")


def test_the_service_principal_lines_can_be_pasted() -> None:
    told = refusal.service_principal_steps(APP, USER, "nl")
    assert (
        "$sp = Get-MgServicePrincipal -Filter \"appId eq '11111111-2222-3333-4444-555555555555'\""
        in told
    )
    assert (
        "New-ServicePrincipal -AppId '11111111-2222-3333-4444-555555555555' -ObjectId $sp.Id"
        " -DisplayName 'office-mail-relay'"
    ) in told
    # PowerShell doubles a quote within quotes.
    assert (
        "Add-MailboxPermission -Identity 'o''neill@bakkerij.example' -User $sp.Id"
        " -AccessRights FullAccess"
    ) in told
    assert "-TenantId '66666666-7777-8888-9999-000000000000'" in told[1]
    assert refusal.service_principal_steps(CODE, USER, "nl") == ()
    assert refusal.service_principal_steps(GOOGLE, USER, "nl") == ()


def test_the_admin_gets_an_address_to_consent_at() -> None:
    told = steps("consent-missing", CODE, USER, "en")[0]
    assert (
        "https://login.microsoftonline.com/organizations/v2.0/adminconsent"
        "?client_id=11111111-2222-3333-4444-555555555555&redirect_uri=http%3A%2F%2Flocalhost"
        "&scope=https%3A%2F%2Foutlook.office.com%2FSMTP.Send"
    ) in told


def test_testing_at_google_says_publish_and_the_device_code_says_code() -> None:
    assert "Publish your Google app" in steps("google-testing", GOOGLE, USER, "en")[0]
    assert "Publiceer uw Google-app" in steps("google-testing", GOOGLE, USER, "nl")[0]
    assert 'flow = "code"' in steps("device-code-blocked", CODE, USER, "nl")[0]


@pytest.mark.parametrize(
    ("oauth2", "error", "cause"),
    [
        (CODE, {"error": "invalid_grant"}, "grant-revoked"),
        (CODE, {"error": "invalid_grant", "suberror": "consent_required"}, "consent-missing"),
        (CODE, {"error": "interaction_required"}, "mfa-needed"),
        (CODE, {"error": "something_new"}, "token-refused"),
        (CODE, {}, "token-refused"),
        (CODE, {"error": "invalid_grant", "error_codes": "70008"}, "grant-revoked"),
        (CODE, {"error": "x", "error_description": "AADSTS70043: again"}, "session-ended"),
        (CODE, {"error": "invalid_grant", "error_codes": [999999, 50173]}, "password-changed"),
        (GOOGLE, {"error": "invalid_grant", "error_codes": [50173]}, "grant-revoked"),
        (GOOGLE, {"error": "admin_policy_enforced"}, "app-disabled"),
        (GOOGLE, {"error": "invalid_client", "error_description": None}, "secret-wrong"),
        (GOOGLE, {"error": "deleted_client"}, "app-unknown"),
        (GOOGLE, {"error": "redirect_uri_mismatch"}, "redirect-refused"),
    ],
)
def test_what_an_error_means(oauth2: OAuth2, error: dict[str, Any], cause: str) -> None:
    why = judge_refusal(oauth2, USER, error, None, NOW)
    assert why.cause == cause
    assert why.scope is causes()[cause].scope


def test_the_log_gets_no_control_characters_and_no_novel() -> None:
    error = {"error": "invalid_grant", "error_description": "AADSTS70008: a\r\n\x1b[2Jb " * 900}
    detail = judge_refusal(CODE, USER, error, None, NOW).detail
    assert detail.isprintable()
    assert len(detail) < 600


def grant(consented: int, refreshed: int, token: str | None = "r") -> Grant:
    day = timedelta(days=1)
    return Grant(token, None, None, NOW - consented * day, NOW - refreshed * day)


def secret() -> SecretRef:
    return SecretRef("env", "APP_SECRET")


def test_a_password_has_no_end_that_we_know() -> None:
    assert works_until(None, None, NOW) == Validity(None, "not-applicable")


def test_microsoft_counts_ninety_days_from_the_last_use() -> None:
    assert works_until(CODE, grant(400, 2), NOW) == Validity(
        NOW + timedelta(days=88), "microsoft-idle"
    )
    assert works_until(CODE, None, NOW) == Validity(None, "unknown")
    assert works_until(CODE, grant(1, 1, None), NOW) == Validity(None, "unknown")


def test_google_may_be_testing_until_a_refresh_worked_after_seven_days() -> None:
    young = works_until(GOOGLE, grant(7, 1), NOW)
    assert young == Validity(NOW, "google-testing")
    assert works_until(GOOGLE, grant(9, 1), NOW) == Validity(None, "unknown")


def test_the_day_that_the_owner_wrote_down_comes_first_where_it_is_first() -> None:
    oauth2 = OAuth2(
        flow="code", client_secret=secret(), secret_expires=(NOW + timedelta(days=30)).date()
    )
    found = works_until(oauth2, grant(1, 0), NOW)
    assert (found.until, found.reason) == (datetime(2026, 7, 1, tzinfo=UTC), "secret")
    later = OAuth2(flow="code", client_secret=secret(), secret_expires=datetime(2030, 1, 1).date())  # noqa: DTZ001
    assert works_until(later, grant(1, 0), NOW).reason == "microsoft-idle"


def test_a_certificate_tells_its_own_end(tmp_path: Path) -> None:
    end = datetime(2027, 3, 1, 9, 30, tzinfo=UTC)
    pem = secret_file(tmp_path, "relay.pem", AppCertificate.make(end).pem)
    oauth2 = OAuth2(flow="client-credentials", certificate=pem, secret_expires=NOW.date())
    assert works_until(oauth2, None, NOW) == Validity(end, "certificate")
    damaged = OAuth2(flow="client-credentials", certificate=secret_file(tmp_path, "x", "x"))
    assert works_until(damaged, None, NOW) == Validity(None, "unknown")
    gone = OAuth2(flow="client-credentials", certificate=SecretRef("file", str(tmp_path / "no")))
    assert works_until(gone, None, NOW) == Validity(None, "unknown")


def test_each_reason_is_said_in_both_languages() -> None:
    from typing import get_args

    from relay.account.validity import Reason

    for reason in get_args(Reason):
        validity = Validity(None, reason)
        assert validity.text("nl") != validity.text("en")
