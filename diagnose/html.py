"""A report as one HTML file: nothing is fetched, nothing runs, and it prints well."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence

from diagnose.finding import Examination, Finding, Table
from diagnose.page import Page
from presets.reply import sanitise

_LONGEST = 4000
_STYLE = """\
body { font: 16px/1.5 sans-serif; color: #1a1a1a; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1, h2, h3 { line-height: 1.2 }
table { border-collapse: collapse; width: 100%; margin: 0 0 1rem }
th, td { border: 1px solid #bbb; padding: .3rem .5rem; text-align: left; vertical-align: top;
  overflow-wrap: break-word }
th { background: #eee }
.made { color: #555 }
.verdict { border: 2px solid; padding: .5rem 1rem; overflow-wrap: anywhere }
.finding { border-left: .4rem solid #888; padding-left: .8rem; margin: 0 0 1rem;
  overflow-wrap: anywhere }
.fail, .error { border-color: #b00020 }
.warn, .warning { border-color: #b26a00 }
.unknown { border-color: #5b4b9a }
.pass, .ok { border-color: #1b7837 }
.finding p, .finding h3 { margin: 0; font-size: 1rem }
.line { font-family: monospace; overflow-wrap: anywhere }
@media print {
  body { font-size: 10pt; max-width: none; margin: 0 }
  .finding, tr { break-inside: avoid }
  h2, h3 { break-after: avoid }
}"""
# Should an escape ever be missed: the file may neither run a script nor fetch anything.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def document(page: Page) -> str:
    """The whole file."""
    return "\n".join(_lines(page)) + "\n"


def _lines(page: Page) -> Iterator[str]:
    yield "<!DOCTYPE html>"
    yield f'<html lang="{page.language}">'
    yield "<head>"
    yield '<meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    yield '<meta name="viewport" content="width=device-width">'
    yield f"<title>{plain(page.title)}</title>"
    yield f"<style>\n{_STYLE}\n</style>"
    yield "</head>"
    yield "<body>"
    yield f"<h1>{plain(page.title)}</h1>"
    yield f'<p class="made">{plain(page.made)}</p>'
    yield f"<h2>{plain(page.heading('verdict'))}: {page.verdict}</h2>"
    yield f'<p class="verdict {page.verdict}">{plain(page.verdict_text)}</p>'
    for heading, tables in page.tables:
        yield f"<h2>{plain(heading)}</h2>"
        for each in tables:
            yield from _table(each)
    yield f"<h2>{plain(page.heading('findings'))}</h2>"
    for finding in page.findings:
        yield from _finding(finding)
    yield f"<h2>{plain(page.heading('details'))}</h2>"
    for part in page.parts:
        yield from _part(part)
    yield "</body>"
    yield "</html>"


def plain(text: object) -> str:
    """`text` as one line without any meaning to HTML."""
    return html.escape(sanitise(str(text), _LONGEST))


def _finding(finding: Finding) -> Iterator[str]:
    yield f'<div class="finding {finding.severity.value}">'
    yield f"<h3>{finding.severity.value}: {plain(finding.title)}</h3>"
    if finding.detail:
        yield f"<p>{plain(finding.detail)}</p>"
    if finding.remedy:
        yield f"<ol>{''.join(f'<li>{plain(step)}</li>' for step in finding.remedy)}</ol>"
    if finding.reference:
        yield f"<p>{plain(finding.reference)}</p>"
    yield "</div>"


def _part(part: Examination) -> Iterator[str]:
    if not part.lines and not part.tables:
        return
    yield f"<h3>{plain(part.command)} {plain(part.target or '')}</h3>"
    for line in filter(None, part.lines):
        yield f'<p class="line">{plain(line)}</p>'
    for each in part.tables:
        yield from _table(each)


def _table(table: Table) -> Iterator[str]:
    if table.title:
        yield f"<p>{plain(table.title)}</p>"
    yield "<table>"
    yield _row("th", table.headings)
    for row in table.rows:
        yield _row("td", row)
    yield "</table>"


def _row(tag: str, cells: Sequence[object]) -> str:
    shown = ("" if cell is None else plain(cell) for cell in cells)
    return f"<tr>{''.join(f'<{tag}>{cell}</{tag}>' for cell in shown)}</tr>"
