"""A report as Markdown, for a ticket or a mail. What servers said cannot become markup."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from diagnose.finding import Examination, Finding, Table
from diagnose.page import Page
from presets.reply import sanitise

_MARKUP = re.compile(r"[\\`*_\[\]|~<>&$]")
_LINE_START = re.compile(
    r"\d{1,9}(?=[.)](?:\s|$))|(?=[-+=#])"
)  # a heading, a rule, an item of a list
_LONGEST = 4000


def markdown(page: Page) -> str:
    """The whole report."""
    return "\n".join(_lines(page)) + "\n"


def _lines(page: Page) -> Iterator[str]:
    yield from (f"# {plain(page.title)}", "", plain(page.made), "")
    yield from (f"## {plain(page.heading('verdict'))}: {page.verdict}", "")
    yield from (plain(page.verdict_text), "")
    for heading, tables in page.tables:
        yield from (f"## {plain(heading)}", "")
        for each in tables:
            yield from _table(each)
    yield from (f"## {plain(page.heading('findings'))}", "")
    for finding in page.findings:
        yield from _finding(finding)
    yield from (f"## {plain(page.heading('details'))}", "")
    for part in page.parts:
        yield from _part(part)


def plain(text: object) -> str:
    """`text` as one line without any meaning to Markdown."""
    escaped = _MARKUP.sub(r"\\\g<0>", sanitise(str(text), _LONGEST))
    start = _LINE_START.match(escaped)
    if start is None:
        return escaped
    return f"{start[0]}\\{escaped[start.end() :]}"


def _finding(finding: Finding) -> Iterator[str]:
    yield f"- **{finding.severity.value}** {plain(finding.title)}"
    if finding.detail:
        yield f"  {plain(finding.detail)}"
    for number, step in enumerate(finding.remedy, 1):
        yield f"  {number}. {plain(step)}"
    yield ""


def _part(part: Examination) -> Iterator[str]:
    if not part.lines and not part.tables:
        return
    yield from (f"### {plain(part.command)} {plain(part.target or '')}", "")
    for line in filter(None, part.lines):
        yield from (plain(line), "")
    for each in part.tables:
        yield from _table(each)


def _table(table: Table) -> Iterator[str]:
    if table.title:
        yield from (plain(table.title), "")
    yield _row(table.headings)
    yield _row(["---"] * len(table.headings), escape=False)
    for row in table.rows:
        yield _row(row)
    yield ""


def _row(cells: Sequence[object], *, escape: bool = True) -> str:
    shown = ["" if cell is None else plain(cell) if escape else str(cell) for cell in cells]
    return f"| {' | '.join(shown)} |"
