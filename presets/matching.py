"""Find the entry of the error knowledge that fits a reply best.

Order: known before the RFC meaning, a sure fit before a loose one, the provider's own wording
before that of server programs and other providers, an equal enhanced code before an equal basic
code. The enhanced code comes before the pattern, as "Authentication unsuccessful" (535 5.7.3)
also stands inside every 535 5.7.139 of Microsoft.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from presets.knowledge import Entry, Kind, Knowledge, knowledge
from presets.pattern import compiled, required_literals
from presets.reply import Reply
from presets.verdict import OURS, Phase

# How well an entry fits. The first four are sure, the rest is loose.
_TEXT_AND_ENHANCED, _TEXT_AND_CODE, _ENHANCED_ONLY, _CODE_ONLY = 7, 6, 5, 4
_TEXT_SAME_CLASS, _TEXT_OTHER_CLASS, _ANYTHING = 3, 2, 1
_SURE = _CODE_ONLY

_INNER_LIMIT = 4
# "... Error: 535 5.7.139 ...": a reply inside a reply needs both codes, or a word before the code,
# as three digits alone may be anything.
INNER = re.compile(
    r"(?<![\d.])([45]\d\d)[ -]+#?([45]\.\d{1,3}\.\d{1,3})(?!\.?\d)"
    r"|(?:said|error|returned|response|reply|status|code|fout|foutcode|was)[ :=(#'\"-]{1,4}"
    r"([45]\d\d)(?![\d.%])",
    re.IGNORECASE | re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Match:
    """The best entry for a reply."""

    entry: Entry
    reply: Reply
    """What the entry explains: the reply itself, or one inside its text."""
    foreign: bool
    """Another provider than the one asked about words it so."""
    same_class: bool
    """The entry's basic code and the reply's agree on transient or permanent."""


@dataclass(frozen=True, slots=True)
class _Subject:
    reply: Reply
    text: str
    lowered: str
    provider: str | None
    family: str | None
    """Of the provider asked about; without one, the family whose mark the text bears."""
    marked: str | None
    phase: Phase | None


def find(reply: Reply, provider: str | None, phase: Phase | None) -> Match:
    """The best entry; of replies inside a reply the innermost known one counts."""
    matches = [_best(part, provider, phase) for part in (*_inner(reply), reply)]
    refused = reply.transient or reply.permanent
    return next((match for match in matches if match.entry.known), matches[-1 if refused else 0])


def _best(reply: Reply, provider: str | None, phase: Phase | None) -> Match:
    known = knowledge()
    subject = _subject(reply, provider, phase, known)
    best: tuple[tuple[bool, bool, int, int, int], Entry] | None = None
    for entry in _candidates(subject, known):
        fit = _fit(entry, subject)
        rank = (entry.known, fit >= _SURE, _tier(entry, subject), fit, entry.kind)
        if fit and (best is None or rank > best[0]) and _matches(entry, subject):
            best = rank, entry
    if best is None:
        raise LookupError(f"rfc.toml lacks an entry for whatever text: {reply}")
    entry = best[1]
    asked_about = known.family_of.get(provider) if provider else None
    foreign = (
        asked_about is not None and entry.kind is Kind.PROVIDER and entry.family != asked_about
    )
    return Match(entry, reply, foreign, _same_class(entry, reply))


def _candidates(subject: _Subject, known: Knowledge) -> Iterator[Entry]:
    """The few entries worth a closer look, in the order of the files."""
    index = _index()
    lowered = subject.lowered
    numbers = {number for literal, number in index.literals if literal in lowered}
    numbers.update(index.bare.get(str(subject.reply.code), ()))
    if subject.reply.enhanced:
        numbers.update(index.bare.get(subject.reply.enhanced, ()))
    return (known.entries[number] for number in sorted(numbers))


@dataclass(frozen=True, slots=True)
class _Index:
    """Numbers of entries: by the literals of their pattern; without a pattern by their codes."""

    literals: tuple[tuple[str, int], ...]
    bare: Mapping[str, tuple[int, ...]]


@cache
def _index() -> _Index:
    literals: list[tuple[str, int]] = []
    bare: dict[str, tuple[int, ...]] = {}
    for number, entry in enumerate(knowledge().entries):
        if entry.pattern is not None:
            literals += [(literal, number) for literal in required_literals(entry.pattern)]
            continue
        for code in entry.enhanced or map(str, entry.codes):
            bare[code] = (*bare.get(code, ()), number)
    return _Index(tuple(literals), bare)


def _subject(reply: Reply, provider: str | None, phase: Phase | None, known: Knowledge) -> _Subject:
    text = str(reply)
    lowered = text.lower()
    marked = next((family for mark, family in known.marks if mark in lowered), None)
    family = known.family_of.get(provider) if provider else None
    return _Subject(reply, text, lowered, provider, family or marked, marked, phase)


def _tier(entry: Entry, subject: _Subject) -> int:
    """Whose wording comes first; without a provider or a mark all are equal."""
    if subject.family is None:
        return 0
    if entry.family == subject.family:
        return 3
    if entry.family == subject.marked:
        return 2
    return int(entry.kind is not Kind.PROVIDER)


def _fit(entry: Entry, subject: _Subject) -> int:
    """How well the entry would fit if its pattern matched, 0 for not at all."""
    reply = subject.reply
    if not _applies(entry, subject):
        return 0
    if entry.pattern == "":
        return _ANYTHING
    code_fits = not entry.codes or reply.code in entry.codes
    if entry.pattern is None:
        if not code_fits:
            return 0
        if not entry.enhanced:
            return _CODE_ONLY
        return _ENHANCED_ONLY if reply.enhanced in entry.enhanced else 0
    same_enhanced = reply.enhanced in entry.enhanced
    # "554 Sender authentication failed" must not pass for the 535 that stops the account.
    if not code_fits and not same_enhanced and reply.code and entry.scope in OURS:
        return 0
    if not _same_class(entry, reply):
        return _TEXT_OTHER_CLASS
    if same_enhanced:
        return _TEXT_AND_ENHANCED
    comparable = entry.enhanced and reply.enhanced
    return _TEXT_AND_CODE if code_fits and not comparable else _TEXT_SAME_CLASS


def _matches(entry: Entry, subject: _Subject) -> bool:
    return entry.pattern is None or compiled(entry.pattern).search(subject.text) is not None


def _applies(entry: Entry, subject: _Subject) -> bool:
    if entry.phases and subject.phase is not None and subject.phase not in entry.phases:
        return False
    if not entry.only_for or subject.provider in entry.only_for:
        return True
    # A family's own name, or its mark in the text, stands for all its presets.
    whole = subject.provider is None or subject.provider in knowledge().whole_families
    return whole and subject.family == entry.family


def _same_class(entry: Entry, reply: Reply) -> bool:
    """A text without a code, or an entry without one, contradicts nothing."""
    if not entry.codes or reply.code == 0:
        return True
    return any(code // 100 == reply.code // 100 for code in entry.codes)


def _inner(reply: Reply) -> Iterator[Reply]:
    """The replies inside the reply's text, innermost first."""
    inside = list(INNER.finditer(reply.text))
    for at in reversed(inside[-_INNER_LIMIT:]):
        code = at[1] or at[3]
        yield Reply.of(
            int(code), [reply.text[at.start(2) if at[1] else at.end() :].lstrip(" -:)]'\"")]
        )
