"""The Received field: what this relay adds, and how many others a message carries.

RFC 5321 section 4.4; the protocol names are those of RFC 3848 and RFC 6531 section 4.3.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache
from ipaddress import IPv6Address, ip_address

from relay.message import headers

_MAX_HELO_CHARS = 64
_NOT_A_NAME = re.compile(r"[^A-Za-z0-9.:_\[\]-]")
_NOT_AN_ID = re.compile(r"[^A-Za-z0-9._-]")


@dataclass(frozen=True, slots=True)
class Arrival:
    """How a message came in.

    Attributes:
        helo: the name after HELO or EHLO, whatever it is; empty when there was none.
        client_address: the IP address it came from.
        hostname: of this relay.
        protocol: see `protocol_name`.
        message_id: the id in the spool.
        at: when its header had come.
    """

    helo: str
    client_address: str
    hostname: str
    protocol: str
    message_id: str
    at: datetime


def received(arrival: Arrival) -> bytes:
    """The Received field of ``arrival``: printable ASCII, folded under 78 octets, CRLF."""
    helo = arrival.helo[:_MAX_HELO_CHARS]
    value = (
        f"{_from_by(helo, arrival.client_address, arrival.hostname)}"
        f" with {arrival.protocol} id {_NOT_AN_ID.sub('?', arrival.message_id)};"
        f" {date_text(arrival.at.replace(microsecond=0))}"
    )
    return headers.build(b"Received", value.encode("ascii"))


@lru_cache(maxsize=2)
def date_text(at: datetime) -> str:
    """A moment as Date and Received fields write it (RFC 5322 section 3.3)."""
    return format_datetime(at)


def protocol_name(*, extended: bool, tls: bool, login: bool, smtputf8: bool) -> str:
    """SMTP after HELO, ESMTP after EHLO, with S for TLS and A for a login; UTF8SMTP likewise."""
    if not extended:
        return "SMTP"
    return ("UTF8SMTP" if smtputf8 else "ESMTP") + "S" * tls + "A" * login


def hops(header: bytes) -> int:
    """How many Received fields the message carries, the measure of RFC 5321 section 6.3."""
    return len(headers.named(header, b"Received"))


def own_hops(header: bytes, hostname: str) -> int:
    """How many of them say that this relay received it, the sign of a loop."""
    traces = headers.named(header, b"Received")
    if not traces:
        return 0
    ours = re.compile(
        rb"(?:^|[ \t])by[ \t]+" + re.escape(hostname.encode()) + rb"(?![A-Za-z0-9.-])",
        re.IGNORECASE,
    )
    return sum(ours.search(field.value) is not None for field in traces)


@lru_cache(maxsize=256)  # a client says the same each time
def _from_by(helo: str, client_address: str, hostname: str) -> str:
    literal = _literal(client_address)
    name = _NOT_A_NAME.sub("?", helo) or literal
    return f"from {name} ({literal}) by {_NOT_A_NAME.sub('?', hostname)}"


def _literal(address: str) -> str:
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return "[" + _NOT_A_NAME.sub("?", address[:_MAX_HELO_CHARS]).strip("[]") + "]"
    if isinstance(found, IPv6Address):
        return f"[{found.ipv4_mapped}]" if found.ipv4_mapped else f"[IPv6:{found}]"
    return f"[{found}]"
