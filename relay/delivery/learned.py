"""Limits that a provider's replies taught us, and how they fade. Pure: times come in.

A refusal lowers a limit at once. A day without another one, and it begins to rise again: by a
quarter every six hours, until it is what the configuration says.
"""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from presets.reply import Reply
from relay.config.model import Smarthost

_HOLDS = timedelta(hours=24)
_STEP = timedelta(hours=6)
_RISE = 1.25
_FORGOTTEN_AFTER = timedelta(days=7)  # where nothing is configured to rise to
_LEAST_FIRST = 10
"""Where nothing was configured: never taken for the limit when fewer were sent. Somebody else may
use the account too."""


class Kind(StrEnum):
    """What is limited; the values are keys of the configuration, and of the ledger."""

    CONNECTIONS = "max_connections"
    PER_MINUTE = "messages_per_minute"
    MESSAGES = "messages_per_day"
    RECIPIENTS = "recipients_per_day"
    TRANSACTION = "max_recipients"


@dataclass(frozen=True, slots=True)
class Limits:
    """What an account may do; None: no limit is known."""

    max_connections: int
    messages_per_minute: int | None = None
    messages_per_day: int | None = None
    recipients_per_day: int | None = None
    max_recipients: int = 100

    @property
    def counted(self) -> bool:
        """Each message uses up something of them."""
        return (self.messages_per_minute, self.messages_per_day, self.recipients_per_day) != (
            None,
        ) * 3

    def of(self, kind: Kind) -> int | None:
        """One of them."""
        found: int | None = getattr(self, kind.value)
        return found


@dataclass(frozen=True, slots=True)
class Lesson:
    """A limit as a refusal taught it, and when the last such refusal came."""

    limit: int
    at: datetime


Learned = Mapping[Kind, Lesson]


def configured_limits(smarthosts: Collection[Smarthost]) -> Limits:
    """The limits of an account that these entries share: of each the smallest."""

    def least(values: Collection[int | None]) -> int | None:
        return min((value for value in values if value is not None), default=None)

    return Limits(
        max_connections=min(each.max_connections for each in smarthosts),
        messages_per_minute=least([each.messages_per_minute for each in smarthosts]),
        messages_per_day=least([each.messages_per_day for each in smarthosts]),
        recipients_per_day=least([each.recipients_per_day for each in smarthosts]),
        max_recipients=min(each.max_recipients for each in smarthosts),
    )


def in_force(configured: Limits, learned: Learned, now: datetime) -> Limits:
    """The configured limits, lowered by what was learned as far as it still holds."""
    if not learned:
        return configured
    found = {kind: learned_limit(configured.of(kind), each, now) for kind, each in learned.items()}
    lower = {kind.value: limit for kind, limit in found.items() if limit is not None}
    return replace(configured, **lower)


def learned_limit(configured: int | None, lesson: Lesson, now: datetime) -> int | None:
    """What is left of a lesson; None once it is no longer below what is configured."""
    age = now - lesson.at
    if configured is None and age >= _FORGOTTEN_AFTER:
        return None
    steps = (age - _HOLDS) // _STEP + 1 if age >= _HOLDS else 0
    # No lesson needs more steps than this, and a clock set far ahead must not overflow.
    limit = max(int(lesson.limit * _RISE ** min(steps, 100)), lesson.limit + steps)
    return limit if configured is None or limit < configured else None


def lowered(limit: int | None, passed: int) -> int | None:
    """The new limit after a refusal when `passed` had gone through; None: nothing is learned.

    Never less than half of the one before: who knows what else the account was used for.
    """
    if limit is None:
        return passed if passed >= _LEAST_FIRST else None
    return max(min(passed, limit - 1), limit // 2, 1)


def dump(learned: Learned) -> str | None:
    """As the ledger keeps it; None: nothing."""
    found = {
        kind.value: {"limit": lesson.limit, "at": lesson.at.isoformat()}
        for kind, lesson in learned.items()
    }
    return json.dumps(found) if found else None


def parse(text: str | None) -> dict[Kind, Lesson]:
    """What `dump` wrote; what cannot be read counts as nothing."""
    try:
        found = json.loads(text) if text else {}
        return {
            Kind(name): Lesson(int(each["limit"]), datetime.fromisoformat(each["at"]))
            for name, each in found.items()
        }
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}


_HINT = re.compile(
    r"(?:again|retry|wait|back)\D{0,40}?(\d{1,6}) ?(s|sec|second|m|min|minute|h|hour)s?\b",
    re.IGNORECASE,
)
_UNITS = {"s": timedelta(seconds=1), "m": timedelta(minutes=1), "h": timedelta(hours=1)}


def retry_hint(reply: Reply | None) -> timedelta | None:
    """How long the server says to wait ("try again in 5 minutes"); None if it does not say."""
    found = _HINT.search(reply.text) if reply is not None else None
    return int(found[1]) * _UNITS[found[2][0].lower()] if found else None
