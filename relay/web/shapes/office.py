"""Documents about who sends and as whom: clients, devices, accounts."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict

from relay.web.shapes.base import Day, Explanation, Id, Named, Open, Reply, Shape, Texts, Time


class Client(Shape):
    name: str
    source: Literal["file", "default", "adopted"]
    networks: list[str]
    any_login: bool
    require_tls: bool
    max_connections: int
    max_message_bytes: int | None
    messages_per_minute: int | None


class Adopted(Shape):
    address: str
    name: str
    adopted_at: Time


class ClientList(Named):
    clients: list[Client]
    adopted: list[Adopted]
    learning_until: Time | None


class ClientRefused(Named):
    devices: list[Open]
    learning_until: Time | None


class Listing(Shape):
    client: str
    network: str


class ClientAllow(Named):
    address: str
    name: str
    adopted: bool
    listed_by: Listing | None
    released: list[Id]


class ClientRemove(Named):
    address: str
    removed: bool
    listed_by: Listing | None


class ClientLearn(Named):
    learning_until: Time | None


class Login(Shape):
    host: str
    username: str


class Limit(Shape):
    limit: int | None
    limit_now: int | None
    learned: Open | None


class DayLimit(Limit):
    used: int
    left: int | None
    warning: bool


class Usage(Shape):
    host: str
    username: str | None
    smarthosts: list[str]
    messages: DayLimit
    recipients: DayLimit
    max_connections: Limit
    messages_per_minute: Limit
    max_recipients: Limit
    warning: bool
    waiting: int | None
    empty_at: Time | None


class Account(Login):
    smarthosts: list[str]
    auth: str
    issuer: str | None
    flow: str | None
    deadline: Day | None
    consent: str
    consented_at: Time | None
    refreshed_at: Time | None
    works_until: Time | None
    works_until_reason: str
    works_until_why: str
    vault_error: Texts | str | None
    paused: bool
    paused_at: Time | None
    paused_until: Time | None
    refusals: int
    cause: str | None
    reply: Reply | None
    explanation: Explanation | None
    steps: list[str]
    usage: Usage | None


class AccountList(Named):
    accounts: list[Account]


class AccountResume(Named):
    resumed: list[Login]
    unchanged: list[Login]


class AccountPause(Named):
    paused: list[Login]


class AccountTest(Named, Login):
    smarthost: str
    tested: bool
    refused_because: str | None
    paused_until: Time | None
    mechanism: str | None
    mechanisms_offered: list[str]
    accepted: bool
    phase: str | None
    scope: str | None
    cause: str | None
    detail: str | None
    reply: Reply | None
    address: str | None
    seconds: float
    explanation: Explanation | None


class AccountGrant(Named, Login):
    resumed: bool


class Consent(Named):
    model_config = ConfigDict(extra="allow", strict=True)

    name: str
    state: Literal["none", "waiting", "done", "failed"]
    text: Texts


class Device(Shape):
    name: str
    source: Literal["file", "default", "adopted"]
    networks: list[str]
    addresses: list[str]
    last_mail_at: Time | None
    messages_24h: int
    messages_30d: int
    bytes_30d: int
    tls: bool | None
    errors_24h: int
    silent_days: int | None
    silent_working_days: int | None
    silent_alarm: bool


class Devices(Named):
    devices: list[Device]
    refused: list[Open]
    learning_until: Time | None
