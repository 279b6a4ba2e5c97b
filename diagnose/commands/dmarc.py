"""`diagnose dmarc`: the DMARC policy of a domain."""

from __future__ import annotations

from typing import Annotated

import typer

from diagnose.finding import Examination
from diagnose.options import Run, examines, stop


@examines
async def dmarc(
    run: Run,
    domain: Annotated[str, typer.Argument(metavar="DOMAIN", help="The domain behind the @.")],
) -> Examination:
    """Look at the DMARC policy that holds for a domain, and at where its reports go.

    Example: diagnose dmarc mijnbakkerij.nl
    """
    from diagnose.checks.dmarc import examine
    from diagnose.domain import BadName, parse_domain

    try:
        parsed = parse_domain(domain, run.language)
    except BadName as error:
        stop(str(error))
    return await examine(parsed, run.circumstances)
