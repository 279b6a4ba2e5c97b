"""`diagnose sender`: may an account send as an address, and will receivers believe it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diagnose.commands.auth import PasswordFile, Username
from diagnose.finding import Examination
from diagnose.options import Run, examines, stop

if TYPE_CHECKING:
    from diagnose.account import Chosen


@examines
async def sender(
    run: Run,
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="What stands in From.")],
    via: Annotated[
        str, typer.Option("--via", metavar="PRESET", help="The provider that sends, or its server.")
    ],
    username: Username = None,
    password_file: PasswordFile = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", help="Count the signature of the relay with this relay.toml."),
    ] = None,
) -> Examination:
    """Tell whether an account may send as an address, and what receivers make of it.

    With --password-file it logs in once and tries the address with MAIL; nothing is sent.

    Example: diagnose sender info@mijnbakkerij.nl --via ziggo --username mijnbakkerij@ziggo.nl
    """
    from diagnose.account import as_the_relay
    from diagnose.checks.dkim_relay import own_key
    from diagnose.checks.sender import Question, examine
    from diagnose.domain import BadName, parse_address
    from diagnose.relay_config import joined_config
    from diagnose.wording import say
    from presets.catalog import catalog
    from presets.names import UnknownPreset

    if password_file is not None and username is None:
        stop(say("sender/no-username", run.language))
    try:
        parsed = parse_address(address, run.language)
        found = catalog().resolve(via)
    except BadName as error:
        stop(str(error))
    except UnknownPreset as error:
        stop(error.text.get(run.language))
    chosen: Chosen | None = None
    if password_file is not None:
        from diagnose.account import Login, from_server

        chosen = from_server(via, Login(username, password_file), None, run)
    joined, notes = joined_config(config, run)
    if chosen is not None and joined is not None:
        chosen = as_the_relay(chosen, joined)
    own = own_key(joined, parsed.domain)
    question = Question(parsed, found.preset, username, chosen, found.warning, own)
    examined = await examine(question, run.circumstances)
    return replace(examined, findings=(*notes, *examined.findings))
