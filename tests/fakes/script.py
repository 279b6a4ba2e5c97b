"""The behaviour table of the scripted smarthost: what it answers to which command.

A table maps a verb to an answer. Beside SMTP's own verbs there are four moments:
"CONNECT" (answered by the greeting), "TLS" (the handshake is about to begin), "BODY" (the
message's bytes begin to arrive) and "DOT" (the message has arrived). A reply that an action gives
at TLS or BODY is one that nobody asked for. An answer is

- None: the ordinary reply;
- text: this reply, lines separated by LF, as in "550 5.1.1 no such mailbox";
- an `Action`: a reply with misbehaviour;
- a function of the `Command`, returning one of these.
"""

import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Command:
    """One command as it arrived, or one of the moments CONNECT, TLS, BODY and DOT."""

    verb: str
    """In upper case."""
    argument: str
    """What follows the verb, as in "FROM:<a@example.com> SIZE=12"."""
    session: int
    """Which connection this is, from 1."""
    nth: int
    """The how-many-th of its verb over all connections, from 1."""
    nth_in_session: int


@dataclass(frozen=True, slots=True)
class Action:
    """A reply with misbehaviour. What happens, in order: wait, drop or reply, drop."""

    reply: str | bytes | None = None
    """Text as in the table; bytes go out untouched, two replies in one segment for instance;
    None is the ordinary reply."""
    wait_for: threading.Event | None = None
    """Stalls until the event is set; the server's `stop` ends it too."""
    drop: Literal["never", "before", "after"] = "never"
    """Closes the connection instead of replying, or after the reply."""
    reset: bool = False
    """Closes by RST instead of FIN."""
    byte_by_byte: bool = False
    """Sends the reply in segments of one byte."""
    after_bytes: int = 0
    """With BODY: acts after this many bytes of the message have been read."""


Answer = str | Action | None
Script = Mapping[str, Answer | Callable[[Command], Answer]]


def nth_time(answers: Mapping[int, Answer]) -> Callable[[Command], Answer]:
    """Answers by how often the verb came so far, over all connections, from 1."""
    return lambda command: answers.get(command.nth)


def when(answers: Mapping[str, Answer]) -> Callable[[Command], Answer]:
    """The answer of the first key that the command's argument contains."""

    def choose(command: Command) -> Answer:
        found = (answer for part, answer in answers.items() if part in command.argument)
        return next(found, None)

    return choose


@dataclass(slots=True)
class Behaviour:
    """How a scripted smarthost behaves. It may be changed between connections."""

    script: Script = field(default_factory=dict)
    capabilities: tuple[str, ...] = (
        *("PIPELINING", "SIZE 52428800", "8BITMIME", "ENHANCEDSTATUSCODES"),
        *("DSN", "SMTPUTF8", "CHUNKING"),
    )
    """The EHLO keywords beside STARTTLS and AUTH, which follow from the other settings."""
    tls: Literal["none", "starttls", "implicit"] = "none"
    context: ssl.SSLContext | None = None
    """The server's side of TLS, needed unless `tls` is "none"."""
    users: Mapping[str, str] = field(default_factory=dict)
    """Passwords by user name. With any, AUTH is offered and demanded before MAIL."""
    mechanisms: tuple[str, ...] = ("PLAIN", "LOGIN")
    token_challenge: str | None = (
        '{"status":"400","schemes":"Bearer","scope":"https://mail.google.com/"}'
    )
    """With XOAUTH2, what a refused token gets in base64 before the reply; None: the reply alone.
    `users` then holds access tokens by user name, or `user_of` tells whose a token is."""
    user_of: Callable[[str], str | None] | None = None
    login_without_tls: bool = False
    """Offers AUTH before TLS too."""
    login_required: bool = True
    """With users: MAIL before a login gets 530."""
