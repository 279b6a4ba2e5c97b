"""What may stand in `relay.toml`, table by table: the keys, their types, ranges and defaults.

A key that is None here was not written; `relay.config.resolve` gives it its default, which may
come from a preset. Each table is validated apart, so that a fault in one hides none in another.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Discriminator, Field, PlainValidator, Tag

from relay.access.address import Network
from relay.config import syntax, units
from relay.config.fault import BadValueError, Language
from relay.config.model import (
    AuthMethod,
    DeliveryMode,
    FlowKind,
    NullSender,
    PolicyKind,
    TlsMode,
)
from relay.config.secret import SecretRef

T = TypeVar("T")


def _text(parse: Callable[[str], T], example: str = "..") -> Callable[[object], T]:
    """`parse` behind a check that the value is a text at all."""

    def validate(value: object) -> T:
        if not isinstance(value, str):
            raise BadValueError(
                f'moet een tekst zijn, tussen aanhalingstekens: "{example}"',
                f'must be a text, in quotes: "{example}"',
            )
        return parse(value)

    return validate


def _path(text: str) -> Path:
    if not text or "\0" in text:
        raise BadValueError("noem een bestand", "name a file")
    return Path(text)


def _name(text: str) -> str:
    if not text.strip() or text != text.strip() or len(text) > 64 or not text.isprintable():
        raise BadValueError(
            f"{text!r} is geen naam: 1 tot 64 tekens, zonder spatie ervoor of erachter",
            f"{text!r} is no name: 1 to 64 characters, without a blank before or after",
        )
    return text


def _username(text: str) -> str:
    if not text or not text.isprintable():
        raise BadValueError(
            "is leeg, of bevat een stuurteken", "is empty, or has a control character"
        )
    return text


def _webhook(text: str) -> str:
    """The value is a secret as a rule: no fault shows it."""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not text.startswith(("https://", "http://")) or not host or not _plain(text):
        raise BadValueError(
            "een webhook is een adres dat met https:// begint", "a webhook is an https:// address"
        )
    if "@" in parts.netloc:
        raise BadValueError(
            "een webhook heeft geen naam en wachtwoord voor de @",
            "a webhook has no name and password before an @",
        )
    return text


def _plain(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text


def _https(text: str) -> str:
    # RFC 6749 section 3.2: whatever carries tokens is encrypted.
    if not text.startswith("https://") or any(not char.isprintable() for char in text):
        raise BadValueError("moet met https:// beginnen", "must begin with https://")
    return text


def _day(value: object) -> date:
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    if isinstance(value, date):
        return value.date() if isinstance(value, datetime) else value
    raise BadValueError("schrijf een datum: 2027-05-31", "write a date: 2027-05-31")


Duration = Annotated[timedelta, PlainValidator(_text(units.duration, "4h"))]
Span = Annotated[timedelta, PlainValidator(_text(units.positive_duration, "4h"))]
# The page shows 30 days, which begin at a midnight; an alarm tells of who was refused in a day.
MonthOrMore = Annotated[timedelta, PlainValidator(_text(units.days_at_least(31), "400d"))]
DayOrMore = Annotated[timedelta, PlainValidator(_text(units.days_at_least(1), "90d"))]
Domain = Annotated[str, PlainValidator(_text(syntax.domain))]
Host = Annotated[str, PlainValidator(_text(syntax.smarthost_host))]
EhloName = Annotated[str, PlainValidator(_text(syntax.ehlo_name))]
Bind = Annotated[syntax.HostPort, PlainValidator(_text(syntax.host_port, "127.0.0.1:2525"))]
Net = Annotated[Network, PlainValidator(_text(syntax.network, "192.168.1.0/24"))]
MailAddress = Annotated[str, PlainValidator(_text(syntax.mail_address, "info@mijnbakkerij.nl"))]
Pattern = Annotated[str, PlainValidator(_text(syntax.address_pattern, "*@mijnbakkerij.nl"))]
SpoolUrl = Annotated[str, PlainValidator(_text(syntax.spool_url))]
FilePath = Annotated[Path, PlainValidator(_text(_path))]
Name = Annotated[str, PlainValidator(_text(_name))]
Username = Annotated[str, PlainValidator(_text(_username))]
HttpsUrl = Annotated[str, PlainValidator(_text(_https, "https://.."))]
Day = Annotated[date, PlainValidator(_day)]
Webhook = Annotated[str, PlainValidator(_text(_webhook))]
Secret = Annotated[SecretRef, PlainValidator(syntax.secret)]
Tls = Annotated[TlsMode, Field(strict=False)]

Count = Annotated[int, Field(ge=1, le=1_000_000)]
Size = Annotated[int, Field(ge=1, le=2**40)]
Port = Annotated[int, Field(ge=1, le=65535)]


class Table(BaseModel):
    """One table of the file: no unknown keys, no guessing at types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class TopTable(Table):
    language: Language | None = None
    hostname: EhloName | None = None
    postmaster: MailAddress | None = None


class SenderTable(Table):
    policy: Annotated[PolicyKind, Field(strict=False)] = PolicyKind.KEEP
    address: MailAddress | None = None
    bcc: list[MailAddress] = []


class SpoolTable(Table):
    url: SpoolUrl | None = None
    password: Secret | None = None
    secret_key: Secret | None = None
    lifetime: Span = timedelta(days=5)
    reserve_bytes: Annotated[int, Field(ge=0, le=2**50)] = 500_000_000
    history: Duration = timedelta(days=30)
    statistics: MonthOrMore = timedelta(days=400)
    refused: DayOrMore = timedelta(days=90)
    keep_subjects: bool = False


class ListenerTable(Table):
    address: Bind = syntax.HostPort("127.0.0.1", 2525)
    tls: Tls = TlsMode.NONE
    certificate: FilePath | None = None
    key: FilePath | None = None
    min_tls: Literal["1.2", "1.3"] = "1.2"
    proxy_protocol: list[Net] = []
    max_connections: Count = 500
    max_message_bytes: Size = 52_428_800
    max_recipients: Count = 1000


class ClientTable(Table):
    name: Name | None = None
    networks: list[Net] = []
    any_login: bool = False
    require_tls: bool = False
    open: bool = False
    max_connections: Count = 50
    max_message_bytes: Size | None = None
    messages_per_minute: Count | None = None
    sender: SenderTable | None = None


class OAuth2Table(Table):
    flow: FlowKind = "code"
    tenant: Username | None = None
    authority: HttpsUrl | None = None
    authorize_endpoint: HttpsUrl | None = None
    token_endpoint: HttpsUrl | None = None
    scopes: list[Username] | None = None
    client_id: Username | None = None
    client_secret: Secret | None = None
    certificate: Secret | None = None
    subject: Username | None = None
    secret_expires: Day | None = None
    ca_file: FilePath | None = None


class SmarthostTable(Table):
    name: Name | None = None
    preset: Name | None = None
    host: Host | None = None
    port: Port | None = None
    tls: Tls | None = None
    ca_file: FilePath | None = None
    auth: Annotated[AuthMethod, Field(strict=False)] | None = None
    username: Username | None = None
    password: Secret | None = None
    allowed_senders: list[Pattern] | None = None
    max_connections: Count | None = None
    messages_per_minute: Count | None = None
    messages_per_day: Count | None = None
    recipients_per_day: Count | None = None
    max_recipients: Count | None = None
    sender: SenderTable | None = None
    client_certificate: FilePath | None = None
    client_key: FilePath | None = None
    oauth2: OAuth2Table | None = None


class RouteTable(Table):
    # One key, two uses: a text is a condition, a table is what to do with the sender.
    sender: (
        Annotated[
            Annotated[Pattern, Tag("text")] | Annotated[SenderTable, Tag("table")],
            Discriminator(lambda value: "table" if isinstance(value, dict) else "text"),
        ]
        | None
    ) = None
    client: Name | None = None
    recipient: Pattern | None = None
    smarthost: Annotated[list[Name], Field(min_length=1)]


class DkimTable(Table):
    domain: Domain
    selector: Domain
    key: Secret


class DeliveryTable(Table):
    mode: Annotated[DeliveryMode, Field(strict=False)] = DeliveryMode.QUEUE
    direct_wait: Span = timedelta(seconds=8)
    warn_after: Span = timedelta(hours=4)
    null_sender: Annotated[NullSender, Field(strict=False)] = NullSender.AUTO


class WebTable(Table):
    enabled: bool = True
    address: Bind = syntax.HostPort("127.0.0.1", 8025)
    hosts: list[Domain] = []
    password_hash: Secret | None = None
    certificate: FilePath | None = None
    key: FilePath | None = None
    show_bodies: bool = False


class AlarmTable(Table):
    webhook: Webhook | None = None
    mail_to: MailAddress | None = None
    smarthost: Name | None = None
    command: Annotated[list[str], Field(min_length=1)] | None = None
    syslog: bool = False


TABLES: dict[str, type[Table]] = {
    "spool": SpoolTable,
    "sender": SenderTable,
    "delivery": DeliveryTable,
    "web": WebTable,
}
ARRAYS: dict[str, type[Table]] = {
    "listener": ListenerTable,
    "client": ClientTable,
    "smarthost": SmarthostTable,
    "route": RouteTable,
    "dkim": DkimTable,
    "alarm": AlarmTable,
}
