"""The command `relay` as a whole: its groups, its exit codes, and the last net for our own bugs."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence

import typer

from relay.cli.serve import serve
from relay.cli.session import EXIT_BUG, locale_language, talk
from relay.cli.texts import text

app = typer.Typer(
    name="relay",
    help="Accepts mail from listed machines, keeps it safe, and forwards it with credentials.\n\n"
    "Example: relay serve",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command("serve")(serve)


@app.callback()
def _top() -> None:
    pass


def main() -> None:
    """Run a command and exit: 0 good, 1 problems, 2 usage, 3 could not check, 70 our bug."""
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
