"""`relay why`: what would become of one mail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from relay.cli.options import ConfigOption, JsonOption, LangOption
from relay.cli.output import print_json, print_pairs
from relay.cli.session import EXIT_PROBLEMS, Session, open_session, stop

if TYPE_CHECKING:
    from relay.cli.ask import AnyDesk


def why(
    address: Annotated[str, typer.Argument(metavar="IP", help="The machine that sends.")],
    sender: Annotated[str, typer.Argument(metavar="SENDER", help="Its sender address, or <>.")],
    recipient: Annotated[
        str | None, typer.Argument(metavar="[RECIPIENT]", help="For routes that look at it.")
    ] = None,
    config: ConfigOption = None,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell which rule lets a mail in, as whom it leaves and through which smarthost.

    Exit 0 if it would be accepted, 1 with the exact refusal if not.

    Example: relay why 192.168.1.20 info@mijnbakkerij.nl
    """
    session = open_session(config, lang, as_json)
    answer = _answer(session, address, sender.removeprefix("<").removesuffix(">"), recipient)
    if as_json:
        print_json(answer)
    else:
        _print(session, answer)
    if not answer["accepted"]:
        raise typer.Exit(EXIT_PROBLEMS)


def _answer(session: Session, address: str, sender: str, recipient: str | None) -> dict[str, Any]:
    """Of the desk, or before the relay ever ran by the configuration alone."""
    from relay.access.rules import AccessRules
    from relay.cli.ask import ask
    from relay.clock import utc_now
    from relay.control.devices import one_address
    from relay.control.errors import Declined
    from relay.control.why import Circumstances, Question, why

    async def work(desk: AnyDesk) -> dict[str, Any]:
        return await desk.why(address, sender, recipient)

    path = session.config.spool.path
    if path is None or path.exists():
        return ask(session, "why", work)
    try:
        question = Question(one_address(address), sender, recipient)
    except Declined as error:
        stop(error.text(session.language))
    rules = AccessRules.build(session.config.clients, {})
    return why(session.config, utc_now(), Circumstances(rules), question)


def _print(session: Session, answer: dict[str, Any]) -> None:
    if not answer["accepted"]:
        print(session.text("why.refused", reply=answer["reply"]))
        return
    key = "why.learning" if answer["held_for"] == "learning" else "why.accepted"
    print(session.text(key, **answer))
    label = session.text("why.labels").split("|")
    limits = answer["limits"] or {}
    for number, each in enumerate(answer["smarthosts"], 1):
        allowed = "" if each["sender_allowed"] else session.text("why.not-allowed")
        rule = answer["route"]
        values = (
            session.text("why.no-route") if rule is None else f"[[route]] {rule + 1}",
            f"{each['name']} ({each['host']}:{each['port']})"
            + (session.text("why.blocked") if each["blocked"] else ""),
            f"{each['sender'] or '<>'} ({_policy(session, each)}) {allowed}".strip(),
            ", ".join(each["bcc"]),
            _numbers(each, ("messages_per_minute", "messages_per_day", "recipients_per_day")),
        )
        print(f"\n{number}.")
        print_pairs(zip(label, values, strict=True))
    if answer["held_for"] in ("sandbox", "trial"):
        print(session.text(f"why.{answer['held_for']}"))
    elif answer["held_for"] is None and answer["direct_wait_seconds"] is not None:
        print(session.text("why.direct", seconds=f"{answer['direct_wait_seconds']:g}"))
    if limits:
        names = ("max_connections", "max_message_bytes", "messages_per_minute", "max_recipients")
        print()
        print_pairs([(session.text("why.limits"), _numbers(limits, names))])


def _policy(session: Session, smarthost: dict[str, Any]) -> str:
    if smarthost["sender_rule"] is not None:
        return session.text("why.rule", sender=smarthost["sender_rule"])
    place = smarthost["policy_place"]
    table = f"[{place}]" if place == "sender" else f"[[{place}]]"
    return f"policy {smarthost['policy']}, {table}"


def _numbers(values: dict[str, Any], names: tuple[str, ...]) -> str:
    return ", ".join(f"{name} {values[name]}" for name in names if values[name] is not None)
