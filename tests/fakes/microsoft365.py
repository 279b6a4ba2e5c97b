"""smtp.office365.com on loopback: its login, its limits on a clock of its own, its refusals.

    clock = ScaledClock(60)                             # a second is a minute
    with Microsoft365(context, clock, passwords={USERNAME: PASSWORD}) as microsoft:
        ...
        assert len(microsoft.messages) == 200
        assert microsoft.violations == []

STARTTLS comes first, then AUTH XOAUTH2 or LOGIN; who sends as another than the account is
refused after the final dot. It knows nothing of `presets` or `relay`.
"""

import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from fakes import microsoft365_words as words
from fakes.microsoft365_rules import Limits, Rules, Violation
from fakes.microsoft365_session import ExchangeSession, authors
from fakes.scaled_time import ScaledClock
from fakes.script import Behaviour
from fakes.smarthost import SessionRecord, Smarthost, Transaction
from fakes.smarthost_session import Session

__all__ = ["Limits", "LoginTry", "Message", "Microsoft365", "Violation"]


@dataclass(frozen=True, slots=True)
class LoginTry:
    """One AUTH that came to its end, at `at` seconds on the server's clock."""

    mechanism: str
    username: str
    secret: str
    """The password or the access token."""
    reply: str
    at: float

    @property
    def accepted(self) -> bool:
        return self.reply.startswith("235")


@dataclass(frozen=True, slots=True)
class Message:
    """A message that the account was allowed to send."""

    account: str
    authors: tuple[str, ...]
    """The addresses of From."""
    sender: str
    """The reverse-path."""
    recipients: tuple[str, ...]
    content: bytes
    at: float


def nobody(_token: str) -> str | None:
    """For a server to which no token is good."""
    return None


class Microsoft365(Smarthost):
    """Its records are complete for whatever the client has got a reply to.

    `passwords` may be changed at any time. `user_of` tells whose an access token is now, None for
    one that is expired, revoked or unknown.
    """

    def __init__(
        self,
        context: ssl.SSLContext,
        clock: ScaledClock | None = None,
        *,
        passwords: Mapping[str, str] | None = None,
        user_of: Callable[[str], str | None] = nobody,
        limits: Limits | None = None,
    ) -> None:
        self.passwords = {name.casefold(): word for name, word in (passwords or {}).items()}
        # Without users the scripted smarthost would let anybody send.
        super().__init__(Behaviour(tls="starttls", context=context, users=self.passwords))
        self.clock = clock or ScaledClock(1)
        self.rules = Rules(limits or Limits(), self.clock.seconds)
        self.logins: list[LoginTry] = []
        self.messages: list[Message] = []
        self.send_as: dict[str, set[str]] = {}
        """By account, the other addresses that it may send as."""
        self.refuses_passwords: str | None = None
        """The reply to any password, such as `microsoft365_words.BASIC_RETIRED`."""
        self.explains_refused_tokens = True
        """A 334 with JSON before the 535, which Microsoft's own page leaves out."""
        self.refuses_crowd_at: Literal["MAIL", "DOT"] = "DOT"
        """Where a connection beyond the third hears of it."""
        self.seconds_per_message = 0.0
        """How long it takes over a message before it replies, on its clock."""
        self.messages_per_session: int | None = None
        """After so many the connection is closed without a word."""
        self._user_of = user_of

    def new_session(self, connection: socket.socket, record: SessionRecord) -> Session:
        return ExchangeSession(self, connection, record)

    @property
    def violations(self) -> list[Violation]:
        """Each time that somebody was over a limit."""
        return [*self.rules.violations]

    @property
    def refused_logins(self) -> list[LoginTry]:
        return [each for each in self.logins if not each.accepted]

    def refusal_of_password(self, username: str, password: str) -> str | None:
        """The reply to a wrong login, None for a right one; counts both."""
        account = username.casefold()
        if self.refuses_passwords is not None:
            return self.refuses_passwords
        if self.rules.is_locked(account):
            return words.LOCKED
        right = self.passwords.get(account) == password != ""
        self.rules.logged_in(account, right)
        return None if right else words.WRONG_PASSWORD

    def refusal_of_token(self, username: str, token: str) -> str | None:
        """The reply to a token that is not this user's, None to one that is."""
        user = self._user_of(token)
        right = user is not None and user.casefold() == username.casefold()
        return None if right else words.REFUSED_TOKEN

    def may_send_as(self, account: str, address: str) -> bool:
        """Its own address, and those of `send_as`."""
        others = {each.casefold() for each in self.send_as.get(account, ())}
        return address.casefold() in {account, *others}

    def logged(self, mechanism: str, username: str, secret: str, reply: str) -> None:
        """Records a login."""
        self.logins.append(LoginTry(mechanism, username, secret, reply, self.clock.seconds()))
        self.changed()

    def took(self, account: str, transaction: Transaction) -> None:
        """Records a message."""
        self.messages.append(
            Message(
                account,
                tuple(authors(transaction.content)),
                transaction.sender.address,
                tuple(path.address for path in transaction.recipients),
                transaction.content,
                self.clock.seconds(),
            )
        )
