"""`relay queue`: see and steer the mail that waits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from relay.cli.cure import cure, print_cures
from relay.cli.options import ConfigOption, JsonOption, LangOption
from relay.cli.output import local_time, print_json, print_pairs, print_table, reply_text
from relay.cli.session import EXIT_PROBLEMS, Session, open_session, talk

if TYPE_CHECKING:
    from relay.cli.ask import AnyDesk

app = typer.Typer(
    name="queue",
    help="The mail that waits: see it, and retry, hold, release, cure, delete, reroute or export "
    "it.\n\n"
    "Example: relay queue list",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Ids = Annotated[
    list[str] | None, typer.Argument(metavar="ID...", help="Messages, as queue list shows them.")
]
All = Annotated[bool, typer.Option("--all", help="Every message that is not finished.")]
State = Literal["queued", "held", "failed", "delivered", "deleted"]


@app.command("list")
def list_(
    state: Annotated[
        State | None, typer.Option("--state", help="Only these; else what is unfinished.")
    ] = None,
    client: Annotated[str | None, typer.Option("--client", help="Only of this client.")] = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=10_000, help="At most so many.")
    ] = 100,
    config: ConfigOption = None,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """List messages, the oldest first.

    Example: relay queue list --state held --limit 20
    """
    from relay.cli.ask import ask

    session = open_session(config, lang, as_json)
    found = ask(session, "queue list", lambda desk: desk.queue_list(state, limit, client))
    if as_json:
        print_json(found)
        return
    if found["messages"]:
        headers = session.text("queue.headers").split("|")
        print_table(headers, map(_row, found["messages"]))
    print(session.text("queue.total", shown=len(found["messages"]), total=found["total"]))


@app.command()
def show(
    id_: Annotated[str, typer.Argument(metavar="ID", help="As queue list shows it.")],
    config: ConfigOption = None,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one message: its recipients, and each attempt with its reply explained.

    Example: relay queue show 01J8ZK4W9T3QA
    """
    from relay.cli.ask import ask

    session = open_session(config, lang, as_json)
    found = ask(session, "queue show", lambda desk: desk.queue_show(id_, session.language))
    if as_json:
        print_json(found)
    if "unknown" in found:
        talk(session.text("queue.unknown", id=id_))
        raise typer.Exit(EXIT_PROBLEMS)
    if not as_json:
        _print_message(session, found)


@app.command()
def retry(
    ids: Ids = None,
    all_: All = False,
    config: ConfigOption = None,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Try queued messages now, and forget that smarthosts were out of order.

    A paused account stays paused: relay account resume.

    Example: relay queue retry --all
    """
    _act(open_session(config, lang, as_json), "retry", _which(ids, all_))


@app.command()
def hold(
    ids: Ids = None,
    all_: All = False,
    config: ConfigOption = None,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Keep queued messages until they are released.

    Example: relay queue hold 01J8ZK4W9T3QA
    """
    _act(open_session(config, lang, as_json), "hold", _which(ids, all_))


@app.command()
def release(
    ids: Ids = None,
    all_: All = False,
    config: ConfigOption = None,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send what is held. A sandbox's messages stay: nothing is sent from there.

    Example: relay queue release 01J8ZK4W9T3QA
    """
    _act(open_session(config, lang, as_json), "release", _which(ids, all_))


app.command()(cure)


@app.command()
def delete(
    ids: Ids = None,
    all_: All = False,
    config: ConfigOption = None,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Never deliver messages; nobody is told.

    Example: relay queue delete 01J8ZK4W9T3QA
    """
    _act(open_session(config, lang, as_json), "delete", _which(ids, all_))


@app.command()
def reroute(
    to: Annotated[str, typer.Option("--to", metavar="SMARTHOST", help="Through which smarthost.")],
    ids: Ids = None,
    all_: All = False,
    config: ConfigOption = None,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send messages through another smarthost, whatever the routes say.

    Example: relay queue reroute 01J8ZK4W9T3QA --to m365
    """
    _act(open_session(config, lang, as_json), "reroute", _which(ids, all_), to)


@app.command()
def export(
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="Directory; made if need be.")],
    ids: Ids = None,
    all_: All = False,
    config: ConfigOption = None,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write messages to ID.eml, with envelope and attempts in ID.json; nothing is overwritten.

    Example: relay queue export --all --to /var/tmp/mail
    """
    from relay.cli.ask import ask
    from relay.cli.export import export_messages

    session = open_session(config, lang, as_json)
    chosen = _which(ids, all_)

    async def work(desk: AnyDesk) -> dict[str, Any]:
        return await export_messages(desk, chosen, to, session.language)

    _report(session, "export", ask(session, "queue export", work))


def _which(ids: list[str] | None, all_: bool) -> list[str] | None:
    """The ids asked for, None for all."""
    if bool(ids) == all_:
        raise typer.BadParameter("give message ids, or --all")
    return None if all_ else ids


def _act(session: Session, action: str, ids: list[str] | None, to: str | None = None) -> None:
    from relay.cli.ask import ask

    answer = ask(session, f"queue {action}", lambda desk: desk.queue_act(action, ids, to))
    _report(session, action, answer)


def _report(session: Session, action: str, answer: dict[str, Any]) -> None:
    if session.as_json:
        print_json(answer)
    else:
        print(session.text(f"queue.{action}", count=len(answer["changed"])))
        for id_ in answer["unchanged"]:
            print(session.text("queue.unchanged", id=id_))
    for id_ in answer["unknown"]:
        talk(session.text("queue.unknown", id=id_))
    for id_ in answer.get("refused", ()):
        talk(session.text("queue.sandbox", id=id_))
    for path in answer.get("existing", ()):
        talk(session.text("queue.existing", path=path))
    if answer["unknown"] or answer.get("refused") or answer.get("existing"):
        raise typer.Exit(EXIT_PROBLEMS)


def _row(message: dict[str, Any]) -> list[object]:
    first, *others = (recipient["address"] for recipient in message["recipients"])
    return [
        message["id"],
        message["state"],
        message["waiting_for"],
        local_time(message["received_at"]),
        message["client"],
        message["sender"] or "<>",
        f"{first} +{len(others)}" if others else first,
        message["bytes"],
        local_time(message["next_attempt_at"]),
    ]


def _print_message(session: Session, message: dict[str, Any]) -> None:
    label = session.text("show.labels").split("|")
    doubt = session.text("show.in-doubt") if message["in_doubt"] else ""
    values = (
        message["id"],
        f"{message['state']} {doubt}".strip(),
        message["waiting_for"],
        local_time(message["received_at"]),
        local_time(message["next_attempt_at"]),
        f"{message['client']} ({message['client_address']})",
        message["sender"] or "<>",
        message["subject"],
        message["message_id"],
        message["bytes"],
        "; ".join(f"{each['repair']} {each['detail']}" for each in message["repairs"]),
    )
    print_pairs(zip(label, values, strict=True))
    print()
    print_table(
        session.text("show.recipients").split("|"),
        (
            [
                each["address"],
                each["state"],
                each["held_for"],
                each["smarthost"],
                reply_text(each["reply"]),
            ]
            for each in message["recipients"]
        ),
    )
    for attempt in message["attempts"]:
        _print_attempt(session, attempt)
    print_cures(session, message)


def _print_attempt(session: Session, attempt: dict[str, Any]) -> None:
    explained = attempt["explanation"]
    label = session.text("show.attempt").split("|")
    doubt = session.text("show.in-doubt") if attempt["in_doubt"] else ""
    values = (
        local_time(attempt["at"]),
        f"{attempt['smarthost']} {attempt['address'] or ''}",
        f"{attempt['outcome'] or session.text('show.running')} {doubt}".strip(),
        attempt["phase"],
        reply_text(attempt["reply"]),
        explained and explained["meaning"],
    )
    print()
    print_pairs(zip(label, values, strict=True))
    for number, step in enumerate(explained["steps"] if explained else (), 1):
        print(f"  {number}. {step}")
