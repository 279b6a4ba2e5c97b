"""What the attempts to reach a mail server add up to: one finding for each thing that is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from diagnose.checks.attempt import Attempt, Place
from diagnose.checks.greeting import READING_PORTS
from diagnose.finding import Finding, Severity
from diagnose.runner import Circumstances
from diagnose.target import Target
from diagnose.wording import finding

_USABLE = frozenset({"open", "another-name"})
_INTERCEPTED = frozenset({"antivirus", "smtp-inspection", "another-name"})
_DIALOGUE = _INTERCEPTED | {"greeting-refused", "open"}


@dataclass(frozen=True, slots=True)
class _Group:
    """Attempts at one host that ended alike."""

    cause: str
    attempts: tuple[Attempt, ...]

    @property
    def promised(self) -> bool:
        return any(it.place.promised for it in self.attempts)

    def evidence(self, target: Target, circumstances: Circumstances) -> dict[str, Any]:
        """Of the first attempt, with the ports and addresses of all."""
        first = self.attempts[0]
        ports = sorted({it.place.port for it in self.attempts})
        addresses = dict.fromkeys(it.address.text for it in self.attempts if it.address)
        return {
            "host": first.place.host,
            "ports": ", ".join(map(str, ports)),
            "addresses": ", ".join(addresses),
            "target": target.text,
            "seconds": f"{circumstances.timeout_seconds:g}",
            "banner": first.banner or "",
            **dict.fromkeys(("error", "from_address", "name", "product", "issuer", "source"), ""),
            **first.evidence,
        }


@dataclass(frozen=True, slots=True)
class _Standing:
    """What works, against which trouble elsewhere is weighed."""

    usable: frozenset[Place]
    promises: bool

    @classmethod
    def of(cls, attempts: Sequence[Attempt]) -> _Standing:
        usable = {it.place for it in attempts if it.cause in _USABLE and it.outcome == "open"}
        return cls(frozenset(usable), any(it.place.promised for it in attempts))

    @property
    def suffices(self) -> bool:
        """Whether mail can leave where it should: over a promised port, if there is one."""
        return any(place.promised or not self.promises for place in self.usable)

    def elsewhere(self, group: _Group) -> bool:
        """Whether each of these ports works over another address of its host."""
        if group.cause == "unreachable":
            return any(place.host == group.attempts[0].place.host for place in self.usable)
        return all(it.place in self.usable for it in group.attempts)

    def severity(self, group: _Group) -> Severity:
        """Trouble counts less where something else works, or where nothing was promised."""
        if group.cause == "open":
            return Severity.OK
        if group.cause == "dns-failed":
            return Severity.UNKNOWN
        if group.cause == "another-name" and group.attempts[0].outcome == "open":
            return Severity.WARNING
        if self.elsewhere(group):
            return Severity.INFO if group.cause == "unreachable" else Severity.WARNING
        if self.suffices or (self.promises and not group.promised):
            notable = group.promised or group.cause in _INTERCEPTED
            return Severity.WARNING if notable else Severity.INFO
        return Severity.ERROR


def judge(
    target: Target, attempts: Sequence[Attempt], circumstances: Circumstances
) -> list[Finding]:
    """The findings: what works, what does not and what to do, and whether one port is left."""
    standing = _Standing.of(attempts)
    findings = [
        _finding(group, standing, group.evidence(target, circumstances), circumstances)
        for group in _groups(attempts, standing)
    ]
    ports = {place.port for place in standing.usable}
    if len(ports) == 1 and len({it.place.port for it in attempts}) > 1:
        only = next(iter(standing.usable))
        known = {"host": only.host, "port": only.port}
        findings.append(
            finding("connect/only-open-port", Severity.INFO, circumstances.language, **known)
        )
    return findings


def _groups(attempts: Sequence[Attempt], standing: _Standing) -> list[_Group]:
    found: dict[tuple[Any, ...], list[Attempt]] = {}
    for it in attempts:
        apart: tuple[Any, ...] = ()
        if it.cause in _DIALOGUE:  # one dialogue, one explanation
            apart = (
                () if it.cause == "open" else (it.banner, it.outcome, it.evidence.get("product"))
            )
        elif it.address is not None and it.cause == "unreachable":
            apart = (it.address.family,)
        elif it.address is not None:
            port_25 = it.cause == "dropped" and it.place.port == 25
            apart = (it.place.promised, it.place in standing.usable, port_25)
        found.setdefault((it.place.host, it.cause, *apart), []).append(it)
    return [_Group(key[1], tuple(some)) for key, some in found.items()]


def _finding(
    group: _Group, standing: _Standing, evidence: dict[str, Any], circumstances: Circumstances
) -> Finding:
    id_ = group.cause
    if id_ == "unreachable" and all(it.address and it.address.family == 6 for it in group.attempts):
        id_ = "no-ipv6"
    elif id_ in ("dropped", "refused", "no-greeting") and standing.elsewhere(group):
        id_ = "one-address-fails"
    elif id_ == "dropped" and {it.place.port for it in group.attempts} == {25}:
        id_ = "port-25-dropped"
    elif id_ != "open" and {it.place.port for it in group.attempts} <= READING_PORTS.keys():
        id_ = "mail-reading-port" if group.attempts[0].address else id_
    if id_ == "open":
        shared = ("host", "ports", "addresses", "capabilities")
        evidence = {key: evidence.get(key) for key in shared}
        evidence["attempts"] = [
            {"address": it.address.text, "port": it.place.port, **it.evidence}
            for it in group.attempts
            if it.address
        ]
    made = finding(f"connect/{id_}", standing.severity(group), circumstances.language, **evidence)
    made = replace(made, evidence={key: it for key, it in evidence.items() if it not in ("", None)})
    return _explained(made, evidence, circumstances) if id_ == "greeting-refused" else made


def _explained(made: Finding, evidence: dict[str, Any], circumstances: Circumstances) -> Finding:
    from presets.explain import Phase, explain

    found = explain(str(evidence["banner"]), phase=Phase.GREETING, language=circumstances.language)
    return replace(made, detail=found.meaning, remedy=found.steps, reference=found.source)
