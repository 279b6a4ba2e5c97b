"""Sender policy: as whom a message leaves, where the smarthost's account may not send as anyone.

It is applied at each attempt and never stored, so that a new route or policy also holds for
mail that already waits.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from relay.config.model import PolicyKind, SenderPolicy
from relay.message import headers
from relay.message.address_list import addresses, with_address


class Change(StrEnum):
    """What the policy changed in a message."""

    REVERSE_PATH = "reverse-path"
    FROM = "from"
    REPLY_TO = "reply-to-added"
    SENDER_REMOVED = "sender-removed"
    SENDER_REPLACED = "sender-replaced"


@dataclass(frozen=True, slots=True)
class Rewritten:
    """The header and reverse-path to send with; ``changes`` is empty when both are as before."""

    header: bytes
    reverse_path: str | None
    changes: tuple[Change, ...] = ()


def apply(
    header: bytes, reverse_path: str | None, policy: SenderPolicy, allowed: tuple[str, ...]
) -> Rewritten:
    """The message's header and reverse-path under ``policy``.

    ``force`` puts the policy's address into both. ``rewrite`` replaces only what no pattern of
    ``allowed`` matches, and never the policy's address; a From that cannot be read counts as not
    allowed. A From that is replaced keeps its display name; the original goes to X-Original-From,
    and to Reply-To where none has an address. A null reverse-path stays null. Without an address,
    or with ``keep``, nothing changes.
    """
    address = policy.address
    if policy.policy is PolicyKind.KEEP or address is None:
        return Rewritten(header, reverse_path)

    def may_stay(found: str) -> bool:
        if found.casefold() == address.casefold():
            return True
        return policy.policy is PolicyKind.REWRITE and is_allowed(found, allowed)

    changes: list[Change] = []
    if reverse_path is not None and not may_stay(reverse_path):
        reverse_path = address
        changes.append(Change.REVERSE_PATH)
    header, from_changes = _with_from(header, address, may_stay)
    header, sender_changes = _with_sender(header, address, may_stay)
    return Rewritten(header, reverse_path, (*changes, *from_changes, *sender_changes))


def matches(pattern: str, address: str) -> bool:
    """Whether ``pattern`` (an address, ``*@domain`` or ``*``) covers ``address``.

    ``*`` stands for any run of characters; case counts neither in the local-part nor in the
    domain.
    """
    return _compiled(pattern).fullmatch(address.casefold()) is not None


def is_allowed(address: str, patterns: tuple[str, ...]) -> bool:
    """Whether any pattern covers ``address``; no patterns allow nothing."""
    return any(matches(pattern, address) for pattern in patterns)


def _with_from(
    header: bytes, address: str, may_stay: Callable[[str], bool]
) -> tuple[bytes, tuple[Change, ...]]:
    originals = headers.named(header, b"From")
    if _all_may_stay(originals, may_stay):
        return header, ()
    # Of several, the first that somebody could answer to.
    readable = next(filter(_has_address, originals), None)
    value = (readable or originals[0]).value if originals else b""
    lines = headers.build(b"From", with_address(value, address))
    changes = [Change.FROM]
    if readable and not any(map(_has_address, headers.named(header, b"Reply-To"))):
        header = headers.remove(header, b"Reply-To")  # an empty one would be a second
        lines += readable.renamed(b"Reply-To")
        changes.append(Change.REPLY_TO)
    lines += b"".join(original.renamed(b"X-Original-From") for original in originals)
    return headers.replace(header, b"From", lines), tuple(changes)


def _with_sender(
    header: bytes, address: str, may_stay: Callable[[str], bool]
) -> tuple[bytes, tuple[Change, ...]]:
    senders = headers.named(header, b"Sender")
    if not senders or _all_may_stay(senders, may_stay):
        return header, ()
    # RFC 5322 section 3.6.2: a From with several authors needs a Sender.
    authors = [
        found for field in headers.named(header, b"From") for found in addresses(field.value)
    ]
    if len(authors) > 1:
        lines = headers.build(b"Sender", address.encode())
        return headers.replace(header, b"Sender", lines), (Change.SENDER_REPLACED,)
    return headers.remove(header, b"Sender"), (Change.SENDER_REMOVED,)


def _has_address(field: headers.Field) -> bool:
    return bool(addresses(field.value))


def _all_may_stay(found: list[headers.Field], may_stay: Callable[[str], bool]) -> bool:
    lists = [addresses(field.value) for field in found]
    return bool(lists) and all(
        listed and all(may_stay(address) for address in listed) for listed in lists
    )


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(
        ".*".join(re.escape(part) for part in re.split(r"\*+", pattern.casefold())), re.DOTALL
    )
