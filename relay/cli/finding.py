"""What `relay check` finds, one value for each thing looked at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from relay.cli.session import Session
from relay.cli.texts import parts

Severity = Literal["ok", "info", "warning", "error", "unknown"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `id` is stable; title, detail and remedy are in the user's language."""

    id: str
    severity: Severity
    title: str
    detail: str
    remedy: tuple[str, ...] = ()
    evidence: dict[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "severity": self.severity,
            "title": self.title,
            "detail": self.detail,
            "remedy": list(self.remedy),
            "evidence": self.evidence,
        }


def verdict(findings: Iterable[Finding]) -> Literal["fail", "unknown", "warn", "pass"]:
    """The worst of all: an error, then what could not be checked, then a warning."""
    severities = {finding.severity for finding in findings}
    if "error" in severities:
        return "fail"
    if "unknown" in severities:
        return "unknown"
    return "warn" if "warning" in severities else "pass"


def make(session: Session, id_: str, severity: Severity, case: str, /, **values: Any) -> Finding:
    """A finding with the texts `check.ID` (title) and `check.ID.CASE` (detail|remedy|...)."""
    detail, *remedy = parts(f"check.{id_}.{case}", session.language, **values)
    title = session.text(f"check.{id_}", **values)
    evidence = {name: str(value) for name, value in values.items()}
    return Finding(id_, severity, title, detail, tuple(remedy), evidence)
