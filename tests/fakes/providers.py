"""Microsoft 365, Gmail, Ziggo and KPN on loopback, as their transcripts say that they talk.

A transcript (`transcripts/<name>.toml`) holds the ordinary replies of a submission server with
STARTTLS and a login, and its refusals by name, each with the moment at which it comes:

    with Provider("gmail", authority.issue().server_context(), "app-password") as gmail:
        ...     # takes the login of USERNAME and any mail

They know nothing of `presets`: what is explained of their replies is explained from the words.
"""

import base64
import contextlib
import ssl
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from fakes.script import Action, Answer, Behaviour, Command
from fakes.smarthost import SessionRecord, Smarthost

PROVIDERS = ("gmail", "kpn", "microsoft365", "ziggo")
USERNAME = "bakker@mijnbakkerij.example"
PASSWORD = "CANARY-zuurdesem-42"

_TRANSCRIPTS = Path(__file__).parent / "transcripts"


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a provider says at `at`: CONNECT, EHLO, AUTH, MAIL, RCPT or DOT."""

    at: str
    reply: str

    @property
    def hangs_up(self) -> bool:
        """After 421, and after any refusal instead of a greeting, the server closes."""
        return self.at == "CONNECT" or self.reply.startswith("421")


def transcript(provider: str) -> dict[str, Any]:
    """The transcript as it stands in its file."""
    return _read(provider)


def refusals(provider: str) -> dict[str, Refusal]:
    """The refusals of a provider, by name; the wrong login and the missing one among them."""
    found = transcript(provider)
    named = {
        name: Refusal(one["at"], one["reply"].strip()) for name, one in found["refusals"].items()
    }
    return {
        "wrong-login": Refusal("AUTH", found["wrong_login"]),
        "anonymous": Refusal("MAIL", found["anonymous"]),
        **named,
    }


class Provider(Smarthost):
    """A provider that knows one account, and refuses as told by `refusal`, a name or None."""

    def __init__(self, name: str, context: ssl.SSLContext, refusal: str | None = None) -> None:
        self._words = transcript(name)
        self._refusal = refusals(name)[refusal] if refusal else None
        moments = ("CONNECT", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "DOT")
        super().__init__(
            Behaviour(
                script=dict.fromkeys(moments, self._answer),
                tls="starttls",
                context=context,
                users={USERNAME: PASSWORD},
                mechanisms=_mechanisms(self._words),
            )
        )

    def _answer(self, command: Command) -> Answer:
        refusal = self._refusal
        if refusal is not None and refusal.at == command.verb:
            return Action(_wire(refusal.reply), drop="after" if refusal.hangs_up else "never")
        words = self._ordinary(command, self.sessions[command.session - 1])
        return None if words is None else _wire(words)

    def _ordinary(self, command: Command, session: SessionRecord) -> str | None:
        """The provider's own words; None where the command comes out of order."""
        logged_in = any(login.accepted for login in session.logins)
        match command.verb:
            case "CONNECT":
                return str(self._words["greeting"])
            case "EHLO":
                offered = self._words["after_tls" if session.tls else "before_tls"]
                return "\n".join(f"250 {line}" for line in (self._words["hostname"], *offered))
            case "AUTH" if command.argument.split()[0].upper() not in self.behaviour.mechanisms:
                return None
            case "AUTH":
                return str(self._words["logged_in" if _is_right(session) else "wrong_login"])
            case "MAIL":
                return str(self._words["sender" if logged_in else "anonymous"])
            case "RCPT" if not logged_in:
                return None
            case "RCPT":
                return str(self._words["recipient"])
            case "DATA" if not logged_in:
                return None
            case "DOT":
                return str(self._words["accepted"])
            case verb:
                return str(self._words[verb.lower()])


@cache
def _read(provider: str) -> dict[str, Any]:
    return tomllib.loads((_TRANSCRIPTS / f"{provider}.toml").read_text("utf-8"))


def _mechanisms(found: dict[str, Any]) -> tuple[str, ...]:
    offered = next(line for line in found["after_tls"] if line.startswith("AUTH "))
    return tuple(offered.split()[1:])


def _is_right(session: SessionRecord) -> bool:
    """The last two lines hold the login, in PLAIN's form or in LOGIN's."""
    said: list[str] = []
    for line in bytes(session.received).split(b"\r\n")[-3:]:
        with contextlib.suppress(ValueError):
            token = line.rpartition(b" ")[2]
            said += base64.b64decode(token, validate=True).decode().split("\0")
    return {USERNAME, PASSWORD} <= set(said)


def _wire(reply: str) -> str:
    """The reply with a hyphen behind the code of every line but the last (RFC 5321 section 4.2)."""
    lines = reply.splitlines()
    code = reply[:3]
    texts = [line[4:] if line.startswith(code) else line for line in lines]
    return "\n".join([*(f"{code}-{text}" for text in texts[:-1]), f"{code} {texts[-1]}"])
