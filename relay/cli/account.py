"""`relay account`: the logins at the smarthosts."""

from __future__ import annotations

from typing import Annotated

import typer

from relay.cli.options import ConfigOption, JsonOption, LangOption
from relay.cli.output import local_time, print_json, print_table, reply_text
from relay.cli.session import open_session

app = typer.Typer(
    name="account",
    help="The logins at the smarthosts; a refused one is paused.\n\nExample: relay account list",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("list")
def list_(
    config: ConfigOption = None, lang: LangOption = None, as_json: JsonOption = False
) -> None:
    """List the accounts, and why a paused one is paused.

    Example: relay account list
    """
    from relay.cli.ask import ask

    session = open_session(config, lang, as_json)
    found = ask(session, "account list", lambda desk: desk.account_list(session.language))
    if as_json:
        print_json(found)
        return
    print_table(
        session.text("account.headers").split("|"),
        (
            [
                each["username"],
                each["host"],
                ", ".join(each["smarthosts"]),
                local_time(each["paused_at"]),
                reply_text(each["reply"]) or each["cause"],
            ]
            for each in found["accounts"]
        ),
    )
    for each in found["accounts"]:
        if each["explanation"]:
            print(f"\n{each['username']}: {each['explanation']['meaning']}")
            for number, step in enumerate(each["explanation"]["steps"], 1):
                print(f"  {number}. {step}")


@app.command()
def resume(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A smarthost's name, or a user name.")
    ],
    config: ConfigOption = None,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Try a paused account again, once its password is right.

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
