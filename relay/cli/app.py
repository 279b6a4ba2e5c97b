"""The command `relay` as a whole: its groups, its exit codes, and the last net for our own bugs."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Annotated

import typer

from relay import __version__
from relay.cli import (
    account,
    alarm,
    client,
    dkim,
    imports,
    listener,
    queue,
    sender,
    service_unit,
    spool,
    web,
)
from relay.cli.check import check
from relay.cli.help import ExampleFirst
from relay.cli.serve import serve
from relay.cli.session import EXIT_BUG, locale_language, talk
from relay.cli.setup import setup
from relay.cli.status import reload, status
from relay.cli.texts import text
from relay.cli.why import why

app = typer.Typer(
    name="relay",
    cls=ExampleFirst,
    help="Accepts mail from listed machines, keeps it safe, and forwards it with credentials.\n\n"
    "Example: relay serve",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for command in (serve, setup, check, why, status, reload):
    app.command(command.__name__)(command)
for group in (
    queue,
    client,
    account,
    alarm,
    dkim,
    listener,
    sender,
    service_unit,
    spool,
    imports,
    web,
):
    app.add_typer(group.app, cls=ExampleFirst)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"relay {__version__}")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_version, help="Print the version."),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run a command and exit: 0 good, 1 problems, 2 usage, 3 could not check, 70 our bug."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # no code page makes a command fail
    try:
        app(prog_name="relay")
    except Exception as error:  # noqa: BLE001 - the last net: whatever gets here is a bug
        talk(text("bug", _language(sys.argv), error=_in_one_line(error)))
        sys.exit(EXIT_BUG)


def _language(arguments: Sequence[str]) -> str:
    for before, argument in zip(["", *arguments], arguments, strict=False):
        if before == "--lang" or argument.startswith("--lang="):
            return argument.removeprefix("--lang=")
    return locale_language()


def _in_one_line(error: Exception) -> str:
    what = " ".join("".join(traceback.format_exception_only(error)).split())
    frames = traceback.extract_tb(error.__traceback__)
    return f"{what} ({frames[-1].filename}:{frames[-1].lineno})" if frames else what
