"""How a server's answer differs from what a preset says of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from diagnose.checks.attempt import Attempt
from diagnose.finding import Severity
from presets.model import Endpoint


@dataclass(frozen=True, slots=True)
class Drift:
    """One difference: what the preset `said`, what was `seen`. `id` is the finding's."""

    id: str
    severity: Severity
    said: str
    seen: str


def drift_of(endpoint: Endpoint, attempt: Attempt) -> tuple[Drift, ...]:
    """The differences at one endpoint that answered."""
    return tuple(_differences(endpoint, attempt))


def offered_mechanisms(attempt: Attempt) -> tuple[str, ...]:
    """The login mechanisms of EHLO, each once, also those of the old form `AUTH=LOGIN`."""
    lines = (line.upper().replace("AUTH=", "AUTH ", 1) for line in _capabilities(attempt))
    named = (name for line in lines if line.startswith("AUTH ") for name in line.split()[1:])
    return tuple(dict.fromkeys(named))


def _differences(endpoint: Endpoint, attempt: Attempt) -> Iterator[Drift]:
    # What a source did not confirm may be wrong: that is a warning, not an error.
    severity = Severity.ERROR if endpoint.confirmed else Severity.WARNING
    if attempt.outcome != "open":
        yield Drift("preset-port-closed", severity, "open", attempt.outcome)
        return
    if attempt.cause != "open":
        seen = attempt.banner or attempt.cause
        yield Drift("preset-not-ready", Severity.WARNING, "220", seen)
        return
    tls = str(attempt.evidence.get("tls", "none"))
    if tls != endpoint.tls and endpoint.tls != "none":
        yield Drift("preset-tls-differs", severity, endpoint.tls, tls)
        return
    expected = [name for name in endpoint.auth if name != "none"]
    offered = offered_mechanisms(attempt)
    if not expected or not _capabilities(attempt):
        return
    said, seen = " ".join(expected), " ".join(offered) or "-"
    missing = [name for name in expected if name not in offered]
    if len(missing) == len(expected):
        yield Drift("preset-auth-differs", severity, said, seen)
    elif missing:
        yield Drift("preset-auth-fewer", Severity.INFO, said, seen)


def _capabilities(attempt: Attempt) -> list[str]:
    return list(attempt.evidence.get("capabilities", ()))
