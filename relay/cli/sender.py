"""`relay sender`: the sender rules that `relay queue cure` adopted."""

from __future__ import annotations

from typing import Annotated

import typer

from relay.cli.options import ConfigOption, JsonOption, LangOption
from relay.cli.output import cell, local_time, print_json, print_table
from relay.cli.session import EXIT_PROBLEMS, open_session, talk

app = typer.Typer(
    name="sender",
    help="As whom mail leaves, beside the sender policies of relay.toml: the rules that "
    "relay queue cure adopted.\n\nExample: relay sender list",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("list")
def list_(
    config: ConfigOption = None, lang: LangOption = None, as_json: JsonOption = False
) -> None:
    """List the rules.

    Example: relay sender list
    """
    from relay.cli.ask import ask

    session = open_session(config, lang, as_json)
    found = ask(session, "sender list", lambda desk: desk.sender_list())
    if as_json:
        print_json(found)
        return
    if not found["rules"]:
        print(session.text("sender.none"))
        return
    gone = session.text("sender.gone")
    print_table(
        session.text("sender.headers").split("|"),
        (
            [
                each["sender"],
                each["smarthost"] + ("" if each["configured"] else f" {gone}"),
                each["address"],
                local_time(each["adopted_at"]),
            ]
            for each in found["rules"]
        ),
    )


@app.command()
def remove(
    sender: Annotated[
        str, typer.Argument(metavar="SENDER", help="An address or *@domain, as sender list shows.")
    ],
    smarthost: Annotated[
        str | None, typer.Option("--smarthost", help="Only the rule of this smarthost.")
    ] = None,
    config: ConfigOption = None,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a rule back: mail of this sender leaves as itself again.

    Example: relay sender remove info@mijnbakkerij.nl
    """
    from relay.cli.ask import ask

    session = open_session(config, lang, as_json)
    answer = ask(session, "sender remove", lambda desk: desk.sender_remove(sender, smarthost))
    if as_json:
        print_json(answer)
    else:
        for rule in answer["removed"]:
            print(cell(session.text("sender.removed", **rule)))
    if not answer["removed"]:
        talk(cell(session.text("sender.unknown", sender=sender)))
        raise typer.Exit(EXIT_PROBLEMS)
