"""An SPF record as its terms (RFC 7208 section 12). Nothing is looked up here."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from diagnose.spf.term import Fault, Kind, Mechanism, Modifier, RecordError, Term, parse_term

VERSION = "v=spf1"


@dataclass(frozen=True, slots=True)
class Record:
    """A record that keeps the grammar, its terms in the owner's order."""

    terms: tuple[Term, ...]

    def __str__(self) -> str:
        return " ".join((VERSION, *(term.text for term in self.terms)))

    @property
    def mechanisms(self) -> tuple[Mechanism, ...]:
        return tuple(term for term in self.terms if isinstance(term, Mechanism))

    @property
    def redirect(self) -> Modifier | None:
        return self._modifier("redirect")

    @property
    def explanation(self) -> Modifier | None:
        return self._modifier("exp")

    @property
    def all(self) -> Mechanism | None:
        """The first `all`: what stands behind it is never looked at."""
        return next((term for term in self.mechanisms if term.kind is Kind.ALL), None)

    def _modifier(self, name: str) -> Modifier | None:
        modifiers = (term for term in self.terms if isinstance(term, Modifier))
        return next((term for term in modifiers if term.name == name), None)


def is_spf(text: str) -> bool:
    """Whether a TXT record is an SPF record, a wrong one included (section 4.5)."""
    return text[:7].lower() in (VERSION, VERSION + " ")


@lru_cache(maxsize=256)
def parse(text: str) -> Record:
    """The terms of a record. Raises RecordError for the first fault, and nothing else."""
    if not is_spf(text):
        raise RecordError(Fault.VERSION, text[:20], 0)
    terms: list[Term] = []
    for found in re.finditer(r"[^ ]+", text[len(VERSION) :]):
        term = parse_term(found[0], found.start() + len(VERSION))
        if isinstance(term, Modifier) and term.name in ("redirect", "exp"):
            _only_once(term, terms)
        terms.append(term)
    return Record(tuple(terms))


def _only_once(term: Modifier, terms: Iterable[Term]) -> None:
    if any(isinstance(other, Modifier) and other.name == term.name for other in terms):
        raise RecordError(Fault.TWICE, term.text, term.position)
