"""One term of an SPF record (RFC 7208 section 12), a mechanism or a modifier."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from diagnose.spf.macro import MacroError, MacroString, parse_domain_spec, parse_macro_string

Network = IPv4Network | IPv6Network

_MODIFIER = re.compile(r"([A-Za-z][A-Za-z0-9_.-]*)=(.*)", re.DOTALL)
_MECHANISM = re.compile(r"([-+~?]?)([A-Za-z0-9]*)(.*)", re.DOTALL)
_LENGTHS = re.compile(r"(.*?)(?:/([0-9]+))?(?://([0-9]+))?", re.DOTALL)


class Fault(StrEnum):
    """What is wrong with a term."""

    VERSION = "version"  # the text is no SPF record
    CHARACTER = "character"  # not ASCII, or a control character
    UNKNOWN_TERM = "unknown-term"
    ARGUMENT_MISSING = "argument-missing"
    ARGUMENT_EXTRA = "argument-extra"
    DOMAIN = "domain"
    MACRO = "macro"
    ADDRESS = "address"
    LENGTH = "length"  # a prefix length
    TWICE = "twice"  # redirect= or exp= a second time


class RecordError(ValueError):
    """A record that breaks the grammar: permerror (section 4.6).

    `term` is the wrong term, `position` the character of the record where the fault lies.
    """

    def __init__(self, fault: Fault, term: str, position: int) -> None:
        super().__init__(f"{fault} in {term!r} at {position}")
        self.fault = fault
        self.term = term
        self.position = position


class Qualifier(StrEnum):
    PASS = "+"
    FAIL = "-"
    SOFTFAIL = "~"
    NEUTRAL = "?"


class Kind(StrEnum):
    """The mechanisms of section 5."""

    ALL = "all"
    INCLUDE = "include"
    A = "a"
    MX = "mx"
    PTR = "ptr"
    IP4 = "ip4"
    IP6 = "ip6"
    EXISTS = "exists"


@dataclass(frozen=True, slots=True)
class Mechanism:
    """A mechanism. `text` is as the owner wrote it, at character `position` of the record.

    `domain` is None where the record's own domain is meant; `network` is set for ip4 and ip6;
    the prefix lengths are those of a and mx.
    """

    kind: Kind
    qualifier: Qualifier
    text: str
    position: int
    domain: MacroString | None = None
    network: Network | None = None
    prefix4: int = 32
    prefix6: int = 128

    @property
    def argument(self) -> str:
        """What stands behind the colon, prefix lengths left out."""
        found = _LENGTHS.fullmatch(self.text.partition(":")[2])
        return found[1] if found else ""


@dataclass(frozen=True, slots=True)
class Modifier:
    """A modifier. `name` is in lower case; redirect and exp hold a domain."""

    name: str
    value: MacroString
    text: str
    position: int


Term = Mechanism | Modifier


def parse_term(text: str, position: int = 0) -> Term:
    """One term that stands at character `position` of its record. Raises RecordError."""
    for offset, character in enumerate(text):
        if not "!" <= character <= "~":
            raise RecordError(Fault.CHARACTER, text, position + offset)
    modifier = _MODIFIER.fullmatch(text)
    try:
        if modifier is not None:
            return _modifier(modifier[1].lower(), modifier[2], text, position)
        return _mechanism(text, position)
    except _Wrong as wrong:
        raise RecordError(wrong.fault, text, position + wrong.offset) from None


class _Wrong(Exception):
    """A fault at a place inside a term."""

    def __init__(self, fault: Fault, offset: int) -> None:
        self.fault = fault
        self.offset = offset


def _modifier(name: str, value: str, text: str, position: int) -> Modifier:
    offset = len(text) - len(value)
    if name in ("redirect", "exp"):
        return Modifier(name, _domain(value, offset), text, position)
    try:
        return Modifier(name, parse_macro_string(value), text, position)
    except MacroError as error:
        raise _Wrong(Fault.MACRO, offset + error.position) from None


def _mechanism(text: str, position: int) -> Mechanism:
    found = _MECHANISM.fullmatch(text)
    assert found is not None  # the last group takes anything
    try:
        kind = Kind(found[2].lower())
    except ValueError:
        raise _Wrong(Fault.UNKNOWN_TERM, 0) from None
    rest, offset = found[3], found.start(3)
    if rest and rest[0] not in ":/":
        raise _Wrong(Fault.UNKNOWN_TERM, offset)
    made = Mechanism(kind, Qualifier(found[1] or "+"), text, position)
    match kind:
        case Kind.ALL:
            if rest:
                raise _Wrong(Fault.ARGUMENT_EXTRA, offset)
            return made
        case Kind.IP4 | Kind.IP6:
            return replace(made, network=_network(kind, _argument(rest, offset), offset + 1))
        case Kind.INCLUDE | Kind.EXISTS:
            return replace(made, domain=_domain(_argument(rest, offset), offset + 1))
        case Kind.PTR:
            domain = _domain(_argument(rest, offset), offset + 1) if rest else None
            return replace(made, domain=domain)
        case Kind.A | Kind.MX:
            return _with_lengths(made, rest, offset)


def _argument(rest: str, offset: int) -> str:
    if not rest.startswith(":"):
        raise _Wrong(Fault.ARGUMENT_EXTRA if rest else Fault.ARGUMENT_MISSING, offset)
    return rest[1:]


def _with_lengths(made: Mechanism, rest: str, offset: int) -> Mechanism:
    found = _LENGTHS.fullmatch(rest)
    assert found is not None  # the first group takes anything
    target, length4, length6 = found.groups()
    if target == ":" or (target and not target.startswith(":")):
        raise _Wrong(Fault.DOMAIN if target == ":" else Fault.LENGTH, offset)
    return replace(
        made,
        domain=_domain(target[1:], offset + 1) if target else None,
        prefix4=_length(length4, 32, offset + found.start(2)),
        prefix6=_length(length6, 128, offset + found.start(3)),
    )


def _length(digits: str | None, most: int, offset: int) -> int:
    if digits is None:
        return most
    # A leading zero is no ip4-cidr-length; four digits are too many for int() to be asked.
    if len(digits) > 3 or (digits[0] == "0" and digits != "0") or int(digits) > most:
        raise _Wrong(Fault.LENGTH, offset)
    return int(digits)


def _network(kind: Kind, text: str, offset: int) -> Network:
    address, slash, digits = text.partition("/")
    most = 32 if kind is Kind.IP4 else 128
    if slash and not re.fullmatch("[0-9]+", digits):
        raise _Wrong(Fault.LENGTH, offset + len(address))
    length = _length(digits if slash else None, most, offset + len(address) + 1)
    try:
        if kind is Kind.IP4:
            return IPv4Network((IPv4Address(address), length), strict=False)
        if "%" in address:  # a zone index is Python's notation, not SPF's
            raise ValueError
        return IPv6Network((IPv6Address(address), length), strict=False)
    except ValueError:
        fault = Fault.ADDRESS if address else Fault.ARGUMENT_MISSING
        raise _Wrong(fault, offset) from None


def _domain(text: str, offset: int) -> MacroString:
    try:
        return parse_domain_spec(text)
    except MacroError as error:
        fault = Fault.MACRO if error.position < len(text) else Fault.DOMAIN
        raise _Wrong(fault, offset + error.position) from None
