"""check_host() of RFC 7208 section 4: may this address send for this domain?"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

from diagnose.resolver import Resolver
from diagnose.spf import lookup
from diagnose.spf.lookup import LookupFailed
from diagnose.spf.macro import Address, MacroError, MacroString, Values, parse_macro_string
from diagnose.spf.match import TooManyHosts, ask, best_name
from diagnose.spf.names import ascii_name, is_domain
from diagnose.spf.outcome import (
    LIMITS,
    OF_QUALIFIER,
    Cause,
    Evaluation,
    Lookups,
    Problem,
    Result,
    Step,
)
from diagnose.spf.record import Record, is_spf, parse
from diagnose.spf.term import Kind, Mechanism, RecordError


async def check_host(
    ip: str | Address,
    domain: str,
    *,
    sender: str | None = None,
    helo: str | None = None,
    resolver: Resolver,
) -> Evaluation:
    """The SPF result for a mail from `ip` (RFC 7208 section 4).

    `domain` is the domain of the reverse-path, or the HELO name where that is null; `sender`
    (postmaster@domain without one) and `helo` only feed macros. Problems of DNS and of the
    record are results; ValueError means that `ip` is no address.
    """
    name = ascii_name(domain)
    local_part, _, sender_domain = (sender or "").strip("<>").rpartition("@")
    values = Values(
        ip=lookup.plain_address(ip),
        domain=name,
        local_part=local_part or "postmaster",
        sender_domain=ascii_name(sender_domain) or name,
        helo=ascii_name(helo or name),
        time_seconds=int(time.time()),
    )
    return await evaluate(values, resolver)


async def evaluate(values: Values, resolver: Resolver, limits: Lookups = LIMITS) -> Evaluation:
    """As `check_host`, for `values.domain`. Higher `limits` count what a record would need."""
    check = _Check(values, resolver, limits)
    try:
        verdict = await check.domain(values.domain, 0)
    except _Stop as stop:
        return check.evaluation(_Verdict(stop.result), None, stop.problem)
    explanation = None
    if verdict.result is Result.FAIL and verdict.explanation is not None:
        explanation = await check.explain(verdict.explanation, verdict.holder)
    return check.evaluation(verdict, explanation)


@dataclass(frozen=True, slots=True)
class _Verdict:
    """The result of one record; `explanation` is its exp=, to be fetched if it is the last."""

    result: Result
    holder: str = ""
    term: str | None = None
    explanation: MacroString | None = None


class _Stop(Exception):
    """The evaluation is over: permerror or temperror."""

    def __init__(self, result: Result, problem: Problem) -> None:
        self.result = result
        self.problem = problem


@dataclass
class _Check:
    """One evaluation, with its counters and its trace."""

    values: Values
    resolver: Resolver
    limits: Lookups
    dns: int = 0
    void: int = 0
    trace: list[Step] = field(default_factory=list)

    def evaluation(
        self, verdict: _Verdict, explanation: str | None, problem: Problem | None = None
    ) -> Evaluation:
        holder = verdict.holder if verdict.term is not None else None
        counted = Lookups(self.dns, self.void)
        trace = tuple(self.trace)
        return Evaluation(
            verdict.result, explanation, verdict.term, holder, counted, trace, problem
        )

    async def domain(self, domain: str, depth: int) -> _Verdict:
        """The verdict of the record of `domain`. Raises _Stop."""
        record = await self._record(domain, depth)
        if record is None:
            return _Verdict(Result.NONE)
        for term in record.mechanisms:
            matched, found = await self._match(term, domain, depth)
            self._note(depth, domain, term.text, "match" if matched else "no-match", found)
            if matched:
                result = OF_QUALIFIER[term.qualifier]
                explanation = record.explanation.value if record.explanation else None
                return _Verdict(result, domain, term.text, explanation)
        if record.redirect is None:
            return _Verdict(Result.NEUTRAL)
        text = record.redirect.text
        self._count(domain, text, depth)
        target = await self._target(record.redirect.value, domain)
        return await self._elsewhere(target, domain, text, depth)

    async def explain(self, spec: MacroString, domain: str) -> str | None:
        """The text that exp= leads to; None where it is missing or wrong (section 6.2)."""
        try:
            found = await lookup.texts(self.resolver, await self._target(spec, domain))
            if found is None or len(found) != 1:
                return None
            text = parse_macro_string(found[0], explanation=True)
            return text.expand(await self._values(text, domain))
        except (LookupFailed, MacroError):
            return None

    async def _record(self, domain: str, depth: int) -> Record | None:
        if not is_domain(domain):
            self._note(depth, domain, "TXT", "none", "not a domain name")
            return None
        try:
            found = await lookup.texts(self.resolver, domain)
        except LookupFailed as failure:
            raise self._failed(failure, domain, "TXT", depth) from failure
        records = [text for text in found or () if is_spf(text)]
        if not records:
            self._note(depth, domain, "TXT", "none", "NXDOMAIN" if found is None else "")
            return None
        for text in records:
            self._note(depth, domain, text, "record")
        if len(records) > 1:
            raise self._permanent(Problem(Cause.SEVERAL_RECORDS, domain), depth)
        try:
            return parse(records[0])
        except RecordError as error:
            problem = Problem(Cause.SYNTAX, domain, error.term, error.fault, error)
            raise self._permanent(problem, depth) from error

    async def _match(self, term: Mechanism, domain: str, depth: int) -> tuple[bool, str]:
        """Whether `term` matches, and what was found."""
        if term.kind is Kind.ALL:
            return True, ""
        if term.network is not None:
            return self.values.ip in term.network, str(self.values.ip)
        self._count(domain, term.text, depth)
        target = domain if term.domain is None else await self._target(term.domain, domain)
        if term.kind is Kind.INCLUDE:
            verdict = await self._elsewhere(target, domain, term.text, depth)
            return verdict.result is Result.PASS, verdict.result
        try:
            answer = await ask(self.resolver, term, target, self.values.ip)
        except LookupFailed as failure:
            raise self._failed(failure, domain, term.text, depth) from failure
        except TooManyHosts as error:
            raise self._permanent(Problem(Cause.TOO_MANY_MX, domain, term.text), depth) from error
        if answer.void:
            self._count_void(domain, term.text, depth)
        return answer.matched, f"{target}: {' '.join(answer.found) or '-'}"

    async def _elsewhere(self, target: str, domain: str, text: str, depth: int) -> _Verdict:
        """The verdict of the record that an include or a redirect names."""
        self._note(depth, domain, text, "follow", target)
        verdict = await self.domain(target, depth + 1)
        if verdict.result is Result.NONE:
            problem = Problem(Cause.NO_RECORD, domain, text, target)
            raise self._permanent(problem, depth)
        return verdict

    async def _target(self, spec: MacroString, domain: str) -> str:
        """The name that `spec` stands for; a backslash would begin a master file's escape."""
        return spec.expand_name(await self._values(spec, domain)).replace("\\", "\\\\")

    async def _values(self, spec: MacroString, domain: str) -> Values:
        """What the letters stand for in the record of `domain`."""
        values = replace(self.values, domain=domain)
        if "p" not in spec.letters:
            return values
        return replace(values, validated=await best_name(self.resolver, values.ip, domain))

    def _count(self, domain: str, text: str, depth: int) -> None:
        self.dns += 1
        if self.dns > self.limits.dns:
            raise self._permanent(Problem(Cause.TOO_MANY_LOOKUPS, domain, text), depth)

    def _count_void(self, domain: str, text: str, depth: int) -> None:
        self.void += 1
        if self.void > self.limits.void:
            raise self._permanent(Problem(Cause.TOO_MANY_VOID, domain, text), depth)

    def _permanent(self, problem: Problem, depth: int) -> _Stop:
        self._note(depth, problem.domain, problem.term or "TXT", problem.cause, problem.detail)
        return _Stop(Result.PERMERROR, problem)

    def _failed(self, failure: LookupFailed, domain: str, text: str, depth: int) -> _Stop:
        problem = Problem(Cause.LOOKUP_FAILED, domain, text, str(failure))
        self._note(depth, domain, text, problem.cause, problem.detail)
        return _Stop(Result.TEMPERROR, problem)

    def _note(self, depth: int, domain: str, text: str, outcome: str, found: str = "") -> None:
        self.trace.append(Step(depth, domain, text, outcome, found))
