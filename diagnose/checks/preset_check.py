"""`diagnose presets check`: what a preset says, held against DNS and the servers of today."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from diagnose.addresses import Lookup, look_up
from diagnose.checks.attempt import Attempt, Place, attempt
from diagnose.checks.preset_drift import Drift, drift_of, offered_mechanisms
from diagnose.finding import Examination, Finding, Severity, Table
from diagnose.runner import Check, Circumstances, run_checks
from diagnose.spf.names import is_domain
from diagnose.wording import finding, say
from presets.model import Endpoint, Preset

_AT_ONCE = 24
_SILENT = frozenset({"timeout", "unreachable", "dns", "intercepted"})


@dataclass(frozen=True, slots=True)
class Answer:
    """How one endpoint answered; `attempt` is None where its name has no address."""

    endpoint: Endpoint
    attempt: Attempt | None

    @property
    def checked(self) -> bool:
        """Whether something was heard that says anything about the preset."""
        return self.attempt is not None and self.attempt.outcome not in _SILENT

    @property
    def drift(self) -> tuple[Drift, ...]:
        """How it differs from what the preset says."""
        return drift_of(self.endpoint, self.attempt) if self.attempt and self.checked else ()


@dataclass(frozen=True, slots=True)
class Condition:
    """What was found out about one preset. `legacy` is the lookup of the server of 2015."""

    preset: Preset
    hosts: dict[str, Lookup]
    answers: tuple[Answer, ...]
    legacy: Lookup | None = None

    @property
    def moved(self) -> bool:
        """Whether the server of 2015 has another address now."""
        old = self.preset.legacy.ip if self.preset.legacy else None
        if old is None or self.legacy is None:
            return False
        of_old = ip_address(old)
        now = [ip_address(each.text) for each in self.legacy.addresses]
        # With -6 only the other family was asked for.
        return any(each.version == of_old.version for each in now) and of_old not in now

    def document(self) -> dict[str, Any]:
        old = self.preset.legacy
        return {
            "id": self.preset.id,
            "hosts": [
                {"host": host, "addresses": [each.text for each in found.addresses]}
                for host, found in self.hosts.items()
            ],
            "legacy": {"server": old.server, "address": old.ip, "moved": self.moved}
            if old is not None and self.legacy is not None
            else None,
            "endpoints": [_answer_document(each) for each in self.answers],
        }


@dataclass
class _Examiner:
    """One run over some presets, with its bound on connections."""

    circumstances: Circumstances
    conditions: dict[str, Condition] = field(default_factory=dict)
    limit: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))

    def check_of(self, preset: Preset, *, alone: bool) -> Check:
        async def check() -> Sequence[Finding]:
            condition = await self._condition(preset)
            self.conditions[preset.id] = condition
            return findings_about(condition, self.circumstances, alone=alone)

        return Check(say("preset-check/check", self.circumstances.language, id=preset.id), check)

    async def _condition(self, preset: Preset) -> Condition:
        endpoints = [end for end in preset.endpoints if not end.blanks]
        hosts = list(dict.fromkeys(end.host for end in endpoints))
        legacy = preset.legacy.server if preset.legacy else ""
        names = [*hosts, *([legacy] if is_domain(legacy) and legacy not in hosts else [])]
        lookups = await asyncio.gather(*map(self._look_up, names))
        found = dict(zip(names, lookups, strict=True))
        answers = await asyncio.gather(*(self._answer(end, found[end.host]) for end in endpoints))
        current = {host: found[host] for host in hosts}
        return Condition(preset, current, tuple(answers), found.get(legacy))

    async def _look_up(self, host: str) -> Lookup:
        async with self.limit:
            return await look_up(host, self.circumstances)

    async def _answer(self, endpoint: Endpoint, found: Lookup) -> Answer:
        if not found.addresses:
            return Answer(endpoint, None)
        place = Place(endpoint.host, endpoint.port, endpoint.tls, promised=True)
        async with self.limit:
            seconds = self.circumstances.timeout_seconds
            return Answer(endpoint, await attempt(place, found.addresses[0], seconds))


async def examine(
    presets: Sequence[Preset], target: str | None, circumstances: Circumstances
) -> Examination:
    """How each preset compares with today; unknown where nothing of one could be checked."""
    examiner = _Examiner(circumstances)
    checks = [examiner.check_of(preset, alone=len(presets) == 1) for preset in presets]
    found = await run_checks(checks, circumstances)
    conditions = [examiner.conditions[it.id] for it in presets if it.id in examiner.conditions]
    content = {"presets": [condition.document() for condition in conditions]}
    rows = [_row(condition, answer) for condition in conditions for answer in condition.answers]
    headings = tuple(say("preset-check/headings", circumstances.language).split("|"))
    tables = [Table(headings, rows)] if rows else []
    return Examination("presets check", target, found, content, tables)


def findings_about(
    condition: Condition, circumstances: Circumstances, *, alone: bool
) -> list[Finding]:
    """The findings about one preset; `alone` where it is the only one that was asked for."""
    preset = condition.preset
    found: list[Finding] = []

    def add(id_: str, severity: Severity, **evidence: object) -> None:
        place = f"preset-check/{id_}"
        found.append(finding(place, severity, circumstances.language, id=preset.id, **evidence))

    for host, lookup in condition.hosts.items():
        if lookup.problem in ("no-such-name", "no-address"):
            severity = Severity.INFO if preset.status.ended else Severity.ERROR
            add("preset-name-gone", severity, host=host)
        elif lookup.problem is not None:
            add("preset-dns-failed", Severity.UNKNOWN, host=host, error=lookup.detail)
    heard = any(answer.checked for answer in condition.answers)
    for answer in condition.answers:
        where = {"host": answer.endpoint.host, "port": answer.endpoint.port}
        if answer.attempt is not None and not answer.checked:
            severity = Severity.WARNING if heard else Severity.UNKNOWN
            add("preset-port-silent", severity, **where, outcome=answer.attempt.outcome)
        for drift in answer.drift:
            add(drift.id, drift.severity, **where, said=drift.said, seen=drift.seen)
        if answer.checked and not answer.drift:
            add("preset-ok", Severity.OK, **where)
    found += _about_legacy(condition, circumstances)
    if not condition.hosts and condition.legacy is None:
        add("preset-nothing", Severity.UNKNOWN if alone else Severity.INFO)
    return found


def _about_legacy(condition: Condition, circumstances: Circumstances) -> list[Finding]:
    """What became of the server that the table of 2015 names."""
    old, lookup = condition.preset.legacy, condition.legacy
    if old is None or lookup is None or (lookup.problem and old.server in condition.hosts):
        return []  # nothing to tell, or it was told of the preset's own server
    evidence = {
        "id": condition.preset.id,
        "host": old.server,
        "old": old.ip,
        "now": ", ".join(each.text for each in lookup.addresses),
        "date": old.date,
    }
    if lookup.problem in ("no-such-name", "no-address"):
        id_, severity = "legacy-name-gone", Severity.INFO
    elif lookup.problem is not None:
        id_, severity = "preset-dns-failed", Severity.UNKNOWN
        evidence["error"] = lookup.detail
    elif condition.moved:
        id_, severity = "legacy-moved", Severity.INFO
    else:
        return []
    return [finding(f"preset-check/{id_}", severity, circumstances.language, **evidence)]


def _answer_document(answer: Answer) -> dict[str, Any]:
    attempt = answer.attempt
    return {
        "host": answer.endpoint.host,
        "port": answer.endpoint.port,
        "outcome": attempt.outcome if attempt else "dns",
        "address": attempt.address.text if attempt and attempt.address else None,
        "banner": attempt.banner if attempt else None,
        "tls": attempt.evidence.get("tls") if attempt else None,
        "auth": list(offered_mechanisms(attempt)) if attempt else [],
        "milliseconds": attempt.milliseconds if attempt else None,
        "differs": [drift.id for drift in answer.drift],
    }


def _row(condition: Condition, answer: Answer) -> tuple[object, ...]:
    told = _answer_document(answer)
    differs = ", ".join(each.removeprefix("preset-") for each in told["differs"])
    auth = " ".join(told["auth"])
    where = f"{told['host']}:{told['port']}"
    return condition.preset.id, where, told["outcome"], told["tls"], auth, differs
