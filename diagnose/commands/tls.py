"""`diagnose tls`: whether the connection to a mail server is encrypted and trusted."""

from __future__ import annotations

from typing import Annotated

import typer

from diagnose.finding import Examination
from diagnose.options import Run, examines, stop


@examines
async def tls(
    run: Run,
    target: Annotated[str, typer.Argument(help="A preset, a mail server, or server:port.")],
) -> Examination:
    """Examine STARTTLS or implicit TLS and the certificate, as the relay would judge them.

    Example: diagnose tls smtp.ziggo.nl:587
    """
    from diagnose.checks.tls import examine_tls
    from diagnose.target import BadTarget, read_target
    from diagnose.wording import say

    try:
        found = read_target(target, run.language)
    except BadTarget as bad:
        stop(str(bad))
    try:
        return await examine_tls(found, run.circumstances)
    except OSError as error:
        file = run.circumstances.ca_file
        stop(say("tls/bad-ca-file", run.language, file=file, error=error.strerror or error))
