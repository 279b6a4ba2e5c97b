"""`relay account`: the logins at the smarthosts."""

from __future__ import annotations

from typing import Annotated

import typer

from relay.cli.account_login import login
from relay.cli.options import ConfigOption, JsonOption, LangOption
from relay.cli.output import print_json
from relay.cli.session import EXIT_PROBLEMS, EXIT_UNCHECKED, open_session

app = typer.Typer(
    name="account",
    help="The logins at the smarthosts; a refused one is paused.\n\nExample: relay account list",
    no_args_is_help=True,
    rich_markup_mode=None,
)

NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="A smarthost's name, or a user name.")
]


app.command()(login)


@app.command("list")
def list_(
    config: ConfigOption = None, lang: LangOption = None, as_json: JsonOption = False
) -> None:
    """List the accounts: until when each works, what it used, and why a paused one is paused.

    Example: relay account list
    """
    from relay.cli.account_text import print_accounts
    from relay.cli.ask import ask

    session = open_session(config, lang, as_json)
    found = ask(session, "account list", lambda desk: desk.account_list(session.language))
    if as_json:
        print_json(found)
    else:
        print_accounts(session, found["accounts"])


@app.command("test")
def try_(
    name: NameArgument,
    force: Annotated[
        bool, typer.Option("--force", help="Also while the account is paused: a risk of a lockout.")
    ] = False,
    config: ConfigOption = None,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Log in once and send nothing: exit 0 accepted, 1 refused, 3 could not check.

    Example: relay account test isp
    """
    from relay.cli.account_text import print_test
    from relay.cli.ask import ask
    from relay.control.account_documents import login_refused

    session = open_session(config, lang, as_json)
    found = ask(
        session, "account test", lambda desk: desk.account_test(name, force, session.language)
    )
    if as_json:
        print_json(found)
    else:
        print_test(session, found)
    if not found["accepted"]:
        raise typer.Exit(EXIT_PROBLEMS if login_refused(found) else EXIT_UNCHECKED)


@app.command()
def pause(
    name: NameArgument,
    config: ConfigOption = None,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Log in no more until `relay account resume`; the account's mail waits.

    Example: relay account pause isp
    """
    from relay.cli.ask import ask

    session = open_session(config, lang, as_json)
    answer = ask(session, "account pause", lambda desk: desk.account_pause(name))
    if as_json:
        print_json(answer)
        return
    for each in answer["paused"]:
        print(session.text("account.paused", **each))


@app.command()
def resume(
    name: NameArgument,
    config: ConfigOption = None,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Try a paused account again, once its password or consent is right.

    Example: relay account resume isp
    """
    from relay.cli.ask import ask

    session = open_session(config, lang, as_json)
    answer = ask(session, "account resume", lambda desk: desk.account_resume(name))
    if as_json:
        print_json(answer)
        return
    for each in answer["resumed"]:
        print(session.text("account.resumed", **each))
    for each in answer["unchanged"]:
        print(session.text("account.unchanged", **each))
