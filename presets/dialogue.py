"""What surrounds a reply in logs and dialogues: times, levels, arrows, and the command it answers."""

from __future__ import annotations

import re
from dataclasses import dataclass

from presets.verdict import Phase

_QUOTE = re.compile(r"(?:[ \t]*[>|](?!>* ?(?:EHLO|HELO|MAIL|RCPT|AUTH|QUIT)\b))+[ \t]?")
_STAMP = re.compile(
    r"[\[(]?(?:[A-Z][a-z]{1,2},? )?"
    r"(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}|[A-Z][a-z]{2} {1,2}\d{1,2})?"
    r"[T ,]{0,2}\d{1,2}:\d{2}(?::\d{2})?(?:[.,]\d{1,9})?(?:Z| ?[+-]\d\d:?\d\d| ?[AP]M)?[\])]?"
    r"(?:[:,]|\s|$)\s*"
)
_SYSLOG = re.compile(r"\S{1,80} [\w./-]{1,80}\[\d{1,10}\]: ")
_LEVEL = re.compile(
    r"(?:\[\w+\]|(?:ERROR|ERR|WARN(?:ING)?|INFO|DEBUG|TRACE|FATAL|FOUT|WAARSCHUWING)\b)[\s:|-]+"
)
_SERVER = re.compile(
    r"(?:<\*\*|<[-~]|<{1,3}(?= )|S:(?= )|Server:(?= \d)|SERVER -> CLIENT:|repl(?:y|ies):|RX:?)\s*",
    re.IGNORECASE,
)
_CLIENT = re.compile(
    r"(?:\*\*>|[-~]>|>{1,3}(?= (?![2-5]\d\d\b))|C:(?= )|Client:(?= )|CLIENT -> SERVER:|send:|TX:?)\s*",
    re.IGNORECASE,
)
_NOTE = re.compile(r"(?:\*{3}|={3}|\*(?= (?!OK)))\s+")
_LITERAL = re.compile(r"b?['\"]+")

_COMMANDS = {
    "EHLO": Phase.EHLO,
    "HELO": Phase.EHLO,
    "STARTTLS": Phase.STARTTLS,
    "AUTH": Phase.AUTH,
    "MAIL": Phase.MAIL,
    "RCPT": Phase.RCPT,
    "DATA": Phase.DATA,
    "QUIT": Phase.DOT,
    ".": Phase.DOT,
}
_COMMAND = re.compile(
    r"(?:(EHLO|HELO) \S+|(STARTTLS|DATA|QUIT|\.)|(AUTH) [A-Z0-9-]+(?: \S*)?"
    r"|(MAIL) FROM: ?<?\S*.*|(RCPT) TO: ?<?\S+.*)[\"']?",
    re.IGNORECASE,
)

_WORDS = {
    "end of data": Phase.DOT,
    "data end": Phase.DOT,
    "password": Phase.AUTH,
    "username": Phase.AUTH,
    "authentication": Phase.AUTH,
    "smtpauthenticationerror": Phase.AUTH,
    "authenticationfailedexception": Phase.AUTH,
    "smtpsenderrefused": Phase.MAIL,
    "smtpsenderfailedexception": Phase.MAIL,
    "envelope from address": Phase.MAIL,
    "smtprecipientsrefused": Phase.RCPT,
    "smtpaddressfailedexception": Phase.RCPT,
    "recipient address": Phase.RCPT,
    "smtpdataerror": Phase.DOT,
    "did not accept the mail": Phase.DOT,
    "smtpheloerror": Phase.EHLO,
    "smtpconnecterror": Phase.GREETING,
}
_TOLD = re.compile(
    r"(?:in reply to|in response to|after|during|pipelined) (?:the |sending )?"
    r"(end of data|MAIL|RCPT|DATA|AUTH|EHLO|HELO|STARTTLS)\b"
    r"|\b(data end|MAIL|RCPT|DATA|AUTH|EHLO|HELO|STARTTLS|password|username)"
    r"(?: FROM| TO| [A-Z0-9-]{5,10})? command failed"
    r"|\b(SMTPAuthenticationError|SMTPSenderRefused|SMTPRecipientsRefused|SMTPDataError"
    r"|SMTPHeloError|SMTPConnectError|SMTPAddressFailedException|SMTPSenderFailedException"
    r"|AuthenticationFailedException)\b"
    r"|msmtp: (authentication|recipient address|envelope from address|the server )"
    r"|\b(did not accept the mail)\b"
    r"|\bphase['\"]?[=:] ?['\"]?(connect|greeting|ehlo|starttls|auth|mail|rcpt|data|dot)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Line:
    """A line without its surroundings."""

    text: str
    fresh: bool
    """It had a time or an arrow before it, so it does not continue the line above."""
    from_client: bool
    indented: bool


def undecorated(raw: str) -> Line:
    """The line as the server or the program wrote it."""
    text = raw[:2000]
    if quote := _QUOTE.match(text):
        text = text[quote.end() :]
    indented = text[:1] in (" ", "\t")
    text = text.strip()
    fresh = False
    if stamp := _STAMP.match(text):
        text, fresh = text[stamp.end() :], True
        if syslog := _SYSLOG.match(text):
            text = text[syslog.end() :]
    for mark in (_LEVEL, _CLIENT, _SERVER, _NOTE):
        if found := mark.match(text):
            text, fresh = text[found.end() :], True
            if mark is _CLIENT:
                return Line(_without_quotes(text), True, True, indented)
    return Line(_without_quotes(text), fresh, False, indented)


def phase_of_command(text: str) -> Phase | None:
    """What the replies after this line answer, where it is a command of a client."""
    found = _COMMAND.fullmatch(text)
    return _COMMANDS[found[found.lastindex or 0].upper()] if found else None


def phase_told(text: str) -> Phase | None:
    """What a text says that its reply answered: "in reply to RCPT TO", "Password command failed"."""
    found = _TOLD.search(text)
    if found is None or found.lastindex is None:
        return None
    word = found[found.lastindex].lower()
    if found.lastindex == 6:  # the relay's own names
        return Phase(word)
    return _WORDS.get(word) or _COMMANDS.get(word.upper())


def _without_quotes(text: str) -> str:
    if quote := _LITERAL.match(text):
        text = text[quote.end() :]
    return text.strip()
