"""The command `diagnose`: its subcommands put together, and the last net below them."""

from __future__ import annotations

import sys
import traceback
from io import TextIOWrapper
from typing import Annotated

import typer

from diagnose.commands import presets
from diagnose.commands.auth import auth
from diagnose.commands.connect import connect
from diagnose.commands.dkim import dkim
from diagnose.commands.dmarc import dmarc
from diagnose.commands.explain import explain
from diagnose.commands.fleet import fleet
from diagnose.commands.report import ReportCommand, report
from diagnose.commands.send import send
from diagnose.commands.sender import sender
from diagnose.commands.spf import spf
from diagnose.commands.tls import tls
from diagnose.options import locale_language
from relay import __version__
from relay.cli.help import ExampleFirst

EXIT_BUG = 70

app = typer.Typer(
    name="diagnose",
    cls=ExampleFirst,
    help="Examines why mail does not leave, and says what to do.\n\n"
    'Example: diagnose explain "535 5.7.8 Authentication failed" --provider ziggo',
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for command in (connect, tls, auth, spf, dmarc, dkim, sender, explain, send, fleet):
    app.command()(command)
app.command(cls=ReportCommand)(report)
app.add_typer(presets.app, cls=ExampleFirst)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"diagnose {__version__}")
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
        app(prog_name="diagnose")
    except Exception as error:  # noqa: BLE001 - the last net: whatever gets here is a bug
        from diagnose.render import text

        frame = traceback.extract_tb(error.__traceback__)[-1]
        what = " ".join("".join(traceback.format_exception_only(error)).split())
        where = f"{what} ({frame.filename}:{frame.lineno})"
        print(text("bug", locale_language(), error=where), file=sys.stderr)
        sys.exit(EXIT_BUG)
