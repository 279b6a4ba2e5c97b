"""What is remembered of each domain of a fleet: little, so that many fit."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from diagnose.finding import Document, Severity, Verdict

_WORST_FIRST = (Severity.ERROR, Severity.UNKNOWN, Severity.WARNING)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The verdict about a domain, and the ids of what is wrong, the worst first."""

    verdict: Verdict
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Common:
    """A problem that so many domains have; `example` is its title at one of them."""

    id: str
    severity: Severity
    domains: int
    example: str


@dataclass
class Tally:
    """Outcomes by domain; of a domain that comes twice the last counts."""

    _outcomes: dict[str, Outcome] = field(default_factory=dict)
    _kinds: dict[tuple[str, ...], tuple[str, ...]] = field(default_factory=dict)
    _examples: dict[str, tuple[Severity, str]] = field(default_factory=dict)

    def __contains__(self, domain: str) -> bool:
        return domain in self._outcomes

    @property
    def done(self) -> int:
        return len(self._outcomes)

    def add(self, result: Document) -> None:
        """Count the document of one domain, of this run or of an earlier one."""
        problems: dict[str, Severity] = {}
        for each in result["findings"]:
            severity = Severity(each["severity"])
            if severity in _WORST_FIRST:
                id_ = sys.intern(each["id"])
                known = problems.get(id_, severity)
                problems[id_] = min(known, severity, key=_WORST_FIRST.index)
                self._examples.setdefault(id_, (severity, each["title"]))
        ids = tuple(sorted(problems, key=lambda id_: _WORST_FIRST.index(problems[id_])))
        kind = self._kinds.setdefault(ids, ids)
        self._outcomes[result["target"]] = Outcome(Verdict(result["verdict"]), kind)

    def forget(self, verdict: Verdict) -> None:
        """As if the domains with this verdict had not been examined."""
        for name in [name for name, one in self._outcomes.items() if one.verdict is verdict]:
            del self._outcomes[name]

    def count(self, verdict: Verdict) -> int:
        return sum(one.verdict is verdict for one in self._outcomes.values())

    def commonest(self) -> list[Common]:
        """The problems, that of most domains first."""
        counted = Counter(id_ for one in self._outcomes.values() for id_ in one.problems)
        ordered = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
        return [
            Common(id_, self._examples[id_][0], n, self._examples[id_][1]) for id_, n in ordered
        ]

    def needing_work(self, order: list[str]) -> Iterator[tuple[str, Outcome]]:
        """The domains that did not pass: failed ones, then unknown ones, then warnings.

        Within these as in `order`.
        """
        for verdict in (Verdict.FAIL, Verdict.UNKNOWN, Verdict.WARN):
            for name in order:
                one = self._outcomes.get(name)
                if one is not None and one.verdict is verdict:
                    yield name, one
