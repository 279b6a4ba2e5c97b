"""What each account has used of its limits, what is left, what was learned of them, and when its
mail will have left: from the ledger alone, so with the daemon stopped too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from relay.config.model import Config, Smarthost
from relay.control.documents import Document, time_text
from relay.delivery.account import WARNING_SHARE
from relay.delivery.budget import USED_UP, by_account
from relay.delivery.forecast import Outlook, empty_at
from relay.delivery.learned import (
    Kind,
    Learned,
    Limits,
    configured_limits,
    in_force,
    learned_limit,
    parse,
)
from relay.delivery.window import DAY, Amount, DayWindow
from relay.spool.ledger_entry import BlockedBy, Lane, UsedMinute
from relay.spool.protocol import Ledger
from relay.spool.sharing import AccountKey
from relay.spool.statistics import Totals

_MEASURED = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class _State:
    """What the ledger knows of one account."""

    key: AccountKey
    smarthosts: Sequence[Smarthost]
    learned: Learned
    minutes: Sequence[UsedMinute]
    now: datetime

    def window(self) -> DayWindow:
        window = DayWindow()
        window.restore(self.minutes)
        return window

    def used(self) -> Amount:
        return self.window().used(self.now)


async def usage_documents(
    config: Config, ledger: Ledger, now: datetime, totals: Totals | None = None
) -> list[Document]:
    """One document for each account; `empty_at` only with `totals`. May raise SpoolError.

    Without a login an account is a smarthost by itself, and its `username` null.
    """
    learned = {(each.host, each.username): parse(each.learned) for each in await ledger.paces()}
    lanes = await ledger.lanes() if totals is not None else {}
    minutes: dict[AccountKey, list[UsedMinute]] = {}
    for each in await ledger.usage(now - DAY - timedelta(minutes=1)):
        minutes.setdefault((each.host, each.username), []).append(each)
    found = []
    for key, smarthosts in by_account(config).items():
        state = _State(key, smarthosts, learned.get(key, {}), minutes.get(key, []), now)
        found.append({**_usage(state), **_forecast(state, totals, lanes)})
    return found


def quota_warnings(documents: Sequence[Document]) -> list[Document]:
    """The warnings of a status about accounts that have nearly, or quite, used up a day's limit."""
    return [
        {
            "id": "quota-nearly-used",
            "host": each["host"],
            "username": each["username"],
            "smarthost": each["smarthosts"][0],
            "limit": name,
            "used": each[name]["used"],
            "most": each[name]["limit_now"],
        }
        for each in documents
        for name in ("messages", "recipients")
        if each[name]["warning"]
    ]


def _usage(state: _State) -> Document:
    used = state.used()
    days = {
        name: _day(state, kind, count)
        for name, kind, count in (
            ("messages", Kind.MESSAGES, used.messages),
            ("recipients", Kind.RECIPIENTS, used.recipients),
        )
    }
    rates = {kind.value: _limit(state, kind) for kind in Kind if not kind.value.endswith("_day")}
    return {
        "host": state.smarthosts[0].host,
        "username": state.smarthosts[0].username,
        "smarthosts": [each.name for each in state.smarthosts],
        **days,
        **rates,
        "warning": any(day["warning"] for day in days.values()),
    }


def _limits(state: _State) -> Limits:
    return in_force(configured_limits(state.smarthosts), state.learned, state.now)


def _limit(state: _State, kind: Kind) -> Document:
    """The configured limit, the one in force, and what lowered it."""
    configured = configured_limits(state.smarthosts).of(kind)
    lesson = state.learned.get(kind)
    lower = None if lesson is None else learned_limit(configured, lesson, state.now)
    learned = None
    if lesson is not None and lower is not None:
        learned = {"limit": lower, "at": time_text(lesson.at)}
    limit_now = configured if lower is None else lower
    return {"limit": configured, "limit_now": limit_now, "learned": learned}


def _day(state: _State, kind: Kind, used: int) -> Document:
    found = _limit(state, kind)
    limit = found["limit_now"]
    left = None if limit is None else max(limit - used, 0)
    warning = limit is not None and used >= WARNING_SHARE * limit
    return {"used": used, "left": left, **found, "warning": warning}


def _forecast(state: _State, totals: Totals | None, lanes: dict[str, Lane]) -> Document:
    """How much waits for the account, and when it will have left."""
    if totals is None:
        return {"waiting": None, "empty_at": None}
    counts = {each.name: totals.by_lane.get(each.name, 0) for each in state.smarthosts}
    messages = sum(counts.values())
    start = _start(state, [name for name, count in counts.items() if count], lanes)
    limits, used, window = _limits(state), state.used(), state.window()
    # How many recipients wait is not counted: as many a message as in the last 24 hours.
    each = max(used.recipients / used.messages, 1.0) if used.messages else 1.0
    outlook = Outlook(
        waiting=Amount(messages, ceil(messages * each)),
        start=start or state.now,
        messages_per_minute=limits.messages_per_minute or _measured(state),
        messages_per_day=limits.messages_per_day,
        recipients_per_day=limits.recipients_per_day,
        used=used,
        frees=window.frees(state.now),
    )
    at = empty_at(outlook) if start is not None else None
    return {"waiting": messages, "empty_at": time_text(at)}


def _start(state: _State, names: list[str], lanes: dict[str, Lane]) -> datetime | None:
    """When its mail may leave again; None: only after somebody has acted."""
    start = state.now
    for name in names:
        block = lanes[name].block if name in lanes else None
        if block is None or (block.by is BlockedBy.QUOTA and block.cause == USED_UP):
            continue  # what the ledger leaves is reckoned with already
        if block.until is None:
            return None
        start = max(start, block.until)
    return start


def _measured(state: _State) -> int | None:
    """The best minute of the last hour, where no limit tells the pace; None: nothing left."""
    recent = [each.messages for each in state.minutes if each.minute > state.now - _MEASURED]
    return max(recent, default=0) or None
