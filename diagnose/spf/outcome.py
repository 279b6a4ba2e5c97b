"""What an evaluation gives: the result, the term that decided it, the counters and the trace."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from diagnose.spf.term import Qualifier, RecordError


class Result(StrEnum):
    """The results of section 2.6."""

    PASS = "pass"
    FAIL = "fail"
    SOFTFAIL = "softfail"
    NEUTRAL = "neutral"
    NONE = "none"
    PERMERROR = "permerror"
    TEMPERROR = "temperror"


OF_QUALIFIER = {
    Qualifier.PASS: Result.PASS,
    Qualifier.FAIL: Result.FAIL,
    Qualifier.SOFTFAIL: Result.SOFTFAIL,
    Qualifier.NEUTRAL: Result.NEUTRAL,
}


class Cause(StrEnum):
    """Why an evaluation ended in permerror or temperror."""

    SYNTAX = "syntax"
    SEVERAL_RECORDS = "several-records"
    NO_RECORD = "no-record"  # at the target of include or redirect
    TOO_MANY_LOOKUPS = "too-many-lookups"
    TOO_MANY_VOID = "too-many-void"
    TOO_MANY_MX = "too-many-mx"
    LOOKUP_FAILED = "lookup-failed"


@dataclass(frozen=True, slots=True)
class Problem:
    """What stopped an evaluation: in the record of `domain`, at `term` if at one.

    `detail` is the target without a record, or the failed question; `error` the place of a
    syntax error.
    """

    cause: Cause
    domain: str
    term: str | None = None
    detail: str = ""
    error: RecordError | None = None


@dataclass(frozen=True, slots=True)
class Lookups:
    """Terms that asked the name server, and those of them that found nothing."""

    dns: int = 0
    void: int = 0


LIMITS = Lookups(dns=10, void=2)


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the trace: a record fetched, or a term of it. `depth` counts from 0.

    `outcome` is record, none, follow (an include or a redirect), match, no-match, or the cause
    of an error; `found` what the name server or the record said.
    """

    depth: int
    domain: str
    text: str
    outcome: str
    found: str = ""

    def __str__(self) -> str:
        line = f"{'  ' * self.depth}{self.domain}: {self.text} -> {self.outcome}"
        return f"{line} ({self.found})" if self.found else line


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The answer of `check_host`.

    `term` is the matching term as its owner wrote it, `holder` the domain whose record holds
    it: both None where no term matched. `explanation` is the text that exp= leads to.
    """

    result: Result
    explanation: str | None = None
    term: str | None = None
    holder: str | None = None
    lookups: Lookups = Lookups()
    trace: tuple[Step, ...] = ()
    problem: Problem | None = None
