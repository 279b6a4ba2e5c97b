"""A report as people read it on paper: headings, tables and findings, in one language."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import relay
from diagnose.finding import Examination, Finding, Table
from diagnose.wording import Language, say

if TYPE_CHECKING:
    from diagnose.checks.report import Report

SEVERITIES = ("ok", "info", "warning", "unknown", "error")


@dataclass(frozen=True, slots=True)
class Page:
    """What the Markdown and the HTML of a report both show. `findings` has the worst last."""

    language: Language
    title: str
    made: str
    verdict: str
    verdict_text: str
    tables: Sequence[tuple[str, Sequence[Table]]]
    findings: Sequence[Finding]
    parts: Sequence[Examination]

    def heading(self, name: str) -> str:
        """One of the fixed headings."""
        return say(f"report/heading-{name}", self.language)


def page_of(report: Report, now: datetime, language: Language) -> Page:
    """The page of a report that was made at `now`."""
    whole = report.examination
    at = now.astimezone().strftime("%Y-%m-%d %H:%M %Z")
    return Page(
        language=language,
        title=say("report/page-title", language, target=whole.target),
        made=say("report/page-made", language, at=at, version=relay.__version__),
        verdict=whole.verdict.value,
        verdict_text=report.verdict_text,
        tables=[
            (say(f"report/heading-{name}", language), [table]) for name, table in report.tables
        ],
        findings=sorted(whole.findings, key=lambda each: SEVERITIES.index(each.severity.value)),
        parts=[each.examination for each in report.parts],
    )
