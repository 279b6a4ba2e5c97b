"""What replies mean, and who must act: whole lines as servers send them."""

import csv
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from presets.explain import Explanation, Phase, Retry, Scope, Verdict, explain, judge
from presets.reply import Reply

DATA = Path(__file__).with_name("data")


def rows(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def about(text: str, provider: str | None = None, phase: str | None = None) -> Explanation:
    return explain(text, provider=provider, phase=Phase(phase) if phase else None)


@pytest.mark.parametrize("row", rows("replies.tsv"), ids=lambda row: row["reply"][:60])
def test_a_real_reply_is_understood(row: dict[str, str]) -> None:
    text = row["reply"].replace("\\n", "\r\n")
    found = about(text, row["provider"] or None, row["phase"] or None)
    assert (found.cause, found.scope, found.retry) == (row["cause"], row["scope"], row["retry"])
    assert found.known


def test_the_verdict_is_that_of_the_explanation() -> None:
    reply = Reply(535, "5.7.139", "Authentication unsuccessful, account is temporarily locked.")
    assert judge(reply, provider="microsoft365", phase=Phase.AUTH) == Verdict(
        "account-locked", Scope.ACCOUNT, Retry.AFTER_CHANGE, True
    )


@pytest.mark.parametrize(
    ("text", "scope", "retry"),
    [
        ("550 xyzzy", Scope.UNKNOWN, Retry.NEVER),
        ("451 xyzzy", Scope.UNKNOWN, Retry.LATER),
        ("599 xyzzy", Scope.UNKNOWN, Retry.NEVER),
        ("499 xyzzy", Scope.UNKNOWN, Retry.LATER),
        ("421 4.7.0 xyzzy", Scope.UNKNOWN, Retry.LATER),
        ("451 4.5.1 xyzzy", Scope.CONNECTION, Retry.LATER),
        ("250 2.0.0 xyzzy", Scope.UNKNOWN, Retry.NEVER),
        ("xyzzy", Scope.UNKNOWN, Retry.LATER),
        ("530 xyzzy", Scope.ACCOUNT, Retry.AFTER_CHANGE),
        ("530 TLS xyzzy", Scope.TLS, Retry.AFTER_CHANGE),
        ("534 xyzzy", Scope.ACCOUNT, Retry.AFTER_CHANGE),
        ("535 xyzzy", Scope.ACCOUNT, Retry.AFTER_CHANGE),
        ("538 xyzzy", Scope.TLS, Retry.AFTER_CHANGE),
        ("454 xyzzy", Scope.ACCOUNT, Retry.LATER),
        ("550 5.1.1 xyzzy", Scope.RECIPIENT, Retry.NEVER),
        ("550 5.7.23 xyzzy", Scope.MESSAGE, Retry.AFTER_CHANGE),
    ],
)
def test_unknown_words_get_the_meaning_of_their_code(text: str, scope: Scope, retry: Retry) -> None:
    found = about(text)
    assert (found.known, found.scope, found.retry) == (False, scope, retry)
    assert found.meaning
    assert found.steps


def test_454_to_starttls_is_about_tls() -> None:
    assert about("454 not now", phase="starttls").cause == "server-tls-broken"
    assert about("454 not now", phase="auth").cause == "auth-backend-down"


def test_the_same_enhanced_code_means_what_the_provider_says() -> None:
    assert about("550 5.7.30 Basic authentication is not supported").provider is None
    text = "550 5.7.30 Basic authentication is not supported for Client Submission."
    assert about(text, "microsoft365").cause == "basic-auth-retired"
    text = "550 5.7.30 Gmail requires all large senders to authenticate their email with DKIM."
    assert about(text, "gmail").cause == "dkim-failed"
    assert about("550 5.7.27 senders to authenticate with SPF", "gmail").cause == "spf-failed"
    assert about("550 5.7.27 no words", "ziggo").cause == "sender-refused"


def test_the_provider_is_recognised_by_its_words() -> None:
    assert about("535 5.7.8 Username and Password not accepted. - gsmtp").provider == "google"
    assert about("535 5.7.8 Username and Password not accepted.", "gmail").provider == "gmail"
    assert about("530 5.7.0 Authentication Required. k2sm123 - gsmtp").provider == "google"
    assert about("530 5.7.0 Authentication required").provider is None


def test_words_that_many_servers_share_do_not_name_a_provider() -> None:
    for text in (
        "535 5.7.8 Error: authentication failed: UGFzc3dvcmQ6",
        "530 5.7.0 Must issue a STARTTLS command first",
        "452 4.5.3 Error: too many recipients",
        "552 5.3.4 Message size exceeds fixed limit",
        "connection timed out",
    ):
        assert about(text).provider is None
    assert about("connection timed out").cause == "connection-timeout"
    assert about("connection timed out", "upc").cause == "port-25-closed"
    assert about("535 5.7.8 Error: authentication failed", "icloud").provider == "icloud"


def test_a_reply_inside_a_reply_is_explained() -> None:
    outer = "530 5.7.57 Client not authenticated to send mail."
    inner = "Error: 535 5.7.139 Authentication unsuccessful, the user credentials were incorrect."
    assert about(outer).cause == "auth-required"
    assert about(f"{outer} {inner}").cause == "wrong-password"
    assert about("SMTP error 550: xyzzy").cause == "mailbox-unavailable"
    assert about("550 5.1.1 User unknown (said: 450 4.9.9 xyzzy)").cause == "user-unknown"


def test_a_reply_deep_in_a_pasted_bounce_is_found() -> None:
    bounce = "Your message could not be delivered.\n" * 200 + "Diagnostic: 550 5.1.1 User unknown"
    assert about(bounce).cause == "user-unknown"


def test_what_another_server_said_does_not_stop_the_account() -> None:
    """A smarthost that passes on the recipient's refusal is not itself refusing us."""
    blocked = (
        "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org"
    )
    assert about(blocked, phase="rcpt").scope is Scope.CONNECTION
    said = f"450 4.1.1 host mx.example.org[192.0.2.7] said: {blocked} (in reply to RCPT TO command)"
    assert about(said, phase="rcpt").scope is Scope.RECIPIENT
    assert about(said, phase="dot").scope is Scope.MESSAGE


def test_another_provider_s_words_come_from_the_recipient() -> None:
    text = "550 5.7.705 Access denied, tenant has exceeded threshold."
    assert about(text, "microsoft365", "dot").scope is Scope.ACCOUNT
    assert about(text, "ziggo", "dot").scope is Scope.MESSAGE
    assert about(text, "ziggo").scope is Scope.ACCOUNT


def test_words_of_a_login_under_another_code_do_not_stop_the_account() -> None:
    for text in (
        "554 Sender authentication failed",
        "550 5.7.1 DKIM authentication failed for bakkerij.nl",
        "550 5.7.1 RESOLVER.RST.AuthRequired; authentication required",
        "550 5.2.1 The account is disabled",
        "550 5.7.1 Message blocked: it links to a host on dbl.spamhaus.org",
        "552 5.2.2 Quota exceeded",
    ):
        for provider in (None, "microsoft365", "ziggo", "kpn", "hostnet"):
            scope = about(text, provider, "dot").scope
            assert scope in (Scope.MESSAGE, Scope.RECIPIENT, Scope.UNKNOWN), (text, provider)


def test_the_basic_code_decides_where_wording_and_class_differ() -> None:
    assert about("450 4.1.1 User unknown").retry is Retry.LATER
    assert about("550 5.1.1 User unknown").retry is Retry.NEVER
    assert about("451 5.7.3 STARTTLS is required to send mail").retry is Retry.AFTER_CHANGE


def test_both_languages_and_english_for_any_other() -> None:
    text = "550 5.1.1 User unknown"
    english, dutch = explain(text), explain(text, language="nl")
    assert english.meaning == "The address of the recipient does not exist."
    assert dutch.meaning == "Het adres van de ontvanger bestaat niet."
    assert len(english.steps) == len(dutch.steps)
    assert explain(text, language="fr") == english


@given(
    st.text() | st.from_regex(r"[245]\d\d[ -]([45]\.\d\.\d{1,3} )?.*", fullmatch=True),
    st.sampled_from([None, "gmail", "microsoft365", "ziggo", "nobody", ""]),
    st.sampled_from([None, *Phase]),
)
@example("550 " + "550 5.7.1 said: " * 50, None, Phase.RCPT)
@example("", None, None)
@example("\ud800\x00", "gmail", None)
def test_whatever_text_is_explained(text: str, provider: str | None, phase: Phase | None) -> None:
    found = explain(text, provider=provider, phase=phase, language="nl")
    assert found.meaning
    assert found.steps


@given(st.integers(), st.none() | st.text(max_size=8), st.text(max_size=50))
def test_whatever_reply_is_judged(code: int, enhanced: str | None, text: str) -> None:
    assert judge(Reply(code, enhanced, text)).cause
