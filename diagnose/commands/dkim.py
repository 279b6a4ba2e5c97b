"""`diagnose dkim`: the DKIM keys of a domain."""

from __future__ import annotations

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
) -> Examination:
    """Look at the DKIM keys of a domain. Exit 3: none at the usual selectors.

    Example: diagnose dkim mijnbakkerij.nl --selector selector1
    """
    from diagnose.checks.dkim import examine
    from diagnose.domain import BadName, parse_domain, parse_selector

    try:
        parsed = parse_domain(domain, run.language)
        selectors = [parse_selector(each, run.language) for each in selector or ()]
    except BadName as error:
        stop(str(error))
    return await examine(parsed, selectors, run.circumstances)
