"""The DOMAIN and ADDRESS that a command is given: checked, and as DNS knows them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address

from diagnose.finding import Finding, Severity
from diagnose.runner import Circumstances
from diagnose.spf.lookup import LookupFailed, lookup
from diagnose.spf.names import ascii_name, is_domain
from diagnose.wording import Language, finding, say

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?")
# What an unquoted local part has (RFC 5321 section 4.1.2), and characters beyond ASCII (RFC 6531).
_LOCAL_PART = re.compile(r"[^\s\x00-\x20\x7f<>()\[\],;:\\\"@]{1,64}")


class BadName(ValueError):
    """What was typed is no domain or address; its text says what to type instead."""


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain in A-labels and lower case. `notes` says how it differs from what was typed."""

    name: str
    notes: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Address:
    """A mail address; its domain in A-labels and lower case."""

    local_part: str
    domain: str

    def __str__(self) -> str:
        return f"{self.local_part}@{self.domain}"


def parse_domain(text: str, language: Language) -> Domain:
    """The domain in `text`; of an address its domain, with a note. Raises BadName."""
    typed = text.strip()
    if "@" in typed:
        address = parse_address(typed, language)
        note = finding(
            "domain/address-given", Severity.INFO, language, address=typed, domain=address.domain
        )
        return Domain(address.domain, (note,))
    return Domain(_checked(typed, language))


def parse_address(text: str, language: Language) -> Address:
    """The mail address in `text`, with or without angle brackets. Raises BadName."""
    typed = text.strip().removeprefix("<").removesuffix(">")
    local_part, at, domain = typed.rpartition("@")
    if not at or not _LOCAL_PART.fullmatch(local_part):
        raise BadName(say("domain/bad-address", language, text=text))
    return Address(local_part, _checked(domain, language))


def checked_ip(text: str, language: Language) -> str:
    """An IPv4 or IPv6 address as typed. Raises BadName."""
    try:
        ip_address(text)
    except ValueError:
        raise BadName(say("domain/bad-ip", language, text=text)) from None
    return text


def parse_selector(text: str, language: Language) -> str:
    """A DKIM selector (RFC 6376 section 3.1), in lower case. Raises BadName."""
    selector = text.strip().lower()
    if not 0 < len(selector) <= 128 or not all(map(_LABEL.fullmatch, selector.split("."))):
        raise BadName(say("domain/bad-selector", language, text=text))
    return selector


async def existence(domain: str, circumstances: Circumstances) -> Finding | None:
    """Why nothing can be said of `domain`: it does not exist, or DNS fails; None when it exists."""
    try:
        if await lookup(circumstances.resolver(), domain, "SOA") is not None:
            return None
    except LookupFailed as failure:
        return dns_failed(failure, circumstances.language)
    return finding("domain/not-found", Severity.ERROR, circumstances.language, domain=domain)


def dns_failed(failure: LookupFailed, language: Language) -> Finding:
    """A question without a usable answer, as what could not be checked."""
    return finding(
        "common/dns-failed", Severity.UNKNOWN, language, name=failure.name, error=failure.reason
    )


def _checked(typed: str, language: Language) -> str:
    """`typed` as a domain name in A-labels. Raises BadName."""
    try:
        ip_address(typed.strip("[]"))
    except ValueError:
        pass
    else:
        raise BadName(say("domain/ip-given", language, text=typed))
    name = ascii_name(typed).lower()
    if not is_domain(name) or not all(map(_LABEL.fullmatch, name.split("."))):
        raise BadName(say("domain/bad-domain", language, text=typed))
    return name
