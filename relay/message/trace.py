"""The Received field: what this relay adds, and how many others a message carries.

RFC 5321 section 4.4; the protocol names are those of RFC 3848 and RFC 6531 section 4.3.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
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
        at: when DATA ended.
    """

    helo: str
    client_address: str
    hostname: str
    protocol: str
    message_id: str
    at: datetime


def received(arrival: Arrival) -> bytes:
    """The Received field of ``arrival``: printable ASCII, folded under 78 octets, CRLF."""
    literal = _literal(arrival.client_address)
    helo = _NOT_A_NAME.sub("?", arrival.helo[:_MAX_HELO_CHARS]) or literal
    value = (
        f"from {helo} ({literal}) by {_NOT_A_NAME.sub('?', arrival.hostname)}"
        f" with {arrival.protocol} id {_NOT_AN_ID.sub('?', arrival.message_id)};"
        f" {format_datetime(arrival.at)}"
    )
    return headers.build(b"Received", value.encode("ascii"))


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
    ours = re.compile(
        rb"(?:^|[ \t])by[ \t]+" + re.escape(hostname.encode()) + rb"(?![A-Za-z0-9.-])",
        re.IGNORECASE,
    )
    return sum(ours.search(field.value) is not None for field in headers.named(header, b"Received"))


def _literal(address: str) -> str:
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return "[" + _NOT_A_NAME.sub("?", address[:_MAX_HELO_CHARS]).strip("[]") + "]"
    if isinstance(found, IPv6Address):
        return f"[{found.ipv4_mapped}]" if found.ipv4_mapped else f"[IPv6:{found}]"
    return f"[{found}]"
