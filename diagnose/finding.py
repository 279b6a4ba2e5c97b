"""What an examination found, and the document of schema diagnose/1 that holds it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

Document = dict[str, Any]

SCHEMA = "diagnose/1"


class Severity(StrEnum):
    """How bad a finding is; UNKNOWN is what could not be checked."""

    OK = "ok"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    UNKNOWN = "unknown"


class Verdict(StrEnum):
    """The findings as a whole."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found. `id` is a stable slug; title, detail and remedy are for people."""

    id: str
    severity: Severity
    title: str
    detail: str = ""
    remedy: tuple[str, ...] = ()
    evidence: dict[str, Any] = field(default_factory=dict)
    reference: str | None = None

    def document(self) -> Document:
        return {
            "id": self.id,
            "severity": self.severity.value,
            "title": self.title,
            "detail": self.detail,
            "remedy": list(self.remedy),
            "evidence": self.evidence,
            "reference": self.reference,
        }


@dataclass(frozen=True, slots=True)
class Table:
    """Rows for people, under the headings of their columns."""

    headings: tuple[str, ...]
    rows: Sequence[Sequence[object]]
    title: str = ""


@dataclass(frozen=True, slots=True)
class Examination:
    """All that a command found.

    `content` holds the command's own keys of the document, `lines` and `tables` the same for
    people, shown before the findings.
    """

    command: str
    target: str | None
    findings: Sequence[Finding]
    content: Document = field(default_factory=dict)
    tables: Sequence[Table] = ()
    lines: Sequence[str] = ()

    @property
    def verdict(self) -> Verdict:
        """Fail with an error; else unknown; else warn; else pass."""
        severities = {finding.severity for finding in self.findings}
        if Severity.ERROR in severities:
            return Verdict.FAIL
        if Severity.UNKNOWN in severities:
            return Verdict.UNKNOWN
        return Verdict.WARN if Severity.WARNING in severities else Verdict.PASS

    def exit_code(self, *, strict: bool) -> int:
        """0 good, 1 problems found (with `strict` warnings too), 3 could not check."""
        return {
            Verdict.PASS: 0,
            Verdict.WARN: 1 if strict else 0,
            Verdict.FAIL: 1,
            Verdict.UNKNOWN: 3,
        }[self.verdict]

    def document(self, seconds: float) -> Document:
        """The whole as one document; `seconds` is how long it took."""
        return {
            "schema": SCHEMA,
            "command": self.command,
            "target": self.target,
            "verdict": self.verdict.value,
            "findings": [finding.document() for finding in self.findings],
            **self.content,
            "seconds": round(seconds, 3),
        }
