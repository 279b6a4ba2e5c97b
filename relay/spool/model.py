"""The values that pass between intake, delivery, commands and a spool."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from presets.reply import Reply
from relay.envelope import Envelope, Recipient

Bytes = bytes  # where a field is named so


class State(StrEnum):
    """State of a recipient; of a message the first in this order among its recipients'."""

    HELD = "held"
    QUEUED = "queued"
    FAILED = "failed"
    DELIVERED = "delivered"
    DELETED = "deleted"


class HeldFor(StrEnum):
    """Why a recipient is held; only release, adoption or deletion ends it."""

    SANDBOX = "sandbox"
    TRIAL = "trial"
    OPERATOR = "operator"
    SENDER = "sender"
    LIFETIME = "lifetime"
    LEARNING = "learning"
    POISON = "poison"


class BlockedBy(StrEnum):
    """What keeps a whole lane waiting."""

    SMARTHOST = "smarthost"
    ACCOUNT = "account"
    QUOTA = "quota"


class Outcome(StrEnum):
    """How an attempt ended for a group of recipients."""

    DELIVERED = "delivered"
    DEFERRED = "deferred"
    HELD = "held"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a new recipient starts: queued in `lane`, or held there for a reason."""

    lane: str
    held_for: HeldFor | None = None


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message to be accepted; `placements` has one entry for each recipient of the envelope."""

    id: int
    received_at: datetime
    expires_at: datetime
    client: str
    client_address: str
    envelope: Envelope
    placements: tuple[Placement, ...]
    message_id: str
    subject: str | None = None
    is_dsn: bool = False
    repairs: tuple[tuple[str, str], ...] = ()
    due_at: datetime | None = None  # of its first attempt; None: at once


@dataclass(frozen=True, slots=True)
class QueuedRecipient:
    """A recipient still to be served, with its position in the message."""

    position: int
    recipient: Recipient
    pinned: str | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """The sole right to attempt a message in one lane until the lease ends.

    `token` fences it: a settlement with an older token changes nothing.
    """

    message: int
    lane: str
    token: int
    tries: int
    received_at: datetime
    expires_at: datetime
    client: str
    client_address: str
    envelope: Envelope  # all recipients, in order of position
    recipients: tuple[QueuedRecipient, ...]  # those queued in this lane
    bytes: int
    message_id: str
    is_dsn: bool
    in_doubt: bool
    warned: bool
    body: Bytes | None = field(default=None, repr=False)
    """The whole message, where it is small."""


@dataclass(frozen=True, slots=True)
class RecipientResult:
    """What an attempt means for one recipient; QUEUED leaves it waiting."""

    position: int
    state: State
    reply: Reply | None = None
    held_for: HeldFor | None = None
    lane: str | None = None  # with QUEUED: move it to another smarthost


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One line of a message's history: recipients that shared a fate."""

    outcome: Outcome
    recipients: tuple[int, ...]
    phase: str | None = None
    address: str | None = None
    seconds: float = 0.0
    reply: Reply | None = None
    in_doubt: bool = False


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
class Waiting:
    """A recipient who waits, with what decides its lane."""

    message: int
    position: int
    address: str
    lane: str
    pinned: str | None
    client: str
    sender: str
    in_doubt: bool


@dataclass(frozen=True, slots=True)
class Settlement:
    """The end of a claim, committed as one transaction together with the DSNs it causes."""

    claim: Claim
    at: datetime
    results: tuple[RecipientResult, ...]
    attempts: tuple[AttemptRecord, ...]
    due_at: datetime | None = None  # of what stays queued; None leaves the old time
    counts: bool = False  # this attempt counts on the message's own schedule
    warned: bool = False  # a delay DSN is among `dsns`
    dsns: tuple[tuple[NewMessage, bytes], ...] = ()
    usage: Usage | None = None


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


@dataclass(frozen=True, slots=True)
class RecipientView:
    """A recipient as `queue list` and `queue show` tell it."""

    address: str
    state: State
    origin: str
    lane: str
    held_for: HeldFor | None
    reply: Reply | None
    pinned: str | None = None


@dataclass(frozen=True, slots=True)
class AttemptView:
    """An attempt as `queue show` tells it; `outcome` None means that it is running."""

    at: datetime
    seconds: float | None
    smarthost: str
    address: str | None
    phase: str | None
    recipients: tuple[str, ...]
    reply: Reply | None
    outcome: Outcome | None
    in_doubt: bool


@dataclass(frozen=True, slots=True)
class MessageView:
    """A message as the commands tell it."""

    id: int
    state: State
    waiting_for: str | None
    in_doubt: bool
    leased: bool
    received_at: datetime
    client: str
    client_address: str
    sender: str
    bytes: int
    subject: str | None
    message_id: str
    next_attempt_at: datetime | None
    recipients: tuple[RecipientView, ...]
    repairs: tuple[tuple[str, str], ...]
    attempts: tuple[AttemptView, ...] = ()


@dataclass(frozen=True, slots=True)
class Acted:
    """What an action did: ids changed, ids left as they were, ids nobody knows."""

    changed: tuple[int, ...]
    unchanged: tuple[int, ...]
    unknown: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts for `relay status`: recipients queued and held, the oldest message waiting."""

    queued: int
    held: int
    oldest_queued_at: datetime | None
    by_lane: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Failure:
    """An attempt that delivered to none of those it was for."""

    at: datetime
    outcome: Outcome
    phase: str | None
    reply: Reply | None
    address: str | None


@dataclass(frozen=True, slots=True)
class History:
    """A lane's last attempt that delivered, and the first ones after it that did not, in order."""

    delivered_at: datetime | None = None
    address: str | None = None  # where it was delivered
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True, slots=True)
class HourCount:
    """What one client's mail came to in the hour that begins at `hour`, through one smarthost.

    Messages: `accepted`, `bytes` and `tls` in the hour in which they came, `delivered` and `failed`
    in the one in which they were finished; `failed` where one recipient at least did. `refused` are
    messages and recipients that intake did not take. TLS and refusals stand at no smarthost ("").
    """

    hour: datetime
    client: str
    smarthost: str
    accepted: int = 0
    delivered: int = 0
    failed: int = 0
    bytes: int = 0
    tls: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class ClientSeen:
    """When a client's latest message came, and whether over TLS (None: not known)."""

    last_at: datetime
    tls: bool | None = None


@dataclass(frozen=True, slots=True)
class Statistics:
    """The hours asked for, in order, and when each client was last seen, however long ago."""

    hours: tuple[HourCount, ...]
    seen: Mapping[str, ClientSeen]


@dataclass(slots=True)
class Arrivals:
    """What intake alone sees, until the next roll-up: by hour and client how many messages came
    over TLS and how much was not taken; by client when the latest came, and whether over TLS."""

    hours: dict[tuple[datetime, str], tuple[int, int]] = field(default_factory=dict)
    seen: dict[str, tuple[datetime, bool]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Search:
    """What messages to look for; None in a field means any. Texts are parts of an address, of a
    name or, for `text`, of any of sender, recipients, subject, client and Message-ID; capitals do
    not count."""

    text: str | None = None
    recipient: str | None = None
    sender: str | None = None
    client: str | None = None
    state: State | None = None


@dataclass(frozen=True, slots=True)
class FoundMessage:
    """A message as a search tells it: of its recipients the first few, those sought before others."""

    id: int
    state: State
    waiting_for: str | None
    in_doubt: bool
    received_at: datetime
    finished_at: datetime | None
    client: str
    sender: str
    recipients: tuple[str, ...]
    recipient_count: int
    subject: str | None
    bytes: int
    next_attempt_at: datetime | None
    last_reply: Reply | None


@dataclass(frozen=True, slots=True)
class Found:
    """A page of a search, the newest first. `next` is the id to go on before; None: that was all.

    A page may be short, or empty, though there is more: a search looks at so many messages a time.
    """

    messages: tuple[FoundMessage, ...]
    next: int | None
