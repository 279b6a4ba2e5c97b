"""`relay queue cure`, and what `relay queue show` proposes for a sender that was refused."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from relay.cli.options import ConfigOption, JsonOption, LangOption
from relay.cli.output import cell, print_json
from relay.cli.session import EXIT_PROBLEMS, Session, open_session, talk


def cure(
    id_: Annotated[
        str, typer.Argument(metavar="ID", help="A message that is held for its sender.")
    ],
    address: Annotated[
        str | None,
        typer.Option(
            "--as", metavar="ADDRESS", help="What the account may send as; else its user name."
        ),
    ] = None,
    domain: Annotated[
        bool, typer.Option("--domain", help="For everybody in the sender's domain.")
    ] = False,
    config: ConfigOption = None,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let mail of a refused sender leave as an address that its account may send as.

    The sender stays in Reply-To and X-Original-From. Whatever else is held for the same sender is
    released too, and later mail is rewritten by itself. See relay sender list.

    Example: relay queue cure 01J8ZK4W9T3QA
    """
    from relay.cli.ask import ask

    session = open_session(config, lang, as_json)
    answer = ask(session, "queue cure", lambda desk: desk.queue_cure(id_, address, domain))
    if as_json:
        print_json(answer)
    if "unknown" in answer:
        talk(session.text("queue.unknown", id=id_))
        raise typer.Exit(EXIT_PROBLEMS)
    if answer["reason"] is not None:
        _say_why_not(session, answer)
        raise typer.Exit(EXIT_PROBLEMS)
    if not as_json:
        for rule in answer["rules"]:
            print(cell(session.text("cure.adopted", **rule)))
        print(session.text("queue.release", count=len(answer["released"])))


def print_cures(session: Session, message: dict[str, Any]) -> None:
    """What would let a held message leave: a command, and lines for relay.toml."""
    for each in message["cures"]:
        print()
        print(cell(session.text(f"cure.{each['remedy']}", **each)))
        print(f"  {each['command']}")
        if each["remedy"] == "release":
            print(session.text("cure.otherwise"))
            print(f"  relay queue cure {message['id']} --as ADDRESS")
        if each["config"]:
            print(session.text("cure.config"))
            for line in each["config"].splitlines():
                print(f"  {cell(line)}")


def _say_why_not(session: Session, answer: dict[str, Any]) -> None:
    if not answer["cures"]:
        talk(session.text("cure.not-held", id=answer["id"]))
    for each in answer["cures"]:
        talk(cell(session.text(f"cure.{answer['reason']}", id=answer["id"], **each)))
