"""Documents about the relay as a whole."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict

from relay.web.shapes.base import Day, Fault, Named, Open, Shape, Texts, Time
from relay.web.shapes.office import Usage


class Why(Named):
    model_config = ConfigDict(extra="allow", strict=True)

    address: str
    sender: str
    recipient: str | None
    accepted: bool


class Status(Named):
    model_config = ConfigDict(extra="allow", strict=True)

    verdict: Literal["pass", "fail"]
    running: bool
    sandbox: bool
    problems: list[Open]
    warnings: list[Open]
    learning_until: Time | None


class Reload(Named):
    running: bool
    applied: bool
    faults: list[Fault]
    needs_restart: list[str]


class Session(Named):
    """Who is looking. `csrf` goes into X-CSRF-Token with every change."""

    logged_in: bool
    needs_password: bool
    csrf: str | None
    language: Literal["nl", "en"]
    sandbox: bool
    show_bodies: bool
    version: str
    hostname: str


class Cause(Shape):
    slug: str
    level: Literal["ok", "warning", "alarm"]
    text: Texts
    page: str | None


class Health(Shape):
    level: Literal["ok", "warning", "alarm"]
    text: Texts
    causes: list[Cause]


class Counts(Shape):
    accepted_today: int
    delivered_today: int
    failed_today: int
    waiting: int
    held: int


class TodayAccount(Usage):
    paused: bool
    paused_until: Time | None
    works_until: Time | None
    consent: str


class Node(Shape):
    """A process that shares the spool."""

    id: str
    host: str
    boot_id: str
    pid: int
    version: str
    configuration: str
    differs: bool
    here: bool
    gone: bool
    started_at: Time
    seen_at: Time
    leases: int
    connections: int
    messages_per_minute: int


class Bar(Shape):
    accepted: int
    delivered: int
    failed: int


class Hour(Bar):
    at: Time


class DayBar(Bar):
    date: Day


class Today(Named):
    health: Health
    counts: Counts | None
    accounts: list[TodayAccount]
    nodes: list[Node]
    hours: list[Hour]
    days: list[DayBar]


class Diagnosis(Named):
    check: str
    arguments: list[str]
    exit_code: int | None
    document: Open | None
    message: Texts | None
    report_at: Time | None


class Entry(Shape):
    path: str
    value: Any
    origin: str
    changed: bool


class Settings(Named):
    path: str | None
    sandbox: bool
    entries: list[Entry]
    file: str | None
    masked: bool
    in_force: bool
    faults: list[Fault]
    warnings: list[Fault]


class SettingsCheck(Named):
    verdict: Literal["pass", "warn", "fail"]
    faults: list[Fault]
    warnings: list[Fault]
    diff: list[str]
    diff_complete: bool
    needs_restart: list[str]


class Way(Shape):
    way: str
    target: str | None
    told: bool
    error: str | None


class AlarmTest(Named):
    ways: list[Way]
