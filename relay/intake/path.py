"""What follows MAIL and RCPT on the command line: path and parameters (RFC 5321, RFC 6531).

A grammar of our own, because the email package decodes RFC 2047 words inside an address, which
turns harmless text into CR LF or into another domain. Here an address is taken literally or
refused. No input raises.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, cast

from relay.intake.mailbox import cut_path, is_mailbox, without_source_route
from relay.message import xtext


class RefusalSlug(StrEnum):
    """Why a MAIL or RCPT is refused; the key under which its text is found."""

    SENDER_SYNTAX = "sender-syntax"
    RECIPIENT_SYNTAX = "recipient-syntax"
    UNKNOWN_PARAMETER = "unknown-parameter"
    PARAMETER_VALUE = "parameter-value"
    UTF8_ADDRESS = "utf8-address"


@dataclass(frozen=True, slots=True)
class Refusal:
    """The reply that the command gets, without its text.

    ``detail`` is the parameter's keyword where there is one: printable ASCII, at most 40 long.
    """

    code: int
    enhanced: str
    slug: RefusalSlug
    detail: str = ""


@dataclass(frozen=True, slots=True)
class MailCommand:
    """An accepted MAIL. ``size`` is in octets; ``envid`` and ``auth`` keep their xtext."""

    reverse_path: str | None
    size: int | None = None
    body_8bit: bool = False
    smtputf8: bool = False
    ret: Literal["FULL", "HDRS"] | None = None
    envid: str | None = None
    auth: str | None = None


@dataclass(frozen=True, slots=True)
class RcptCommand:
    """An accepted RCPT. ``notify`` and ``orcpt`` are as in `relay.envelope.Recipient`."""

    address: str
    notify: frozenset[str] | None = None
    orcpt: str | None = None


_SENDER_SYNTAX = Refusal(501, "5.1.7", RefusalSlug.SENDER_SYNTAX)
_RECIPIENT_SYNTAX = Refusal(501, "5.1.3", RefusalSlug.RECIPIENT_SYNTAX)
_UTF8_ADDRESS = Refusal(553, "5.6.7", RefusalSlug.UTF8_ADDRESS)


def parse_mail(argument: bytes, *, smtputf8_allowed: bool, lenient: bool) -> MailCommand | Refusal:
    """The reverse-path and parameters of ``MAIL`` + ``argument``, or the reply that refuses it.

    Args:
        argument: the rest of the line after the verb, without its CRLF.
        smtputf8_allowed: the session offers SMTPUTF8; without it the parameter is unknown.
        lenient: also take blanks around the colon and inside the brackets, an address without
            brackets, and underscores in a domain.
    """
    cut = _cut(argument, "FROM", lenient=lenient)
    if cut is None:
        return _SENDER_SYNTAX
    path, rest = cut
    address = without_source_route(path, lenient=lenient)
    if address is None or (address and not is_mailbox(address, lenient=lenient)):
        return _SENDER_SYNTAX
    given = _parameters(rest, _MAIL_PARAMETERS)
    if isinstance(given, Refusal):
        return given
    if "SMTPUTF8" in given and not smtputf8_allowed:
        return _unknown("SMTPUTF8")
    if not address.isascii() and "SMTPUTF8" not in given:
        return _UTF8_ADDRESS
    return MailCommand(
        reverse_path=address or None,
        size=int(given["SIZE"]) if "SIZE" in given else None,
        body_8bit=given.get("BODY", "").upper() == "8BITMIME",
        smtputf8="SMTPUTF8" in given,
        ret=cast("Literal['FULL', 'HDRS']", given["RET"].upper()) if "RET" in given else None,
        envid=given.get("ENVID"),
        auth=given.get("AUTH"),
    )


def parse_rcpt(argument: bytes, *, smtputf8_allowed: bool, lenient: bool) -> RcptCommand | Refusal:
    """The recipient and parameters of ``RCPT`` + ``argument``, or the reply that refuses it.

    Args:
        argument: the rest of the line after the verb, without its CRLF.
        smtputf8_allowed: this transaction's MAIL declared SMTPUTF8.
        lenient: as in `parse_mail`.
    """
    cut = _cut(argument, "TO", lenient=lenient)
    if cut is None:
        return _RECIPIENT_SYNTAX
    path, rest = cut
    address = without_source_route(path, lenient=lenient)
    # RFC 5321 section 4.5.1: <Postmaster> needs no domain.
    if not address or not (address.lower() == "postmaster" or is_mailbox(address, lenient=lenient)):
        return _RECIPIENT_SYNTAX
    given = _parameters(rest, _RCPT_PARAMETERS)
    if isinstance(given, Refusal):
        return given
    if not address.isascii() and not smtputf8_allowed:
        return _UTF8_ADDRESS
    orcpt = given.get("ORCPT")
    if orcpt is not None and not orcpt.isascii() and not smtputf8_allowed:
        return _bad_value("ORCPT")
    notify = frozenset(given["NOTIFY"].upper().split(",")) if "NOTIFY" in given else None
    return RcptCommand(address, notify, orcpt)


_CONTROL = re.compile(r"[\0-\x1f\x7f]")
_VERBS = {
    (keyword, lenient): re.compile(
        rf" *{keyword} *: *" if lenient else rf" *{keyword}:", re.IGNORECASE | re.ASCII
    )
    for keyword in ("FROM", "TO")
    for lenient in (False, True)
}


def _cut(argument: bytes, keyword: str, *, lenient: bool) -> tuple[str, str] | None:
    try:
        text = argument.rstrip(b" \t").decode()
    except UnicodeDecodeError:
        return None
    if _CONTROL.search(text) is not None:
        return None
    verb = _VERBS[keyword, lenient].match(text)
    cut = cut_path(text[verb.end() :], lenient=lenient) if verb else None
    return cut if cut is not None and cut[1][:1] in ("", " ") else None


_KEYWORD = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(=?)(.*)")


def _parameters(
    text: str, known: Mapping[str, Callable[[str], object]]
) -> dict[str, str] | Refusal:
    """Each parameter by its keyword in capitals; one that takes no value has ``""``."""
    given: dict[str, str] = {}
    for word in filter(None, text.split(" ")):
        found = _KEYWORD.fullmatch(word)
        if found is None:
            return _bad_value("")
        keyword, equals, value = found[1].upper(), found[2], found[3]
        if keyword not in known:
            return _unknown(keyword)
        if keyword in given or bool(equals) != bool(value) or not known[keyword](value):
            return _bad_value(keyword)
        given[keyword] = value
    return given


def _unknown(keyword: str) -> Refusal:
    return Refusal(555, "5.5.4", RefusalSlug.UNKNOWN_PARAMETER, keyword[:40])


def _bad_value(keyword: str) -> Refusal:
    return Refusal(501, "5.5.4", RefusalSlug.PARAMETER_VALUE, keyword[:40])


def _is_envid(value: str) -> bool:
    return len(value) <= 100 and bool(xtext.decode(value))


def _is_auth(value: str) -> bool:
    return value == "<>" or (len(value) <= 500 and bool(xtext.decode(value)))


def _is_orcpt(value: str) -> bool:
    address_type, _, address = value.partition(";")
    if len(value) > 500 or re.fullmatch(r"[A-Za-z0-9-]+", address_type) is None or not address:
        return False
    if address_type.lower() == "utf-8":  # RFC 6533 section 3: not xtext
        return address.isprintable()
    return xtext.decode(address) is not None


def _is_notify(value: str) -> bool:
    words = value.upper().split(",")
    if not value.isascii() or len(set(words)) < len(words):
        return False
    return words == ["NEVER"] or set(words) <= {"SUCCESS", "FAILURE", "DELAY"}


# RFC 1870, RFC 6152, RFC 6531, RFC 3461, RFC 4954
_MAIL_PARAMETERS: Mapping[str, Callable[[str], object]] = {
    "SIZE": re.compile(r"[0-9]{1,20}").fullmatch,
    "BODY": re.compile(r"(?ai:7BIT|8BITMIME)").fullmatch,
    "SMTPUTF8": lambda value: not value,
    "RET": re.compile(r"(?ai:FULL|HDRS)").fullmatch,
    "ENVID": _is_envid,
    "AUTH": _is_auth,
}
_RCPT_PARAMETERS: Mapping[str, Callable[[str], object]] = {
    "NOTIFY": _is_notify,
    "ORCPT": _is_orcpt,
}
