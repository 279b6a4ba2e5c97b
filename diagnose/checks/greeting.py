"""What greets at the other end: a mail server that takes mail, or something else."""

from __future__ import annotations

import re
from typing import Literal

from diagnose.network import Heard

Service = Literal["smtp", "pop3", "imap", "http", "ssh", "ftp", "other"]

READING_PORTS = {110: "POP3", 995: "POP3", 143: "IMAP", 993: "IMAP"}
"""Where mail is read, which people mistake for where it is sent."""

IMPLICIT_PORTS = frozenset({465, 993, 995})
"""Ports that speak TLS from the first byte (RFC 8314 section 3)."""

_STARTS: tuple[tuple[str, Service], ...] = (
    ("+OK", "pop3"),
    ("-ERR", "pop3"),
    ("* OK", "imap"),
    ("* PREAUTH", "imap"),
    ("* BYE", "imap"),
    ("HTTP/", "http"),
    ("<", "http"),
    ("SSH-", "ssh"),
)


def service(heard: Heard) -> Service:
    """The service that a greeting belongs to (RFC 1939, RFC 3501, RFC 959, RFC 4253)."""
    text = heard.text
    if heard.code == 0:
        return next((kind for start, kind in _STARTS if text.upper().startswith(start)), "other")
    if "FTP" in text.upper() and "SMTP" not in text.upper():
        return "ftp"
    return "smtp"


def greeted_name(heard: Heard) -> str | None:
    """The host name with which the server greets (RFC 5321 section 4.2), if it is one."""
    first = heard.lines[0].split(" ", 1)[0] if heard.lines else ""
    name = first.rstrip(".").lower()
    found = re.fullmatch(r"(?:[a-z0-9_-]{1,63}\.)+[a-z][a-z0-9-]{0,62}", name)
    return name if found else None


def same_owner(one: str, other: str) -> bool:
    """Whether two host names end alike: `mx1.example.nl` and `smtp.example.nl`."""
    return one.rsplit(".", 2)[-2:] == other.rsplit(".", 2)[-2:]
