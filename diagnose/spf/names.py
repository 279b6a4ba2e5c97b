"""Domain names as SPF sees them: which can be asked for, and their ASCII form."""

from __future__ import annotations

import re

_MOST_LABEL_OCTETS = 63
_MOST_NAME_OCTETS = 253
_TOP_LABEL = re.compile(r"(?=.*[a-z-])[a-z0-9](?:[a-z0-9-]*[a-z0-9])?", re.IGNORECASE)
_MAIL_DOMAIN = re.compile(r"[a-z0-9._-]+", re.IGNORECASE)
_DOTS = str.maketrans({"\u3002": ".", "\uff0e": ".", "\uff61": "."})  # RFC 3490 section 3.1


def ascii_name(name: str) -> str:
    """`name` without its last dot, labels beyond ASCII as A-labels (RFC 8616 section 4).

    What has no A-label stays as it is: `is_askable` then says no.
    """
    name = name.strip().translate(_DOTS).removesuffix(".")
    if name.isascii():
        return name
    try:
        return name.encode("idna").decode("ascii")
    except UnicodeError:
        return name


def is_askable(name: str) -> bool:
    """Whether a query can be made of `name` (RFC 1035 section 2.3.4)."""
    if not name.isascii() or len(name) > _MOST_NAME_OCTETS:
        return False
    return all(0 < len(label) <= _MOST_LABEL_OCTETS for label in name.split("."))


def is_domain(name: str) -> bool:
    """Whether `name` is a domain name of several labels (RFC 7208 section 4.3)."""
    return (
        is_askable(name)
        and "." in name
        and _TOP_LABEL.fullmatch(name.rpartition(".")[2]) is not None
    )


def is_mail_domain(name: str) -> bool:
    """Whether `name` can stand behind the @ of an address: what a person may ask about."""
    return is_domain(name) and _MAIL_DOMAIN.fullmatch(name) is not None


def same_or_below(name: str, domain: str) -> bool:
    """Whether `name` is `domain` or a subdomain of it."""
    name, domain = (each.lower().removesuffix(".") for each in (name, domain))
    return name == domain or name.endswith("." + domain)
