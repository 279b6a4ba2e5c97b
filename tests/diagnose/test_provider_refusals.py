"""Each refusal of the fake providers, provoked through diagnose and explained.

The table is written from the reference of replies, not from the knowledge that is tested: what a
support engineer must be told of each refusal, and what it is about.
"""

from typing import Any

import pytest
from fakes.certificates import Authority
from fakes.providers import PASSWORD, PROVIDERS, USERNAME, Provider, refusals

from diagnose.account import Chosen, HeldSecret
from diagnose.checks.auth import examine_login
from diagnose.checks.send import Mail, examine_sending
from diagnose.finding import Examination
from diagnose.runner import Circumstances
from diagnose.wording import Language
from relay.config.model import AuthMethod, Smarthost, TlsMode

# By provider and refusal: the cause, and its scope.
EXPECTED: dict[str, dict[str, tuple[str, str]]] = {
    "gmail": {
        "wrong-login": ("wrong-password", "account"),
        "anonymous": ("auth-required", "account"),
        "try-later": ("ip-throttled", "connection"),
        "rate-ip": ("ip-throttled", "connection"),
        "try-later-ehlo": ("ip-throttled", "connection"),
        "helo-invalid": ("bad-helo", "connection"),
        "helo-empty": ("bad-helo", "connection"),
        "app-password": ("app-password-required", "account"),
        "browser": ("sign-in-blocked", "account"),
        "browser-old": ("sign-in-blocked", "account"),
        "too-many-logins": ("too-many-logins", "account"),
        "cannot-decode": ("auth-encoding-error", "account"),
        "not-logged-in": ("auth-required", "account"),
        "starttls-required": ("starttls-required", "tls"),
        "daily-limit": ("daily-quota", "quota"),
        "daily-relay-limit": ("daily-quota", "quota"),
        "relay-denied": ("relay-ip-not-registered", "account"),
        "relay-credentials": ("relay-ip-not-registered", "account"),
        "sending-denied": ("account-disabled", "account"),
        "unrecognized": ("protocol-error", "connection"),
        "peak-relay": ("rate-limit", "quota"),
        "receiving-rate": ("recipient-busy", "recipient"),
        "allow-list": ("ip-not-allowed-by-recipient", "recipient"),
        "tls-for-domain": ("recipient-requires-tls", "recipient"),
        "unauthenticated": ("unauthenticated-mail", "message"),
        "dmarc": ("unauthenticated-mail", "message"),
        "unauthenticated-slow": ("unauthenticated-mail", "message"),
        "spf": ("spf-failed", "message"),
        "dkim": ("dkim-failed", "message"),
        "not-aligned": ("dmarc-failed", "message"),
        "reverse-dns": ("no-reverse-dns", "connection"),
        "wide-spf": ("spf-failed", "message"),
        "without-tls": ("starttls-required", "tls"),
        "direct": ("dynamic-ip-refused", "connection"),
        "spam": ("spam-content", "message"),
        "too-large": ("message-too-big", "message"),
        "attachment": ("attachment-refused", "message"),
    },
    "kpn": {
        "wrong-login": ("wrong-password", "account"),
        "anonymous": ("auth-required", "account"),
        "blacklisted-at-connect": ("ip-blocked", "connection"),
        "blacklisted-at-login": ("ip-blocked", "connection"),
        "wrong-credentials": ("wrong-password", "account"),
        "auth-temporary": ("auth-backend-down", "account"),
        "too-many-connections": ("too-many-connections", "quota"),
        "relay": ("relay-denied", "recipient"),
        "no-such-sender-domain": ("sender-domain-not-found", "sender"),
        "unknown-user": ("user-unknown", "recipient"),
        "full": ("server-full", "service"),
    },
    "microsoft365": {
        "wrong-login": ("wrong-password", "account"),
        "anonymous": ("auth-required", "account"),
        "not-active": ("service-unavailable", "service"),
        "ip-throttled": ("ip-throttled", "connection"),
        "ip-banned": ("ip-blocked", "connection"),
        "bad-helo": ("bad-helo", "connection"),
        "auth-off-tenant": ("smtp-auth-disabled-tenant", "account"),
        "auth-off-mailbox": ("smtp-auth-disabled-mailbox", "account"),
        "security-defaults": ("security-defaults", "account"),
        "conditional-access": ("conditional-access", "account"),
        "basic-disabled": ("basic-auth-disabled", "account"),
        "account-locked": ("account-locked", "account"),
        "auth-generic": ("login-refused", "account"),
        "basic-retired": ("basic-auth-retired", "account"),
        "unknown-mechanism": ("auth-mechanism-unsupported", "account"),
        "auth-temporary": ("auth-backend-down", "account"),
        "not-logged-in": ("auth-required", "account"),
        "nested": ("smtp-auth-disabled-tenant", "account"),
        "starttls-required": ("starttls-required", "tls"),
        "old-tls": ("tls-version-too-old", "tls"),
        "no-permission": ("send-as-denied", "sender"),
        "bad-outbound-sender": ("account-blocked-spam", "account"),
        "spam-abuse": ("account-blocked-spam", "account"),
        "ip-block-list": ("ip-blocked", "connection"),
        "rate": ("rate-limit", "quota"),
        "invalid-address": ("address-syntax", "recipient"),
        "not-found": ("user-unknown", "recipient"),
        "recipient-denied": ("recipient-refused", "recipient"),
        "recipient-denied-eop": ("recipient-refused", "recipient"),
        "recipient-blocked": ("blocked-by-own-list", "recipient"),
        "group-closed": ("group-restricted", "recipient"),
        "group-internal": ("group-restricted", "recipient"),
        "recipients-per-message": ("too-many-recipients", "recipient"),
        "daily-recipients": ("daily-quota", "quota"),
        "submission-quota": ("daily-quota", "quota"),
        "tenant-threshold": ("tenant-blocked", "account"),
        "tenant-ip": ("ip-blocked", "connection"),
        "unregistered-domain": ("sender-not-verified", "sender"),
        "attribution": ("connector-mismatch", "account"),
        "direct-send": ("direct-send-refused", "account"),
        "partner-connector": ("connector-mismatch", "account"),
        "ipv6-range": ("rate-limit", "quota"),
        "no-ipv6": ("ipv6-refused", "recipient"),
        "banned-sender": ("ip-blocked", "connection"),
        "customer-block-list": ("blocked-by-recipient", "recipient"),
        "spf": ("spf-failed", "message"),
        "reverse-dns": ("no-reverse-dns", "connection"),
        "ipv6-unauthenticated": ("unauthenticated-mail", "message"),
        "busy": ("server-busy", "service"),
        "front-end": ("server-busy", "service"),
        "send-as": ("send-as-denied", "sender"),
        "send-as-old": ("send-as-denied", "sender"),
        "quota-mapi": ("daily-quota", "quota"),
        "threads": ("too-many-connections", "quota"),
        "mailbox-logon": ("mailbox-permission-pending", "account"),
        "too-large": ("message-too-big", "message"),
        "dmarc": ("dmarc-failed", "message"),
        "no-from": ("from-header-invalid", "message"),
        "authentication-level": ("unauthenticated-mail", "message"),
    },
    "ziggo": {
        "wrong-login": ("wrong-password", "account"),
        "anonymous": ("auth-required", "account"),
        "too-many-connections": ("too-many-connections", "quota"),
        "block-list": ("ip-blocked", "connection"),
        "helo-name": ("bad-helo", "connection"),
        "auth-temporary": ("auth-backend-down", "account"),
        "too-many-logins": ("too-many-logins", "account"),
        "starttls-required": ("starttls-required", "tls"),
        "not-owner": ("send-as-denied", "sender"),
        "no-such-sender-domain": ("sender-domain-not-found", "sender"),
        "relay": ("relay-denied", "recipient"),
        "unknown-user": ("user-unknown", "recipient"),
        "too-many-recipients": ("too-many-recipients", "recipient"),
        "too-large": ("message-too-big", "message"),
    },
}

# Refusals of a way to send that has a preset of its own.
PRESETS = {
    ("microsoft365", "attribution"): "m365-smtp-relay",
    ("microsoft365", "partner-connector"): "m365-smtp-relay",
    ("microsoft365", "direct-send"): "m365-direct-send",
    ("gmail", "daily-relay-limit"): "google-smtp-relay",
    ("gmail", "peak-relay"): "google-smtp-relay",
    ("gmail", "relay-denied"): "google-smtp-relay",
    ("gmail", "relay-credentials"): "google-smtp-relay",
}
IDS = {
    "CONNECT": "server-refused",
    "EHLO": "server-refused",
    "AUTH": "login-refused",
    "MAIL": "sender-refused",
    "RCPT": "recipient-refused",
    "DOT": "message-refused",
}
# XOAUTH2's JSON is no verdict; tests/diagnose/test_auth.py has it.
NO_VERDICT = {("gmail", "oauth-challenge")}

ROWS = [(provider, name) for provider in EXPECTED for name in EXPECTED[provider]]
MAIL = Mail(
    USERNAME, ("klant@example.org",), "<1@mijnbakkerij.example>", b"Subject: x\r\n\r\nx\r\n"
)


def test_the_table_has_every_refusal() -> None:
    there = {(each, name) for each in PROVIDERS for name in refusals(each)}
    assert set(ROWS) == there - NO_VERDICT


@pytest.mark.parametrize(("provider", "name"), ROWS, ids="-".join)
async def test_it_is_provoked_and_explained(provider: str, name: str, authority: Authority) -> None:
    cause, scope = EXPECTED[provider][name]
    at = refusals(provider)[name].at
    said = [await provoke(provider, name, authority, language) for language in ("nl", "en")]
    for found in said:
        (finding,) = found.findings
        assert finding.id == IDS[at]
        assert (finding.evidence["cause"], finding.evidence["scope"]) == (cause, scope)
        assert finding.detail
        assert finding.remedy
        assert found.exit_code(strict=False) == 1
        document = explanation(found)
        assert (document["cause"], document["scope"]) == (cause, scope)
        assert document["steps"] == list(finding.remedy)
        assert document["provider"] is not None
    assert said[0].findings[0].detail != said[1].findings[0].detail
    assert said[0].findings[0].remedy != said[1].findings[0].remedy


async def provoke(
    provider: str, name: str, authority: Authority, language: Language
) -> Examination:
    """What diagnose finds at a provider that refuses so: by a login, or a mail where it takes one."""
    circumstances = Circumstances(language=language, timeout_seconds=5)
    with Provider(provider, authority.issue().server_context(), name) as fake:
        smarthost = Smarthost(
            name=provider,
            host="localhost",
            port=fake.port,
            tls=TlsMode.STARTTLS,
            preset=PRESETS.get((provider, name), provider),
            ca_file=authority.ca_file,
            auth=AuthMethod.PASSWORD,
            username=USERNAME,
            password=HeldSecret("file", "-", PASSWORD),
        )
        chosen = Chosen(provider, smarthost, "kassa.test")
        if refusals(provider)[name].at in ("CONNECT", "EHLO", "AUTH"):
            found = await examine_login(chosen, circumstances)
        else:
            found = await examine_sending(chosen, MAIL, circumstances)
        assert sum(len(session.logins) for session in fake.sessions) <= 1
        assert fake.accepted == []
        return found


def explanation(found: Examination) -> dict[str, Any]:
    """The explanation in the document, of the login or of the one refused recipient."""
    document = found.document(0)
    if found.command == "auth":
        explained: dict[str, Any] = document["explanation"]
        return explained
    if document["refused"]:
        (refused,) = document["refused"]
        one: dict[str, Any] = refused["explanation"]
        return one
    raise AssertionError(document)
