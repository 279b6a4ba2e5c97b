"""The DMARC policy that holds for a domain (RFC 9989), found by checkdmarc's tree walk.

checkdmarc blocks: see `diagnose.replay` for where its questions go.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import Literal

from diagnose.replay import Known, Question, Unanswered, replayed
from diagnose.resolver import Remembering
from diagnose.runner import STEPS_IN_ALL, Circumstances
from diagnose.spf.lookup import LookupFailed, texts

Action = Literal["none", "quarantine", "reject"]

Alignment = Literal["aspf", "adkim"]

ACTIONS: tuple[Action, ...] = ("none", "quarantine", "reject")
ALIGNMENT: tuple[Alignment, ...] = ("aspf", "adkim")
_TAGS = ("p", "sp", "np", "rua", "ruf", "adkim", "aspf", "fo", "psd", "t")
_REPORTS = ("rua", "ruf")
_MOST_LIKELY = 5
_OURS = re.compile(r"\s*\"?v\s*[=:]?\s*dmarc", re.IGNORECASE)
_LOOSE_TAG = re.compile(
    rf"(?:^|[;,\s])({'|'.join(_TAGS)})\s*[=:]\s*([^;,\s]+(?:,\s*(?:mailto:)?[^;,:=\s]+@[^;,\s]+)*)",
    re.IGNORECASE,
)


class Absence(StrEnum):
    """Why no policy holds."""

    NONE = "none"
    SEVERAL = "several"
    MISPLACED = "misplaced"
    UNREADABLE = "unreadable"  # a record is there, and receivers do not see it as one


@dataclass(frozen=True, slots=True)
class NoPolicy:
    """No policy holds for the domain; `records` is what stands at its _dmarc name instead."""

    absence: Absence
    records: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """The record that holds for `domain`. `location` is where it stands: the domain, or above it.

    `fault` is what checkdmarc says is wrong with it, None for a good one. `unrelated` are other
    texts at the domain's own _dmarc name.
    """

    domain: str
    record: str
    location: str
    tags: Mapping[str, str]
    fault: str | None = None
    unrelated: tuple[str, ...] = ()

    @property
    def inherited(self) -> bool:
        """Whether it is the record of a domain above."""
        return self.location != self.domain

    @property
    def testing(self) -> bool:
        """t=y: receivers apply one step less (RFC 9989 section 4.7)."""
        return self.tags.get("t", "n").lower() == "y"

    @property
    def published(self) -> Action:
        """What the record asks for the domain's mail: sp for a subdomain, else p, else none."""
        own = self.action("sp") if self.inherited else None
        return own or self.action("p") or "none"

    @property
    def applied(self) -> Action:
        """`published` as receivers apply it while `testing`."""
        step = ACTIONS.index(self.published)
        return ACTIONS[max(step - 1, 0)] if self.testing else self.published

    def action(self, tag: str) -> Action | None:
        """The value of p, sp or np; None where it is missing or unknown."""
        value = self.tags.get(tag, "").lower()
        return next((action for action in ACTIONS if action == value), None)

    def strict(self, tag: Alignment) -> bool:
        """Whether an identifier must be the very domain of From, not one of the same owner."""
        return self.tags.get(tag, "r").lower() == "s"


async def find_policy(domain: str, circumstances: Circumstances) -> Policy | NoPolicy:
    """The policy for mail from `domain`. Raises LookupFailed where DNS gives no answer."""
    resolver = Remembering(circumstances.resolver())
    own = await texts(resolver, f"_dmarc.{domain}") or ()
    seconds = circumstances.timeout_seconds * (STEPS_IN_ALL - 3)
    likely = _likely_questions(domain, own)
    try:
        found = await replayed(lambda known: _walk(domain, own, known), resolver, likely, seconds)
    except (TimeoutError, Unanswered):
        raise LookupFailed(f"_dmarc.{domain}", "TXT", "Timeout") from None
    if found == NoPolicy(Absence.NONE):
        misplaced = tuple(text for text in await texts(resolver, domain) or () if _OURS.match(text))
        return NoPolicy(Absence.MISPLACED, misplaced) if misplaced else found
    return found


def _likely_questions(domain: str, own: Sequence[str]) -> list[Question]:
    """What checkdmarc asks next to the texts at the domain's own _dmarc name."""
    asked = [(f"_dmarc.{domain}", "TXT"), (domain, "TXT")]
    if any(_OURS.match(text) for text in own):
        return [*asked, (f"_dmarc.{domain}", "CNAME")]
    labels = domain.split(".")
    above = (".".join(labels[cut:]) for cut in range(1, len(labels)))
    return [*asked, *((f"_dmarc.{name}", "TXT") for name in above)][:_MOST_LIKELY]


def _walk(domain: str, own: Sequence[str], resolver: Known) -> Policy | NoPolicy:
    """What checkdmarc finds from the domain upwards; `own` are the texts at its _dmarc name."""
    from checkdmarc import dmarc, utils

    utils.DNS_CACHE.clear()  # it does not tell one name server's answers from another's
    try:
        found = dmarc.query_dmarc_record(domain, resolver=resolver, ignore_unrelated_records=True)
    except dmarc.MultipleDMARCRecords:
        return NoPolicy(Absence.SEVERAL, tuple(text for text in own if _OURS.match(text)))
    except dmarc.DMARCRecordInWrongLocation:
        return NoPolicy(Absence.NONE)
    except dmarc.DMARCRecordStartsWithWhitespace:
        return NoPolicy(Absence.UNREADABLE, tuple(own))
    except dmarc.DMARCRecordNotFound:
        return _absent(own)
    except dmarc.DMARCError as error:
        # Only a failed question is raised as the bare class.
        raise LookupFailed(f"_dmarc.{domain}", "TXT", str(error)) from error
    record, location = found["record"], found["location"]
    if location != domain and (near := _absent(own)).absence is Absence.UNREADABLE:
        return near
    unrelated = tuple(text for text in own if not _OURS.match(text))
    return Policy(domain, record, location, split_tags(record), fault(record, location), unrelated)


def _absent(own: Sequence[str]) -> NoPolicy:
    near = tuple(text for text in own if _OURS.match(text))
    return NoPolicy(Absence.UNREADABLE, near) if near else NoPolicy(Absence.NONE)


def split_tags(record: str) -> dict[str, str]:
    """The tags of a record, names in lower case; of a repeated one the first."""
    tags: dict[str, str] = {}
    for part in record.split(";"):
        name, equals, value = part.partition("=")
        if equals:
            tags.setdefault(name.strip().lower(), value.strip())
    return tags


def fault(record: str, location: str) -> str | None:
    """What checkdmarc says is wrong with a record's syntax; None for a good one. It blocks."""
    from checkdmarc import dmarc

    parts = [part for part in record.split(";") if part.strip()]
    names = [part.partition("=")[0].strip().lower() for part in parts]
    twice = sorted({name for name in names if name in _REPORTS and names.count(name) > 1})
    if twice:
        return f"Duplicate {','.join(twice)} tags are not permitted"
    # Of addresses for reports checkdmarc asks DNS; they are looked at elsewhere.
    plain = [part for part, name in zip(parts, names, strict=True) if name not in _REPORTS]
    try:
        dmarc.parse_dmarc_record(";".join(plain), location)
    except dmarc.DMARCError as error:
        return " ".join(str(error).split())
    return None


def suggestion(records: Sequence[str], domain: str) -> str:
    """A record to publish: what can be read of `records`, or one that only asks for reports."""
    tags: dict[str, str] = {}
    for record in records:
        for name, value in _LOOSE_TAG.findall(record):
            tags.setdefault(name.lower(), value)
    action = get_close_matches(tags.pop("p", "none").lower(), ACTIONS, n=1, cutoff=0.5)
    words = ["v=DMARC1", f"p={action[0] if action else 'none'}"]
    for name in _REPORTS:
        addresses = [_mailto(each) for each in tags.pop(name, "").split(",") if "@" in each]
        words += [f"{name}={','.join(addresses)}"] if addresses else []
    kept = "; ".join([*words, *(f"{name}={value.lower()}" for name, value in tags.items())])
    best = kept if fault(kept, domain) is None else "; ".join(words)
    return best if "rua=" in best else f"{best}; rua=mailto:postmaster@{domain}"


def _mailto(address: str) -> str:
    return f"mailto:{address.strip().removeprefix('mailto:')}"
