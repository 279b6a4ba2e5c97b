"""A message and its recipients on their way: accepted, claimed, settled."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from presets.reply import Reply
from relay.envelope import Envelope, Recipient
from relay.spool.ledger_entry import Usage

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
