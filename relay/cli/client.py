"""`relay client`: which machines may send."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from relay.cli.options import ConfigOption, JsonOption, LangOption
from relay.cli.output import local_time, print_json, print_table
from relay.cli.session import EXIT_PROBLEMS, Session, open_session, talk

app = typer.Typer(
    name="client",
    help="Which machines may send: those of relay.toml, and devices allowed by hand.\n\n"
    "Example: relay client refused",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Address = Annotated[str, typer.Argument(metavar="IP", help="One address: 192.168.1.40, fd00::40.")]


@app.command("list")
def list_(
    config: ConfigOption = None, lang: LangOption = None, as_json: JsonOption = False
) -> None:
    """List who may send.

    Example: relay client list
    """
    from relay.cli.ask import ask

    session = open_session(config, lang, as_json)
    found = ask(session, "client list", lambda desk: desk.client_list())
    if as_json:
        print_json(found)
        return
    rows = [[each["name"], ", ".join(each["networks"]), "relay.toml"] for each in found["clients"]]
    if found["clients"][0]["source"] == "default":
        rows[0][2] = session.text("client.default")
    rows += [
        [each["name"], each["address"], local_time(each["adopted_at"])] for each in found["adopted"]
    ]
    print_table(session.text("client.headers").split("|"), rows)
    _print_window(session, found)


@app.command()
def refused(
    config: ConfigOption = None, lang: LangOption = None, as_json: JsonOption = False
) -> None:
    """List the machines that were turned away, the latest first.

    Example: relay client refused
    """
    from relay.cli.ask import ask

    session = open_session(config, lang, as_json)
    found = ask(session, "client refused", lambda desk: desk.client_refused())
    if as_json:
        print_json(found)
        return
    if not found["devices"]:
        print(session.text("client.none-refused"))
    else:
        print_table(
            session.text("client.refused").split("|"),
            (
                [
                    each["address"],
                    each["count"],
                    local_time(each["last_at"]),
                    f"relay client allow {each['address']}",
                ]
                for each in found["devices"]
            ),
        )
    _print_window(session, found)


@app.command()
def allow(
    address: Address,
    name: Annotated[
        str | None,
        typer.Option(
            "--name", help="What to call it; a client's name gives it that one's settings."
        ),
    ] = None,
    config: ConfigOption = None,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a machine send, and release what a learning window held of it.

    Example: relay client allow 192.168.1.40 --name scanner
    """
    from relay.cli.ask import ask

    session = open_session(config, lang, as_json)
    answer = ask(session, "client allow", lambda desk: desk.client_allow(address, name))
    if as_json:
        print_json(answer)
        return
    if answer["adopted"]:
        print(session.text("client.allowed", address=answer["address"], name=answer["name"]))
    else:
        print(session.text("client.listed", address=answer["address"], **answer["listed_by"]))
    if answer["released"]:
        print(session.text("queue.release", count=len(answer["released"])))


@app.command()
def remove(
    address: Address,
    config: ConfigOption = None,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take back what allow did.

    Example: relay client remove 192.168.1.40
    """
    from relay.cli.ask import ask

    session = open_session(config, lang, as_json)
    answer = ask(session, "client remove", lambda desk: desk.client_remove(address))
    if as_json:
        print_json(answer)
    elif answer["removed"]:
        print(session.text("client.removed", address=answer["address"]))
    if answer["listed_by"]:
        talk(session.text("client.still", address=answer["address"], **answer["listed_by"]))
    elif not answer["removed"]:
        talk(session.text("client.unknown", address=answer["address"]))
    if not answer["removed"]:
        raise typer.Exit(EXIT_PROBLEMS)


@app.command()
def learn(
    minutes: Annotated[
        int, typer.Option("--minutes", min=1, max=120, help="How long, at most 120.")
    ] = 30,
    stop: Annotated[bool, typer.Option("--stop", help="End the window now.")] = False,
    config: ConfigOption = None,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """For a while, take mail of machines in the office that are not listed, and hold it.

    Allowing the machine sends it; at the end of the window what is left goes back to its sender.

    Example: relay client learn --minutes 60
    """
    from relay.cli.ask import ask

    session = open_session(config, lang, as_json)
    wanted = 0 if stop else minutes
    answer = ask(session, "client learn", lambda desk: desk.client_learn(wanted))
    if as_json:
        print_json(answer)
    elif answer["learning_until"] is None:
        print(session.text("client.window-closed"))
    else:
        _print_window(session, answer)


def _print_window(session: Session, answer: dict[str, Any]) -> None:
    if answer["learning_until"] is not None:
        print(session.text("client.window", until=local_time(answer["learning_until"])))
