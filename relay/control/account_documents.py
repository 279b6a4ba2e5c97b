"""What is told of an account and of a try to log in, as documents of schema relay/1."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from presets.catalog import catalog
from presets.names import UnknownPreset
from presets.reply import Reply
from presets.verdict import Retry, Scope
from relay.account.refusal import (
    causes,
    consent_again,
    meaning,
    service_principal_steps,
    steps,
)
from relay.account.validity import works_until
from relay.config.model import AuthMethod, Smarthost
from relay.control.documents import (
    Document,
    document,
    explanation_document,
    reply_document,
    time_text,
)
from relay.delivery.trouble import BY_OPERATOR
from relay.spool.ledger_entry import PausedAccount
from relay.spool.vault_entry import Grant

if TYPE_CHECKING:
    from relay.account.login_test import LoginTest

_NO_WAY_TO_LOG_IN = frozenset({"no-common-mechanism", "login-in-clear"})


@dataclass(frozen=True, slots=True)
class At:
    """When something is told, and in which language."""

    now: datetime
    language: str


def login_document(smarthost: Smarthost) -> Document:
    """How an account logs in; `deadline` is the day from which its password no longer does."""
    oauth2 = smarthost.oauth2
    deadline = password_deadline(smarthost)
    return {
        "auth": smarthost.auth.value,
        "issuer": oauth2.issuer.value if oauth2 else None,
        "flow": oauth2.flow if oauth2 else None,
        "deadline": deadline.isoformat() if deadline else None,
    }


def password_deadline(smarthost: Smarthost) -> date | None:
    """The day from which the provider takes no passwords by default, of an account that uses one."""
    if smarthost.auth is not AuthMethod.PASSWORD:
        return None
    try:
        return catalog().resolve(smarthost.preset or smarthost.host).preset.password_ends
    except UnknownPreset:
        return None


def consent_document(
    smarthost: Smarthost, grant: Grant | None, pause: PausedAccount | None, at: At
) -> Document:
    """Whether somebody has to consent, and until when the account works. Reads the certificate.

    `consent`: not-needed (nobody consents in a browser in this way to log in), needed, given.
    `works_until` is null where no end is known; its reason is a slug of `relay.account.validity`.
    """
    consent = _consent(smarthost, grant, pause)
    # A consent that is lost works no more, whatever its date was.
    alive = None if consent == "needed" else grant
    validity = works_until(smarthost.oauth2, alive, at.now)
    return {
        "consent": consent,
        "consented_at": time_text(grant.consented_at) if grant else None,
        "refreshed_at": time_text(grant.refreshed_at) if grant else None,
        "works_until": time_text(validity.until),
        "works_until_reason": validity.reason,
        "works_until_why": validity.text(at.language),
    }


def _consent(smarthost: Smarthost, grant: Grant | None, pause: PausedAccount | None) -> str:
    if smarthost.oauth2 is None or not smarthost.oauth2.interactive:
        return "not-needed"
    lost = pause is not None and consent_again(pause.cause)
    return "given" if grant and grant.refresh_token and not lost else "needed"


def explain_pause(
    smarthost: Smarthost, pause: PausedAccount | None, language: str
) -> Document | None:
    """What a pause means and what to do; None where there is none, or nothing to add."""
    if pause is None or pause.cause == BY_OPERATOR:
        return None
    return explain_login(smarthost, pause.cause, pause.reply, language)


def explain_login(
    smarthost: Smarthost, cause: str | None, reply: Reply | None, language: str
) -> Document | None:
    """What a failed login means: the server's reply, or what the issuer of the tokens said."""
    oauth2, username = smarthost.oauth2, smarthost.username or ""
    if reply is not None or cause is None:
        found = explanation_document(reply, smarthost.preset, "auth", language)
        if found is None or oauth2 is None:
            return found
        rights = service_principal_steps(oauth2, username, language)
        if found["cause"] != "wrong-password":
            return {**found, "steps": [*found["steps"], *rights]}
        # Servers say the same of a token; advice about passwords would lead astray.
        cause = "service-principal" if rights else "oauth-token-refused"
    known = causes().get(cause)
    if oauth2 is None or known is None:
        return None
    passes = known.scope is not Scope.ACCOUNT
    return {
        "cause": cause,
        "scope": known.scope.value,
        "retry": Retry.LATER.value if passes else Retry.AFTER_CHANGE.value,
        "provider": smarthost.preset,
        "meaning": meaning(cause, language),
        "steps": list(steps(cause, oauth2, username, language)),
    }


def tested_document(smarthost: Smarthost, result: LoginTest, language: str) -> Document:
    """The document of a try to log in."""
    return _test_document(
        smarthost,
        tested=True,
        mechanism=result.mechanism,
        mechanisms_offered=list(result.mechanisms_offered),
        accepted=result.accepted,
        phase=result.phase.value if result.phase else None,
        scope=result.scope.value if result.scope else None,
        cause=result.cause,
        detail=result.detail,
        reply=reply_document(result.reply),
        address=result.address,
        seconds=round(result.seconds, 3),
        explanation=explain_login(smarthost, result.cause, result.reply, language),
    )


def untested_document(smarthost: Smarthost, pause: PausedAccount, language: str) -> Document:
    """The document where the breaker is open and nothing was dialled."""
    return _test_document(
        smarthost,
        refused_because="paused",
        paused_until=time_text(pause.until),
        cause=pause.cause,
        reply=reply_document(pause.reply),
        explanation=explain_pause(smarthost, pause, language),
    )


def _test_document(smarthost: Smarthost, **found: object) -> Document:
    empty: Document = {
        "smarthost": smarthost.name,
        "host": smarthost.host,
        "username": smarthost.username,
        "tested": False,
        "refused_because": None,
        "paused_until": None,
        "mechanism": None,
        "mechanisms_offered": [],
        "accepted": False,
        "phase": None,
        "scope": None,
        "cause": None,
        "detail": None,
        "reply": None,
        "address": None,
        "seconds": 0.0,
        "explanation": None,
    }
    return document("account test", **{**empty, **found})


def login_refused(test: Document) -> bool:
    """Whether a document of `account test` says that the account cannot log in as it is set up.

    False too where that could not be found out: paused, the network, a server out of order.
    """
    return test["scope"] == "account" or test["cause"] in _NO_WAY_TO_LOG_IN
