"""Documents about messages."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from relay.web.shapes.base import (
    Answer,
    Explanation,
    Id,
    Named,
    Open,
    Reply,
    Shape,
    State,
    Texts,
    Time,
)


class Recipient(Shape):
    address: str
    state: State
    origin: str
    reply: Reply | None


class ShownRecipient(Recipient):
    smarthost: str | None
    held_for: str | None


class MessageBase(Shape):
    id: Id
    state: State
    waiting_for: str | None
    in_doubt: bool
    leased: bool
    received_at: Time
    client: str
    sender: str
    bytes: int
    next_attempt_at: Time | None


class QueuedMessage(MessageBase):
    recipients: list[Recipient]


class QueueList(Answer):
    total: int
    messages: list[QueuedMessage]


class QueueIds(Named):
    ids: list[Id]


class Attempt(Shape):
    at: Time
    seconds: float | None
    smarthost: str
    address: str | None
    phase: str | None
    recipients: list[str]
    reply: Reply | None
    outcome: str | None
    in_doubt: bool
    explanation: Explanation | None


class Repair(Shape):
    repair: str
    detail: str


class Leaving(Shape):
    """As whom a message leaves through one smarthost."""

    smarthost: str
    sender: str
    rewritten: bool
    changes: list[str]
    policy: str
    policy_place: str
    rule: str | None


class QueueShow(Named, MessageBase):
    recipients: list[ShownRecipient]
    client_address: str
    message_id: str | None
    subject: str | None
    attempts: list[Attempt]
    repairs: list[Repair]
    cures: list[Open]
    leaves: list[Leaving]


class QueueUnknown(Named):
    unknown: list[str]


class QueueAct(Named):
    changed: list[Id]
    unchanged: list[Id]
    unknown: list[str]
    refused: list[Id]


class QueueCure(Named):
    id: Id
    reason: str | None
    released: list[Id]
    cures: list[Open]
    rules: list[Open]


class SenderList(Named):
    rules: list[Open]


class SenderRemove(Named):
    sender: str
    removed: list[Open]


class Captured(Shape):
    id: Id
    received_at: Time
    client: str
    sender: str
    recipients: list[str]
    recipients_count: int
    size: int


class ListedCaptured(Captured):
    subject: str | None


class Inbox(Named):
    messages: list[ListedCaptured]


class Attachment(Shape):
    index: int
    filename: str | None
    type: str
    size: int


class InboxShow(Named, Captured):
    headers: list[Annotated[list[str], Field(min_length=2, max_length=2)]]
    text: str | None
    has_html: bool
    attachments: list[Attachment]
    problem: Texts | None


class FoundMessage(Shape):
    id: Id
    received_at: Time
    finished_at: Time | None
    client: str
    sender: str
    recipients: list[str]
    recipients_count: int
    subject: str | None
    size: int
    state: State
    waiting_for: str | None
    in_doubt: bool
    next_attempt_at: Time | None
    last_reply: Reply | None


class Messages(Named):
    messages: list[FoundMessage]
    next: Id | None


class TestMessage(Named):
    model_config = ConfigDict(extra="allow", strict=True)

    id: Id
    to: str
