"""`relay alarm`: whether an alarm would reach somebody."""

from __future__ import annotations

import typer

from relay.cli.options import ConfigOption, JsonOption, LangOption
from relay.cli.output import print_json, print_table
from relay.cli.session import EXIT_PROBLEMS, open_session, talk

app = typer.Typer(
    name="alarm",
    help="The ways in which the relay calls for help, [[alarm]] of relay.toml.\n\n"
    "Example: relay alarm test",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.callback()
def _group() -> None:
    pass


@app.command("test")
def try_all(
    config: ConfigOption = None, lang: LangOption = None, as_json: JsonOption = False
) -> None:
    """Send a test over each way, and tell which of them took it; exit 1 if one did not.

    Example: relay alarm test
    """
    from relay.cli.ask import ask

    session = open_session(config, lang, as_json, secrets=True)
    answer = ask(session, "alarm test", lambda desk: desk.alarm_test())
    ways = answer["ways"]
    if as_json:
        print_json(answer)
    elif ways:
        rows = [
            [
                each["way"],
                each["target"],
                session.text("alarm.told") if each["told"] else each["error"],
            ]
            for each in ways
        ]
        print_table(session.text("alarm.headers").split("|"), rows)
    if not ways:
        talk(session.text("alarm.none"))
    if not ways or not all(each["told"] for each in ways):
        raise typer.Exit(EXIT_PROBLEMS)
