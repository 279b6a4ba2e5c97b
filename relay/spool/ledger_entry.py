"""What the ledger keeps of smarthosts, accounts, devices and senders."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from presets.reply import Reply


class BlockedBy(StrEnum):
    """What keeps a whole lane waiting."""

    SMARTHOST = "smarthost"
    ACCOUNT = "account"
    QUOTA = "quota"


@dataclass(frozen=True, slots=True)
class Usage:
    """What an attempt used up of its account's limits; `arrival_at` is the GCRA's state after it.

    `transactions` are those that the server saw begin, `messages` those whose final dot it took or
    may have taken, with their `recipients`. Without a login the host is empty, and the username
    the smarthost's name.
    """

    host: str
    username: str
    messages: int
    recipients: int
    arrival_at: datetime | None = None
    transactions: int = 0


@dataclass(frozen=True, slots=True)
class UsedMinute:
    """What an account used in the minute that begins at `minute`; see `Usage`."""

    host: str
    username: str
    minute: datetime
    messages: int
    recipients: int
    transactions: int


@dataclass(frozen=True, slots=True)
class AccountPace:
    """How far an account's pace has come, and the limits learned of it, as JSON."""

    host: str
    username: str
    arrival_at: datetime | None
    learned: str | None


@dataclass(frozen=True, slots=True)
class LaneAccount:
    """Whose limits the mail of a lane uses up; `max_recipients` is that of a transaction."""

    lane: str
    host: str
    username: str
    max_recipients: int


@dataclass(frozen=True, slots=True)
class Block:
    """Why a lane waits, and until when; `until` None means until somebody acts."""

    by: BlockedBy
    until: datetime | None
    failures: int
    since: datetime
    cause: str
    reply: Reply | None = None


@dataclass(frozen=True, slots=True)
class Lane:
    """What the ledger knows of a smarthost."""

    name: str
    block: Block | None
    size_bytes: int | None


@dataclass(frozen=True, slots=True)
class PausedAccount:
    """A login that the provider refused; nothing is tried until `until` or until resumed."""

    host: str
    username: str
    at: datetime
    until: datetime | None
    refusals: int
    cause: str
    reply: Reply | None
    secret_mark: str | None


@dataclass(frozen=True, slots=True)
class RefusedDevice:
    """An address that was not listed, how often and when."""

    address: str
    count: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class AdoptedDevice:
    """A device allowed by `relay client allow`, beside those of the configuration."""

    address: str
    name: str
    adopted_at: datetime


@dataclass(frozen=True, slots=True)
class SenderRule:
    """Mail from `sender`, an address or `*@domain`, through `smarthost` leaves as `address`.

    Adopted by `relay queue cure`, beside the sender policies of the configuration.
    """

    smarthost: str
    sender: str
    address: str
    adopted_at: datetime
