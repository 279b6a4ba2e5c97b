"""What an issuer's error means for an account, and exactly what to do about it.

The knowledge is in `refusals.toml`, in Dutch and in English.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlencode

from presets.reply import sanitise
from presets.verdict import Scope
from relay.config.model import Issuer, OAuth2
from relay.smarthost.tokens import NoToken

UNKNOWN: Final = "token-refused"
# One day more than Google's seven: a refresh comes up to an hour after the end.
_TESTING: Final = timedelta(days=8)
_CODE = re.compile(r"AADSTS(\d{4,9})\b")


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason that there is no token. `again`: a new consent cures it."""

    slug: str
    scope: Scope
    again: bool
    aadsts: frozenset[int]
    errors: tuple[tuple[str, str], ...]
    meaning: Mapping[str, str]
    steps: Mapping[str, tuple[str, ...]]


@cache
def causes() -> Mapping[str, Cause]:
    """Every cause by its slug."""
    text = files("relay.account").joinpath("refusals.toml").read_text(encoding="utf-8")
    return MappingProxyType(
        {slug: _cause(slug, table) for slug, table in tomllib.loads(text).items()}
    )


def consent_again(cause: str) -> bool:
    """Whether somebody has to consent (again) before anything works."""
    return cause in causes() and causes()[cause].again


def judge_refusal(
    oauth2: OAuth2,
    username: str,
    error: Mapping[str, Any],
    consented_at: datetime | None,
    now: datetime,
) -> NoToken:
    """What the issuer's error (RFC 6749 section 5.2) means; `detail` is its text for the log.

    `consented_at` is that of the grant in use, None during a consent and where none is needed.
    """
    slug = _slug(oauth2, error, consented_at, now)
    said = f"{error.get('error', '')}: {error.get('error_description') or ''}".strip(": ")
    # The ids behind it are for Microsoft's own people; the log shows them in no other place.
    detail = sanitise(" ".join(said.split()))[:500]
    return NoToken(causes()[slug].scope, slug, f"{username}: {detail}")


def meaning(cause: str, language: str) -> str | None:
    """What it means, in one sentence; None for a cause that is not about tokens."""
    known = causes().get(cause)
    return known.meaning["nl" if language == "nl" else "en"] if known else None


def steps(cause: str, oauth2: OAuth2, username: str, language: str) -> tuple[str, ...]:
    """What to do, in order, names and ids filled in; empty for a cause that is not known here."""
    known = causes().get(cause)
    if known is None:
        return ()
    values = _values(oauth2, username, language)
    chosen = known.steps["nl" if language == "nl" else "en"]
    return tuple(step.format_map(values) for step in chosen)


def service_principal_steps(oauth2: OAuth2, username: str, language: str) -> tuple[str, ...]:
    """How an app of Microsoft's gets its right on the mailbox, in PowerShell; else empty.

    For a login that the server refuses although the issuer gave a token.
    """
    if oauth2.issuer is not Issuer.MICROSOFT or oauth2.flow != "client-credentials":
        return ()
    return steps("service-principal", oauth2, username, language)


def _slug(
    oauth2: OAuth2, error: Mapping[str, Any], consented_at: datetime | None, now: datetime
) -> str:
    if oauth2.issuer is Issuer.MICROSOFT:
        for code in _codes(error):
            for slug, cause in causes().items():
                if code in cause.aadsts:
                    blocked = slug == "access-blocked" and oauth2.flow == "device"
                    return "device-code-blocked" if blocked else slug
        if error.get("suberror") == "consent_required":
            return "consent-missing"
    slug = _by_words(error)
    young = consented_at is not None and now - consented_at < _TESTING
    if slug == "grant-revoked" and oauth2.issuer is Issuer.GOOGLE:
        if oauth2.flow == "service-account":
            return "subject-unknown"
        return "google-testing" if young else slug
    if slug == "app-unknown" and oauth2.flow == "service-account":
        return "delegation-missing"
    return slug


def _codes(error: Mapping[str, Any]) -> tuple[int, ...]:
    """AADSTS codes, the most telling first."""
    listed = error.get("error_codes")
    found = [code for code in listed if type(code) is int] if isinstance(listed, list) else []
    named = _CODE.findall(str(error.get("error_description") or ""))
    return tuple(dict.fromkeys([*found, *map(int, named)]))


def _by_words(error: Mapping[str, Any]) -> str:
    """By the error's name and, where that says more, the beginning of a phrase in its text."""
    name = str(error.get("error") or "")
    text = str(error.get("error_description") or "").lower()
    for phrase_needed in (True, False):
        for slug, cause in causes().items():
            for wanted, phrase in cause.errors:
                if name == wanted and bool(phrase) is phrase_needed and phrase.lower() in text:
                    return slug
    return UNKNOWN


def _values(oauth2: OAuth2, username: str, language: str) -> dict[str, str]:
    unknown = "UW-TENANT" if language == "nl" else "YOUR-TENANT"
    shared = ("common", "organizations", "consumers", None)
    return {
        "username": username,
        "quoted_username": "'" + username.replace("'", "''") + "'",
        "client_id": oauth2.client_id or "CLIENT-ID",
        "tenant": oauth2.tenant or unknown if oauth2.tenant not in shared else unknown,
        "domain": username.rpartition("@")[2],
        "scopes": " ".join(oauth2.scopes),
        "authority": oauth2.authority or "",
        "admin_consent": _admin_consent(oauth2),
        "redirect": "http://localhost" if oauth2.issuer is Issuer.MICROSOFT else "http://127.0.0.1",
    }


def _admin_consent(oauth2: OAuth2) -> str:
    query = {
        "client_id": oauth2.client_id or "CLIENT-ID",
        "redirect_uri": "http://localhost",
        "scope": " ".join(scope for scope in oauth2.scopes if "://" in scope),
    }
    authority = (oauth2.authority or "").removesuffix("/common")
    authority = authority if authority == oauth2.authority else f"{authority}/organizations"
    return f"{authority}/v2.0/adminconsent?{urlencode(query)}"


def _cause(slug: str, table: dict[str, Any]) -> Cause:
    return Cause(
        slug,
        Scope(table.get("scope", "account")),
        table.get("again", False),
        frozenset(table.get("aadsts", ())),
        tuple((each[0], each[1] if len(each) > 1 else "") for each in table.get("errors", ())),
        {language: table[language]["meaning"] for language in ("nl", "en")},
        {language: tuple(table[language]["steps"]) for language in ("nl", "en")},
    )
