"""The error knowledge: what the files in `replies/` hold, checked and kept in memory.

`causes.toml` names every cause with its scope, its retry and its texts. Each other file lists
entries: the wording of one family of servers, pointing at a cause, with texts of its own where
that family needs other steps. A family is a provider (its preset ids) or a server program.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from presets.verdict import Phase, Retry, Scope

LANGUAGES = ("en", "nl")
_FOLDER = Path(__file__).with_name("replies")
_CAUSES = "causes.toml"

_ENHANCED = re.compile(r"([245X])\.(\d{1,3})\.(\d{1,3})(?:-(\d{1,3}))?")

_CAUSE_KEYS = frozenset({"scope", "retry", "meaning", "steps"})
_FILE_KEYS = frozenset({"families", "kind", "source", "reply"})
_FAMILY_KEYS = frozenset({"presets", "marks"})
_MATCH_KEYS = frozenset({"family", "code", "enhanced", "pattern", "phases", "only_for"})
_ENTRY_KEYS = _MATCH_KEYS | _CAUSE_KEYS | {"cause", "scope_at", "source"}


class Kind(IntEnum):
    """Whose words a file holds; of equal fits the higher one wins."""

    RFC = 0
    """The meaning of a code, whatever the words: not counted as known."""
    COMMON = 1
    """Wordings that many servers share."""
    PROGRAM = 2
    """A server program (or a sending program), whoever runs it."""
    PROVIDER = 3


Word = TypeVar("Word", Scope, Retry, Phase, Kind)


class KnowledgeError(ValueError):
    """A file of error knowledge is wrong; the text names the file and the entry."""


@dataclass(frozen=True, slots=True)
class Cause:
    """One cause. `retry` None means: as the class of the reply's code says."""

    scope: Scope
    retry: Retry | None
    meaning: Mapping[str, str]
    steps: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Entry:
    """One wording of one family.

    Empty `codes`, `enhanced` and `phases` match any; code 0 stands for text without a reply code.
    `scope_at` replaces the scope in the phases it names. `only_for` lists the presets of which the
    entry speaks when its wording is too common to recognise the provider by.
    """

    family: str
    kind: Kind
    codes: frozenset[int]
    enhanced: frozenset[str]
    pattern: str | None
    cause: str
    scope: Scope
    scope_at: Mapping[Phase, Scope]
    retry: Retry | None
    phases: frozenset[Phase]
    only_for: frozenset[str]
    meaning: Mapping[str, str]
    steps: Mapping[str, tuple[str, ...]]
    source: str | None

    @property
    def known(self) -> bool:
        return self.kind is not Kind.RFC


@dataclass(frozen=True, slots=True)
class Knowledge:
    """All of it. `family_of` maps preset ids and family names to the family's name."""

    entries: tuple[Entry, ...]
    family_of: Mapping[str, str]
    marks: tuple[tuple[str, str], ...]
    """(lower-case literal, family): such a literal anywhere in a reply gives the family away."""
    whole_families: frozenset[str] = frozenset()
    """Families whose name is no preset's: named alone, it stands for all of them."""


@cache
def knowledge() -> Knowledge:
    """The packaged knowledge, read at the first call (some 30 ms)."""
    return load(_FOLDER)


def load(folder: Path) -> Knowledge:
    """The knowledge in `folder`; raises KnowledgeError where a file says something unknown."""
    causes = {
        slug: _cause(table, f"{_CAUSES}, [{slug}]")
        for slug, table in _read(folder / _CAUSES).items()
    }
    entries: list[Entry] = []
    family_of: dict[str, str] = {}
    marks: list[tuple[str, str]] = []
    whole: set[str] = set()
    for path in sorted(folder.glob("*.toml")):
        if path.name == _CAUSES:
            continue
        document = _read(path)
        _only(document, _FILE_KEYS, path.name)
        families = _families(document, path.name)
        for family, table in families.items():
            if family in family_of:
                raise KnowledgeError(f"{path.name}, [families]: {family} is named twice")
            family_of |= dict.fromkeys((family, *table.get("presets", ())), family)
            marks += [(mark.lower(), family) for mark in table.get("marks", ())]
            whole |= {family} - set(table.get("presets", ()))
        for number, table in enumerate(document.get("reply", ()), 1):
            where = f"{path.name}, reply {number} ({table.get('pattern', table.get('cause'))})"
            entries.append(_entry(table, document, causes, where))
    return Knowledge(tuple(entries), family_of, tuple(marks), frozenset(whole))


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise KnowledgeError(f"{path.name}: {error}") from None


def _cause(table: dict[str, Any], where: str) -> Cause:
    _only(table, _CAUSE_KEYS, where)
    meaning, steps = _texts(table, where)
    if not meaning or not steps:
        raise KnowledgeError(f"{where}: meaning and steps are needed")
    return Cause(_enum(Scope, table.get("scope"), where), _retry(table, where), meaning, steps)


def _families(document: dict[str, Any], where: str) -> dict[str, dict[str, Any]]:
    families: dict[str, dict[str, Any]] = document.get("families", {})
    if not families:
        raise KnowledgeError(f"{where}: [families] is needed")
    for family, table in families.items():
        _only(table, _FAMILY_KEYS, f"{where}, family {family}")
    return families


def _entry(
    table: dict[str, Any], document: dict[str, Any], causes: Mapping[str, Cause], where: str
) -> Entry:
    _only(table, _ENTRY_KEYS, where)
    families = document["families"]
    family = table.get("family", next(iter(families)))
    if family not in families:
        raise KnowledgeError(f"{where}: family {family!r} is not in [families]")
    cause = causes.get(table.get("cause", ""))
    if cause is None:
        raise KnowledgeError(f"{where}: cause {table.get('cause')!r} is not in {_CAUSES}")
    if not table.keys() & {"code", "enhanced", "pattern"}:
        raise KnowledgeError(f"{where}: one of code, enhanced, pattern is needed")
    own_meaning, own_steps = _texts(table, where)
    return Entry(
        family=str(family),
        kind=_enum(Kind, document.get("kind"), where),
        codes=frozenset(_codes(table, where)),
        enhanced=frozenset(_enhanced(table, where)),
        pattern=table.get("pattern"),
        cause=table["cause"],
        scope=_enum(Scope, table["scope"], where) if "scope" in table else cause.scope,
        scope_at={
            _enum(Phase, phase, where): _enum(Scope, scope, where)
            for phase, scope in table.get("scope_at", {}).items()
        },
        retry=_retry(table, where) or cause.retry,
        phases=frozenset(_enum(Phase, phase, where) for phase in table.get("phases", ())),
        only_for=frozenset(table.get("only_for", ())),
        meaning=own_meaning or cause.meaning,
        steps=own_steps or cause.steps,
        source=table.get("source", document.get("source")) or None,
    )


def _only(table: Mapping[str, Any], allowed: frozenset[str], where: str) -> None:
    if unknown := sorted(table.keys() - allowed):
        raise KnowledgeError(f"{where}: unknown key {', '.join(unknown)}")


def _enum(words: type[Word], value: object, where: str) -> Word:
    try:
        return words[str(value).upper().replace("-", "_")]
    except KeyError:
        raise KnowledgeError(f"{where}: {value!r} is no {words.__name__.lower()}") from None


def _retry(table: Mapping[str, Any], where: str) -> Retry | None:
    return _enum(Retry, table["retry"], where) if "retry" in table else None


def _texts(
    table: Mapping[str, Any], where: str
) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    """Meaning and steps by language; each is either absent or there in every language."""
    for key in ("meaning", "steps"):
        if key in table and tuple(sorted(table[key])) != LANGUAGES:
            raise KnowledgeError(f"{where}: {key} is needed in {' and '.join(LANGUAGES)}")
    steps = {language: tuple(lines) for language, lines in table.get("steps", {}).items()}
    if len({len(lines) for lines in steps.values()}) > 1:
        raise KnowledgeError(f"{where}: the languages have different numbers of steps")
    return table.get("meaning", {}), steps


def _codes(table: Mapping[str, Any], where: str) -> list[int]:
    """The basic codes; "4yz" is all of a class, 0 a text without a code."""
    codes: list[int] = []
    for value in _list(table.get("code", [])):
        if value in ("2yz", "3yz", "4yz", "5yz"):
            codes += range(int(value[0]) * 100, int(value[0]) * 100 + 100)
        elif isinstance(value, int) and (value == 0 or 200 <= value <= 599):
            codes.append(value)
        else:
            raise KnowledgeError(f"{where}: {value!r} is no reply code")
    return codes


def _enhanced(table: Mapping[str, Any], where: str) -> list[str]:
    """The enhanced codes; "5.7.606-649" is a range, "X.1.1" any class (as RFC 3463 writes it)."""
    codes: list[str] = []
    for value in _list(table.get("enhanced", [])):
        found = _ENHANCED.fullmatch(value) if isinstance(value, str) else None
        if found is None:
            raise KnowledgeError(f"{where}: {value!r} is no enhanced status code")
        details = range(int(found[3]), int(found[4] or found[3]) + 1)
        for digit in "245" if found[1] == "X" else found[1]:
            codes += [f"{digit}.{found[2]}.{detail}" for detail in details]
    return codes


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
