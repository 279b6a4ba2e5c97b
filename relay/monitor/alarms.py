"""Which alarms stand, and which of them somebody has to hear now: once, again after a day, and
when it is over; never more than a bearable number an hour.

Pure bookkeeping: nothing here reads a clock, a disk or a network.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

REMIND_AFTER = timedelta(hours=24)
REMIND_MINOR_AFTER = timedelta(days=7)
CALM = timedelta(minutes=5)
"""How long something must be over before it is told: what flaps is one alarm."""
WINDOW = timedelta(hours=1)
MOST_TOLD = 20
"""In one hour, over all alarms."""
MOST_MINOR = 10
"""Of these, at most so many of kinds that can come in a swarm."""
MOST_KEPT = 500
MINOR = frozenset({"refused-device", "client-silent"})
ONLY_HAPPENED = frozenset(
    {"lifetime", "outcome-not-recorded", "dsn-undeliverable", "token-vault", "log-alert"}
)
"""Kinds of which no end is seen: a day without another is their end, and nobody is told of it."""

_LONGEST_VALUE = 500


class Stage(StrEnum):
    """What a notice tells of its alarm."""

    RAISED = "raised"
    REMINDER = "reminder"
    CLEARED = "cleared"
    SUPPRESSED = "suppressed"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that is wrong. `kind` and `subject` are what it is told once for; `values` fill
    the blanks of its text."""

    kind: str
    subject: str = ""
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Notice:
    """What is to be told. `since` is when the alarm began, `count` how often, or how many."""

    stage: Stage
    kind: str
    subject: str
    values: Mapping[str, str]
    since: datetime
    count: int = 1


@dataclass(slots=True)
class _Entry:
    condition: Condition
    since: datetime
    seen_at: datetime
    told_at: datetime | None = None  # None: nobody knows yet
    gone_at: datetime | None = None
    silenced: bool = False  # counted among the suppressed, and told no more until a day later
    counted: bool = False  # counted among the suppressed, and still to be told
    count: int = 1

    @property
    def only_happened(self) -> bool:
        return self.condition.kind in ONLY_HAPPENED


@dataclass(slots=True)
class AlarmBook:
    """The alarms that stand and what was told of them. Survives a restart as `dump` and `restore`."""

    _entries: dict[tuple[str, str], _Entry] = field(default_factory=dict)
    _told: list[tuple[datetime, bool]] = field(default_factory=list)  # when, and whether minor
    _suppressed: int = 0
    _summary_at: datetime | None = None

    def see(self, now: datetime, conditions: Iterable[Condition], *, complete: bool = True) -> None:
        """What is wrong at `now`. Unless `complete`, what is not among it may stand all the same."""
        self._set_back(now)
        found = {(each.kind, each.subject): each for each in map(_bounded, conditions)}
        for key, condition in found.items():
            self._note(key, condition, now)
        for key, entry in list(self._entries.items()):
            if entry.only_happened:
                if now - entry.seen_at >= REMIND_AFTER:
                    del self._entries[key]
            elif key not in found and complete:
                self._gone(key, entry, now)

    def happened(self, now: datetime, condition: Condition) -> None:
        """Something went wrong once; the same again within a day is counted, not told."""
        condition = _bounded(condition)
        key = condition.kind, condition.subject
        if key in self._entries:
            self._entries[key].count += 1
        self._note(key, condition, now)

    def pending(self, now: datetime) -> list[Notice]:
        """What somebody has to hear now, the gravest first, within what an hour may have."""
        self._told = [(at, minor) for at, minor in self._told if now - at < WINDOW]
        room = MOST_TOLD - len(self._told)
        minor_room = MOST_MINOR - sum(minor for _, minor in self._told)
        notices = []
        for notice, entry in sorted(self._due(now), key=lambda pair: pair[0].kind in MINOR):
            minor = notice.kind in MINOR
            if room <= 0 or (minor and minor_room <= 0):
                self._suppress(entry, notice, now)
                continue
            room -= 1
            minor_room -= minor
            notices.append(notice)
        summary_due = self._summary_at is None or now - self._summary_at >= WINDOW
        if self._suppressed and summary_due:
            since = self._summary_at or now
            count = self._suppressed
            notices.append(Notice(Stage.SUPPRESSED, "suppressed", "", {}, since, count))
        return notices

    def told(self, notice: Notice, now: datetime) -> None:
        """Somebody has heard it."""
        if notice.stage is Stage.SUPPRESSED:
            self._suppressed = max(0, self._suppressed - notice.count)
            self._summary_at = now
            return
        self._told.append((now, notice.kind in MINOR))
        entry = self._entries.get((notice.kind, notice.subject))
        if entry is None:
            return
        if notice.stage is Stage.CLEARED:
            del self._entries[notice.kind, notice.subject]
            return
        entry.told_at, entry.silenced, entry.counted = now, False, False

    def standing(self) -> Iterator[Condition]:
        """What is wrong as far as is known."""
        return (each.condition for each in self._entries.values() if each.gone_at is None)

    def dump(self) -> str:
        """All of it as JSON."""
        entries = [
            {
                "kind": each.condition.kind,
                "subject": each.condition.subject,
                "values": dict(each.condition.values),
                "since": each.since.isoformat(),
                "seen_at": each.seen_at.isoformat(),
                "told_at": each.told_at.isoformat() if each.told_at else None,
                "gone_at": each.gone_at.isoformat() if each.gone_at else None,
                "silenced": each.silenced,
                "counted": each.counted,
                "count": each.count,
            }
            for each in self._entries.values()
        ]
        told = [[at.isoformat(), minor] for at, minor in self._told]
        summary_at = self._summary_at.isoformat() if self._summary_at else None
        state = {"alarms": entries, "told": told, "suppressed": self._suppressed}
        return json.dumps({**state, "summary_at": summary_at})

    @classmethod
    def restore(cls, text: str | None) -> AlarmBook:
        """The book of `dump`; an empty one where there is none, or it cannot be read."""
        try:
            return cls._restored(json.loads(text)) if text else cls()
        except (ValueError, KeyError, TypeError, AttributeError):
            return cls()  # then some alarms are told again

    @classmethod
    def _restored(cls, state: dict[str, Any]) -> AlarmBook:
        book = cls(
            _told=[(datetime.fromisoformat(at), bool(minor)) for at, minor in state["told"]],
            _suppressed=int(state["suppressed"]),
            _summary_at=_time(state["summary_at"]),
        )
        for each in state["alarms"]:
            condition = Condition(each["kind"], each["subject"], each["values"])
            book._entries[condition.kind, condition.subject] = _Entry(
                condition,
                datetime.fromisoformat(each["since"]),
                datetime.fromisoformat(each["seen_at"]),
                _time(each["told_at"]),
                _time(each["gone_at"]),
                bool(each["silenced"]),
                bool(each["counted"]),
                int(each["count"]),
            )
        return book

    def _note(self, key: tuple[str, str], condition: Condition, now: datetime) -> None:
        entry = self._entries.get(key)
        if entry is not None:
            entry.seen_at, entry.gone_at, entry.condition = now, None, condition
        elif len(self._entries) < MOST_KEPT:
            self._entries[key] = _Entry(condition, now, now)
        else:
            self._suppressed += 1

    def _gone(self, key: tuple[str, str], entry: _Entry, now: datetime) -> None:
        if entry.gone_at is None:
            entry.gone_at = now
        elif now - entry.gone_at >= CALM and (entry.told_at is None or entry.silenced):
            del self._entries[key]  # nobody heard of it, so nobody waits for its end

    def _due(self, now: datetime) -> Iterator[tuple[Notice, _Entry]]:
        for entry in self._entries.values():
            stage = _stage(entry, now)
            if stage is not None:
                what = entry.condition
                yield (
                    Notice(stage, what.kind, what.subject, what.values, entry.since, entry.count),
                    entry,
                )

    def _suppress(self, entry: _Entry, notice: Notice, now: datetime) -> None:
        if notice.kind in MINOR:
            if notice.stage is Stage.CLEARED:
                del self._entries[notice.kind, notice.subject]
                return
            entry.silenced, entry.told_at = True, now
            self._suppressed += 1
        elif not entry.counted:
            entry.counted = True
            self._suppressed += 1

    def _set_back(self, now: datetime) -> None:
        """A clock that was ahead, and is set right, must not keep alarms from being told."""
        self._told = [(min(at, now), minor) for at, minor in self._told]
        if self._summary_at is not None:
            self._summary_at = min(self._summary_at, now)
        for entry in self._entries.values():
            entry.since, entry.seen_at = min(entry.since, now), min(entry.seen_at, now)
            entry.told_at = min(entry.told_at, now) if entry.told_at else None
            entry.gone_at = min(entry.gone_at, now) if entry.gone_at else None


def _stage(entry: _Entry, now: datetime) -> Stage | None:
    if entry.gone_at is not None:
        heard = entry.told_at is not None and not entry.silenced
        return Stage.CLEARED if heard and now - entry.gone_at >= CALM else None
    if entry.told_at is None:
        return Stage.RAISED
    patience = REMIND_MINOR_AFTER if entry.condition.kind in MINOR else REMIND_AFTER
    if now - entry.told_at < patience:
        return None
    if entry.only_happened and entry.seen_at <= entry.told_at:
        return None
    return Stage.REMINDER


def _bounded(condition: Condition) -> Condition:
    values = {name: str(value)[:_LONGEST_VALUE] for name, value in condition.values.items()}
    return Condition(condition.kind, condition.subject[:_LONGEST_VALUE], values)


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
