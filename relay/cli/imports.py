"""`relay import`: moving in from another relay."""

from __future__ import annotations

import typer

from relay.cli.import_mail import emailrelay, eml
from relay.cli.import_postfix import postfix

app = typer.Typer(
    name="import",
    help="Moving in: takes over a Postfix configuration, E-MailRelay's spool, or .eml files; "
    "shows what it understood before it writes.\n\n"
    "Example: relay import postfix /etc/postfix",
    no_args_is_help=True,
    rich_markup_mode=None,
)
for command in (postfix, emailrelay, eml):
    app.command(command.__name__)(command)
