"""What a reply means, as values: the words shared by the error knowledge and those who act on it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Scope(StrEnum):
    """What the trouble is about, hence what else it touches."""

    CONNECTION = "connection"
    """Our address, our EHLO name, the network between us and the server."""
    TLS = "tls"
    ACCOUNT = "account"
    """The login: nothing of this account will pass until somebody acts."""
    SENDER = "sender"
    """The address that this message is sent as."""
    RECIPIENT = "recipient"
    MESSAGE = "message"
    """The message's content, size or authentication."""
    QUOTA = "quota"
    """Too much, too fast or too many connections."""
    SERVICE = "service"
    """The server itself, for everybody."""
    UNKNOWN = "unknown"


OURS = frozenset({Scope.CONNECTION, Scope.TLS, Scope.ACCOUNT, Scope.QUOTA, Scope.SERVICE})
"""Trouble of ours, not of one message: it stops an account or a smarthost."""


class Retry(StrEnum):
    """Whether sending the very same message again can succeed."""

    LATER = "later"
    AFTER_CHANGE = "after-change"
    """Once somebody has changed a setting, a right or a DNS record."""
    NEVER = "never"


class Phase(StrEnum):
    """What the reply answered. DOT is the end of the message data."""

    CONNECT = "connect"
    GREETING = "greeting"
    EHLO = "ehlo"
    STARTTLS = "starttls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    DOT = "dot"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a program needs to act on a reply.

    `known` is False when only the RFC meaning of the code could be given. `scope` is then UNKNOWN
    unless the code itself is certain (530 is about the login, X.1.1 about the recipient).
    """

    cause: str
    scope: Scope
    retry: Retry
    known: bool


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a person needs: the verdict, its meaning and the steps, in one language.

    `provider` is the preset id that was asked for, or the name of the family whose wording was
    recognised. `source` is where the meaning can be read, None for common knowledge of the trade.
    """

    cause: str
    scope: Scope
    retry: Retry
    provider: str | None
    meaning: str
    steps: tuple[str, ...]
    known: bool
    source: str | None
