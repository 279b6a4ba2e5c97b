"""`diagnose auth`: does the server take this login."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from diagnose.finding import Examination
from diagnose.options import Run, examines, stop

if TYPE_CHECKING:
    from diagnose.account import Chosen

Username = Annotated[
    str | None, typer.Option("--username", metavar="U", help="The login at the server.")
]
PasswordFile = Annotated[
    Path | None,
    typer.Option("--password-file", metavar="F", help="Holds the password; else it is asked for."),
]
Tls = Annotated[
    Literal["none", "starttls", "implicit"] | None,
    typer.Option("--tls", help="Else as the preset says, or by the port."),
]
Config = Annotated[
    Path | None, typer.Option("--config", metavar="F", help="The relay's configuration.")
]
SmarthostName = Annotated[
    str | None,
    typer.Option("--smarthost", metavar="N", help="A smarthost of the relay's configuration."),
]
Force = Annotated[
    bool, typer.Option("--force", help="Log in even where the relay has paused the account.")
]


@examines
async def auth(
    run: Run,
    target: Annotated[
        str | None, typer.Argument(metavar="TARGET", help="A preset, a host, or host:port.")
    ] = None,
    username: Username = None,
    password_file: PasswordFile = None,
    tls: Tls = None,
    config: Config = None,
    smarthost: SmarthostName = None,
    force: Force = False,
) -> Examination:
    """Log in once, over verified TLS, and explain the answer. Nothing is sent, nothing is retried.

    Example: diagnose auth ziggo --username mijnbakkerij@ziggo.nl --password-file isp.secret
    """
    from diagnose.account import Login, from_config, from_server
    from diagnose.checks.auth import examine_login
    from diagnose.wording import say

    by_config = config is not None or smarthost is not None
    if by_config == (target is not None):
        stop(say("auth/one-server", run.language))
    chosen: Chosen
    if target is None:
        if username or password_file or tls:
            stop(say("auth/not-both", run.language))
        chosen = from_config(config, smarthost, run)
    else:
        chosen = from_server(target, Login(username, password_file), tls, run)
    if chosen.smarthost.username is None:
        stop(say("auth/no-login", run.language, target=chosen.target))
    return await examine_login(chosen, run.circumstances, force=force)
