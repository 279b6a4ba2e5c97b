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


@app.command("check")
@examines
async def check(
    run: Run,
    name: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="An id, a name, or a mail server.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All presets, as without an ID.")] = False,
) -> Examination:
    """Hold a preset against today: name, address, ports, STARTTLS, ways to log in.

    Nobody logs in. Exit 3: nothing of a preset could be checked.

    Example: diagnose presets check ziggo
    """
    from diagnose.checks.preset_check import examine
    from diagnose.wording import say
    from presets.catalog import catalog
    from presets.names import UnknownPreset

    if name is not None and every:
        stop(say("preset-check/not-both", run.language))
    try:
        chosen = [*catalog()] if name is None else [catalog().resolve(name).requested]
    except UnknownPreset as error:
        stop(error.text.get(run.language))
    return await examine(chosen, chosen[0].id if name else None, run.circumstances)


@app.command("discover")
@examines
async def discover(
    run: Run,
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="The mail address to set up.")],
) -> Examination:
    """Find the server to send through for an address. No host is guessed, nobody logs in.

    Example: diagnose presets discover info@mijnbakkerij.nl
    """
    from diagnose.checks.discover import examine
    from diagnose.domain import BadName, parse_address

    try:
        parsed = parse_address(address, run.language)
    except BadName as error:
        stop(str(error))
    return await examine(parsed, run.circumstances)
