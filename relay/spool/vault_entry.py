"""What an account's consent gave, and the same as the values of a JSON object."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Grant:
    """What an account's consent gave: the tokens, and when. `refresh_token` is None for flows
    that need no consent. Never logged: the repr hides both tokens."""

    refresh_token: str | None = field(repr=False)
    access_token: str | None = field(repr=False)
    expires_at: datetime | None
    consented_at: datetime | None
    refreshed_at: datetime
    scopes: tuple[str, ...] = ()


class BadEntryError(Exception):
    """These values are no grant. Says nothing of them: they may hold a token."""


def values_of(grant: Grant) -> dict[str, object]:
    """What JSON can hold of it, all of it."""
    return {
        "refresh_token": grant.refresh_token,
        "access_token": grant.access_token,
        "expires_at": _text(grant.expires_at),
        "consented_at": _text(grant.consented_at),
        "refreshed_at": _text(grant.refreshed_at),
        "scopes": list(grant.scopes),
    }


def grant_of(values: dict[str, Any]) -> Grant:
    """The grant of `values_of`. Raises BadEntryError."""
    refreshed_at = _time(values, "refreshed_at")
    scopes = values.get("scopes", [])
    if refreshed_at is None or not isinstance(scopes, list):
        raise BadEntryError
    return Grant(
        refresh_token=_token(values, "refresh_token"),
        access_token=_token(values, "access_token"),
        expires_at=_time(values, "expires_at"),
        consented_at=_time(values, "consented_at"),
        refreshed_at=refreshed_at,
        scopes=tuple(str(each) for each in scopes),
    )


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _token(values: dict[str, Any], key: str) -> str | None:
    value = values.get(key)
    if value is not None and not isinstance(value, str):
        raise BadEntryError
    return value


def _time(values: dict[str, Any], key: str) -> datetime | None:
    value = values.get(key)
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise BadEntryError from None
    if moment.tzinfo is None:
        raise BadEntryError
    return moment
