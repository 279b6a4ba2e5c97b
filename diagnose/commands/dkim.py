"""`diagnose dkim`: the DKIM keys of a domain."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from diagnose.finding import Examination
from diagnose.options import Run, examines, stop


@examines
async def dkim(
    run: Run,
    domain: Annotated[str, typer.Argument(metavar="DOMAIN", help="The domain behind the @.")],
    selector: Annotated[
        list[str] | None,
        typer.Option("--selector", metavar="S", help="Look here, not at the usual; repeatable."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="Compare with the key of this relay.toml.")
    ] = None,
) -> Examination:
    """Look at the DKIM keys of a domain, the relay's own too. Exit 3: none at the usual selectors.

    Example: diagnose dkim mijnbakkerij.nl --selector selector1
    """
    from diagnose.checks.dkim import examine
    from diagnose.checks.dkim_relay import own_key
    from diagnose.domain import BadName, parse_domain, parse_selector
    from diagnose.relay_config import joined_config

    joined, notes = joined_config(config, run)
    try:
        parsed = parse_domain(domain, run.language)
        selectors = [parse_selector(each, run.language) for each in selector or ()]
    except BadName as error:
        stop(str(error))
    own = own_key(joined, parsed.name)
    found = await examine(parsed, selectors, run.circumstances, own)
    return replace(found, findings=(*notes, *found.findings))
