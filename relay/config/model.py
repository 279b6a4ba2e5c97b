"""The configuration as the relay works with it: defaults filled in, presets merged, all checked.

Everything is frozen: a reload builds a new `Config` and swaps it in whole.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Literal

from relay.config.fault import ConfigError, Fault, Language
from relay.config.secret import SecretError, SecretRef

__all__ = [
    "Alarm",
    "AuthMethod",
    "Client",
    "Config",
    "ConfigError",
    "Delivery",
    "DeliveryMode",
    "Dkim",
    "Fault",
    "FlowKind",
    "Issuer",
    "Language",
    "Listener",
    "Network",
    "NullSender",
    "OAuth2",
    "PolicyKind",
    "Route",
    "SecretError",
    "SecretRef",
    "SenderPolicy",
    "Smarthost",
    "Spool",
    "TlsMode",
    "Web",
]

Network = IPv4Network | IPv6Network
FlowKind = Literal["code", "device", "client-credentials", "service-account"]


class TlsMode(StrEnum):
    """How a connection is encrypted. Towards a smarthost STARTTLS is required, never tried."""

    NONE = "none"
    STARTTLS = "starttls"
    IMPLICIT = "implicit"


class AuthMethod(StrEnum):
    """How the relay logs in at a smarthost."""

    NONE = "none"
    PASSWORD = "password"
    OAUTH2 = "oauth2"


class PolicyKind(StrEnum):
    """What happens to the sender: nothing, rewritten where not allowed, or always replaced."""

    KEEP = "keep"
    REWRITE = "rewrite"
    FORCE = "force"


class DeliveryMode(StrEnum):
    """When mail leaves: by itself, while the program waits, or released one by one."""

    QUEUE = "queue"
    DIRECT = "direct"
    HOLD = "hold"


class NullSender(StrEnum):
    """The reverse-path of our own DSNs: by the preset, always `<>`, always the account's."""

    AUTO = "auto"
    KEEP = "keep"
    ACCOUNT = "account"


@dataclass(frozen=True, slots=True)
class SenderPolicy:
    """What becomes of a sender; `address` is set where `policy` is REWRITE or FORCE."""

    policy: PolicyKind = PolicyKind.KEEP
    address: str | None = None
    bcc: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Spool:
    """Where mail waits; `path` is the SQLite file. `lifetime` is of a message nobody takes.

    With PostgreSQL there is no `path`, and `state` is the directory of what is this machine's own.

    How long is remembered: `history` is of finished messages with their attempts, `statistics` of
    the counts by the hour, `refused` of a device that was turned away, since it was last seen.
    """

    url: str
    path: Path | None = None
    password: SecretRef | None = None
    secret_key: SecretRef | None = None
    lifetime: timedelta = timedelta(days=5)
    reserve_bytes: int = 500_000_000
    history: timedelta = timedelta(days=30)
    statistics: timedelta = timedelta(days=400)
    refused: timedelta = timedelta(days=90)
    keep_subjects: bool = False
    state: Path | None = None

    @property
    def beside(self) -> Path:
        """The file, there or not, beside which this machine's own files stand."""
        return self.path or (self.state or Path()) / "spool"

    @property
    def name(self) -> str:
        """As people know it: the file, or the URL."""
        return self.url if self.path is None else str(self.path)


@dataclass(frozen=True, slots=True)
class Listener:
    """An address to accept mail on; `host` has no brackets. `min_tls` is `1.2` or `1.3`."""

    host: str
    port: int
    tls: TlsMode = TlsMode.NONE
    certificate: Path | None = None
    key: Path | None = None
    min_tls: str = "1.2"
    proxy_protocol: tuple[Network, ...] = ()
    max_connections: int = 500
    max_message_bytes: int = 52_428_800
    max_recipients: int = 1000


@dataclass(frozen=True, slots=True)
class Client:
    """Machines that may send. None in a limit means: the listener's own, or no limit."""

    name: str
    networks: tuple[Network, ...]
    any_login: bool = False
    require_tls: bool = False
    max_connections: int = 50
    max_message_bytes: int | None = None
    messages_per_minute: int | None = None
    sender: SenderPolicy | None = None


class Issuer(StrEnum):
    """Who gives out the tokens, and so which library asks for them."""

    MICROSOFT = "microsoft"
    GOOGLE = "google"

    @property
    def label(self) -> str:
        """Its name for people."""
        return self.value.capitalize()


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuth2:
    """How tokens for a smarthost are obtained, with its preset merged in.

    `authority` (Microsoft) has the tenant filled in; the two endpoints are Google's. `certificate`
    is PEM text with key and certificate; `client_secret` of a service account is its JSON key.
    `secret_expires` is the day that the owner wrote down. `ca_file` is for an issuer of one's own.
    """

    flow: FlowKind = "code"
    issuer: Issuer = Issuer.MICROSOFT
    tenant: str | None = None
    authority: str | None = None
    authorize_endpoint: str | None = None
    token_endpoint: str | None = None
    scopes: tuple[str, ...] = ()
    client_id: str | None = None
    client_secret: SecretRef | None = None
    certificate: SecretRef | None = None
    subject: str | None = None
    secret_expires: date | None = None
    ca_file: Path | None = None

    @property
    def interactive(self) -> bool:
        """Somebody has to consent in a browser, once."""
        return self.flow in ("code", "device")


@dataclass(frozen=True, slots=True, kw_only=True)
class Smarthost:
    """A server that takes our mail, with its preset merged in.

    `allowed_senders` holds addresses, `*@domain` or `*`; `mechanisms` is what the preset's
    endpoint is known to offer, empty where nothing is known. None in a rate means no limit.
    """

    name: str
    host: str
    preset: str | None = None
    port: int = 587
    tls: TlsMode = TlsMode.STARTTLS
    ca_file: Path | None = None
    auth: AuthMethod = AuthMethod.NONE
    username: str | None = None
    password: SecretRef | None = None
    mechanisms: tuple[str, ...] = ()
    allowed_senders: tuple[str, ...] = ("*",)
    max_connections: int = 2
    messages_per_minute: int | None = None
    messages_per_day: int | None = None
    recipients_per_day: int | None = None
    max_recipients: int = 100
    sender: SenderPolicy | None = None
    oauth2: OAuth2 | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None

    @property
    def account(self) -> tuple[str, str] | None:
        """(host, username): what a refused login pauses. None without a login."""
        return (self.host, self.username) if self.username is not None else None


@dataclass(frozen=True, slots=True)
class Route:
    """Which smarthosts, in order of failover, take mail that fits all of the conditions set."""

    sender: str | None = None
    client: str | None = None
    recipient: str | None = None
    smarthosts: tuple[str, ...] = ()
    policy: SenderPolicy | None = None


@dataclass(frozen=True, slots=True)
class Dkim:
    """A key to sign a domain's mail with."""

    domain: str
    selector: str
    key: SecretRef


@dataclass(frozen=True, slots=True)
class Delivery:
    """How mail leaves."""

    mode: DeliveryMode = DeliveryMode.QUEUE
    direct_wait: timedelta = timedelta(seconds=8)
    warn_after: timedelta = timedelta(hours=4)
    null_sender: NullSender = NullSender.AUTO


@dataclass(frozen=True, slots=True)
class Web:
    """The control API and page; `hosts` are further names it answers to."""

    enabled: bool = True
    host: str = "127.0.0.1"
    port: int = 8025
    hosts: tuple[str, ...] = ()
    password_hash: SecretRef | None = None
    certificate: Path | None = None
    key: Path | None = None
    show_bodies: bool = False


@dataclass(frozen=True, slots=True)
class Alarm:
    """One way to tell people of trouble."""

    webhook: str | None = None
    mail_to: str | None = None
    smarthost: str | None = None
    command: tuple[str, ...] | None = None
    syslog: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything that `relay.toml` says. `path` is None without a file (sandbox)."""

    language: Language = "en"
    hostname: str
    postmaster: str | None = None
    spool: Spool
    listeners: tuple[Listener, ...] = (Listener("127.0.0.1", 2525),)
    clients: tuple[Client, ...] = ()
    smarthosts: tuple[Smarthost, ...] = ()
    routes: tuple[Route, ...] = ()
    sender: SenderPolicy = field(default_factory=SenderPolicy)
    dkim: tuple[Dkim, ...] = ()
    delivery: Delivery = field(default_factory=Delivery)
    web: Web = field(default_factory=Web)
    alarms: tuple[Alarm, ...] = ()
    sandbox: bool = False
    path: Path | None = None
    digest: str = ""
    """Of what the file says, to see whether another node has the same."""
    warnings: tuple[Fault, ...] = ()

    def smarthost(self, name: str) -> Smarthost:
        """The smarthost of that name. Raises KeyError: there is none."""
        for smarthost in self.smarthosts:
            if smarthost.name == name:
                return smarthost
        raise KeyError(name)
