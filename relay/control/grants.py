"""A grant on its way from `relay account login` to the running relay.

It holds the tokens: never for a log or an answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from relay.control.documents import Document, time_text
from relay.control.errors import Declined
from relay.spool.vault_entry import Grant


def grant_document(grant: Grant) -> Document:
    """A grant as the API takes it."""
    return {
        "refresh_token": grant.refresh_token,
        "access_token": grant.access_token,
        "expires_at": time_text(grant.expires_at),
        "consented_at": time_text(grant.consented_at),
        "refreshed_at": time_text(grant.refreshed_at),
        "scopes": list(grant.scopes),
    }


def read_grant(given: Mapping[str, Any]) -> Grant:
    """The grant of such a document. Raises Declined, without any of its values in the text."""
    refreshed_at = _time(given, "refreshed_at")
    scopes = given.get("scopes", [])
    if refreshed_at is None or not _is_texts(scopes):
        raise _bad_grant()
    return Grant(
        refresh_token=_text(given, "refresh_token"),
        access_token=_text(given, "access_token"),
        expires_at=_time(given, "expires_at"),
        consented_at=_time(given, "consented_at"),
        refreshed_at=refreshed_at,
        scopes=tuple(scopes),
    )


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _text(given: Mapping[str, Any], key: str) -> str | None:
    value = given.get(key)
    if value is not None and not isinstance(value, str):
        raise _bad_grant()
    return value


def _time(given: Mapping[str, Any], key: str) -> datetime | None:
    text = _text(given, key)
    try:
        at = None if text is None else datetime.fromisoformat(text)
    except ValueError:
        raise _bad_grant() from None
    if at is not None and at.tzinfo is None:
        raise _bad_grant()
    return at.astimezone(UTC) if at else None


def _bad_grant() -> Declined:
    return Declined(
        "grant ontbreekt of klopt niet; doe relay account login",
        "grant is missing or wrong; run relay account login",
    )
