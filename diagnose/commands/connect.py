"""`diagnose connect`: which ports of a mail server can be reached from here."""

from __future__ import annotations

from typing import Annotated

import typer

from diagnose.finding import Examination
from diagnose.options import Run, examines, stop


@examines
async def connect(
    run: Run,
    target: Annotated[str, typer.Argument(help="A preset, a mail server, or server:port.")],
) -> Examination:
    """Try the ports of a mail server over IPv4 and IPv6, and tell what stands in the way.

    Example: diagnose connect ziggo
    """
    from diagnose.checks.connect import examine_connect
    from diagnose.target import BadTarget, read_target

    try:
        found = read_target(target, run.language)
    except BadTarget as bad:
        stop(str(bad))
    return await examine_connect(found, run.circumstances)
