"""What to look for among all messages, finished ones too, and what was found."""

from dataclasses import dataclass
from datetime import datetime

from presets.reply import Reply
from relay.spool.model import State


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
