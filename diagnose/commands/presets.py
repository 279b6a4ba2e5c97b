"""`diagnose presets`: what is known of each mail provider."""

from __future__ import annotations

from typing import Annotated

import typer

from diagnose.finding import Examination
from diagnose.options import Run, examines, stop

app = typer.Typer(
    name="presets",
    help="What is known of each mail provider.\n\nExample: diagnose presets show ziggo",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("list")
@examines
def list_(run: Run) -> Examination:
    """List the providers that are known.

    Example: diagnose presets list
    """
    from diagnose.catalogue import listing

    return listing(run.language)


@app.command("show")
@examines
def show(
    run: Run,
    name: Annotated[str, typer.Argument(metavar="ID", help="An id, a name, or a mail server.")],
) -> Examination:
    """Show a provider: servers, sender rule, limits, SPF, each with its source.

    Example: diagnose presets show microsoft365
    """
    from diagnose.catalogue import single
    from presets.names import UnknownPreset

    try:
        return single(name, run.language)
    except UnknownPreset as error:
        stop(error.text.get(run.language))
