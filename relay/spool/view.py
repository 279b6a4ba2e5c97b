"""A message as commands and pages see it, and what their actions came to."""

from dataclasses import dataclass
from datetime import datetime

from presets.reply import Reply
from relay.spool.model import HeldFor, Outcome, State


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
