"""`diagnose report`: all examinations of a configuration or a domain at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from diagnose.finding import Examination
from diagnose.options import Run, examines, stop

if TYPE_CHECKING:
    from diagnose.checks.report import Report
    from diagnose.checks.report_parts import Wishes

_STDOUT = "-"
_MARKDOWN = "--markdown"


class ReportCommand(TyperCommand):
    """`--markdown` without a file writes to standard output, as `--markdown -` does."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        given = []
        for argument, after in zip(args, [*args[1:], "--"], strict=True):
            given.append(argument)
            if argument == _MARKDOWN and after.startswith("-") and after != _STDOUT:
                given.append(_STDOUT)
        return super().parse_args(ctx, given)


@examines
async def report(
    run: Run,
    config: Annotated[
        Path | None, typer.Option("--config", metavar="F", help="The relay's configuration.")
    ] = None,
    domain: Annotated[
        str | None, typer.Option("--domain", metavar="D", help="A domain, without a relay.")
    ] = None,
    via: Annotated[
        list[str], typer.Option("--via", metavar="PRESET", help="A provider that sends for it.")
    ] = [],  # noqa: B006 - Typer's form of a list without a default
    no_ordernow: Annotated[
        bool, typer.Option("--no-ordernow", help="OrderNow does not send for this domain.")
    ] = False,
    no_login: Annotated[bool, typer.Option("--no-login", help="Try no login.")] = False,
    markdown: Annotated[
        str | None, typer.Option(_MARKDOWN, metavar="[FILE]", help="Write it as Markdown.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write it as one HTML file.")
    ] = None,
) -> Examination:
    """Examine everything: the relay, its servers and logins, the domains, and what changed.

    Example: diagnose report --config /etc/relay/relay.toml --html report.html
    """
    from diagnose.checks.report_parts import Wishes
    from diagnose.wording import say
    from presets.catalog import catalog
    from presets.names import UnknownPreset

    if config is not None and domain is not None:
        stop(say("report/not-both", run.language))
    if markdown == _STDOUT and run.as_json:
        stop(say("report/one-stdout", run.language))
    for file in (html, None if markdown in (None, _STDOUT) else Path(str(markdown))):
        _check_writable(file, run)
    try:
        vias = tuple(catalog().resolve(each).preset.id for each in via)
    except UnknownPreset as error:
        stop(error.text.get(run.language))
    found = await _examined(run, config, domain, Wishes(vias, not no_ordernow, not no_login))
    _write(found, run, markdown, html)
    if markdown == _STDOUT:
        raise typer.Exit(found.examination.exit_code(strict=run.strict))
    return found.examination


async def _examined(run: Run, config: Path | None, domain: str | None, wishes: Wishes) -> Report:
    from diagnose.checks.report import report_config, report_domain
    from diagnose.domain import BadName, parse_domain
    from diagnose.relay_config import joined_config
    from diagnose.wording import say

    if domain is not None:
        try:
            parsed = parse_domain(domain, run.language)
        except BadName as error:
            stop(str(error))
        return await report_domain(parsed, wishes, run.circumstances)
    joined, notes = joined_config(config, run)
    if joined is None:
        stop(say("report/nothing", run.language))
    return await report_config(joined, notes, wishes, run.circumstances)


def _check_writable(file: Path | None, run: Run) -> None:
    """What cannot be written is told before a login is spent on it; nothing is made yet."""
    import errno

    if file is None:
        return
    if file.is_dir():
        _cannot_write(file, IsADirectoryError(errno.EISDIR, "is a directory"), run)
    if not file.parent.is_dir():
        _cannot_write(file, FileNotFoundError(errno.ENOENT, "no such directory"), run)


def _cannot_write(file: Path, error: OSError, run: Run) -> None:
    from diagnose.wording import say

    stop(say("report/cannot-write", run.language, file=file, reason=error.strerror or error))


def _write(found: Report, run: Run, markdown: str | None, html: Path | None) -> None:
    """The files that were asked for; exit 2 where one cannot be written."""
    from diagnose import html as html_page
    from diagnose import markdown as markdown_page
    from diagnose.page import page_of
    from relay.clock import utc_now

    page = page_of(found, utc_now(), run.language)
    texts: dict[Path, str] = {}
    if html is not None:
        texts[html] = html_page.document(page)
    if markdown is not None and markdown != _STDOUT:
        texts[Path(markdown)] = markdown_page.markdown(page)
    for file, text in texts.items():
        try:
            file.write_text(text, encoding="utf-8", newline="\n")
        except OSError as error:
            _cannot_write(file, error, run)
    if markdown == _STDOUT:
        print(markdown_page.markdown(page), end="")
