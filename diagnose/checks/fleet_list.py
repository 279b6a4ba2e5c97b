"""The list of domains that `diagnose fleet` is given, as people keep such lists."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass

from diagnose.domain import BadName, Domain, parse_domain
from diagnose.wording import Language, say
from presets.reply import sanitise

_LONGEST_SHOWN = 80


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is no domain; `error` says what to write instead. Lines count from 1."""

    line: int
    text: str
    error: str


@dataclass(frozen=True, slots=True)
class DomainList:
    """The domains in the order of the list, each once; `repeated` lines named one again."""

    domains: tuple[Domain, ...]
    bad: tuple[BadLine, ...]
    repeated: int


def read_list(data: bytes, language: Language) -> DomainList:
    """The domains in `data`: one a line, `#` begins a comment, blank lines count for nothing.

    UTF-8, with a mark in front of it or not, or UTF-16 with one; any line ends. Of a mail address
    its domain counts.
    """
    domains: dict[str, Domain] = {}
    bad: list[BadLine] = []
    repeated = 0
    for number, line in enumerate(_lines(data), 1):
        try:
            text = line.decode("utf-8").partition("#")[0].strip()
        except UnicodeDecodeError:
            shown = sanitise(line.decode("latin-1"), _LONGEST_SHOWN)
            bad.append(BadLine(number, shown, say("fleet/not-utf-8", language)))
            continue
        if not text:
            continue
        try:
            domain = parse_domain(text, language)
        except BadName as error:
            bad.append(BadLine(number, sanitise(text, _LONGEST_SHOWN), str(error)))
            continue
        repeated += domain.name in domains
        domains.setdefault(domain.name, domain)
    return DomainList(tuple(domains.values()), tuple(bad), repeated)


def _lines(data: bytes) -> Iterator[bytes]:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        data = data.decode("utf-16", "replace").encode()
    # Not str.splitlines: it would also cut at characters that may stand within a line.
    yield from data.removeprefix(codecs.BOM_UTF8).splitlines()
