"""`diagnose send`: a test message, every step timed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diagnose.commands.auth import Config, Force, PasswordFile, SmarthostName, Tls, Username
from diagnose.finding import Examination
from diagnose.options import Run, examines, stop

if TYPE_CHECKING:
    from diagnose.account import Chosen
    from diagnose.checks.send import Mail
    from diagnose.message import Attachment

_RELAY_PORT = 25
_MOST_ATTACHED_BYTES = 50_000_000


@examines
async def send(
    run: Run,
    to: Annotated[list[str], typer.Option("--to", metavar="A", help="Recipient; repeatable.")],
    cc: Annotated[list[str] | None, typer.Option("--cc", metavar="A")] = None,
    bcc: Annotated[list[str] | None, typer.Option("--bcc", metavar="A")] = None,
    sender: Annotated[
        str | None, typer.Option("--from", metavar="A", help="Else the login, if an address.")
    ] = None,
    reply_to: Annotated[str | None, typer.Option("--reply-to", metavar="A")] = None,
    attach: Annotated[
        list[Path] | None, typer.Option("--attach", metavar="FILE", help="Repeatable.")
    ] = None,
    via: Annotated[
        str | None, typer.Option("--via", metavar="PRESET", help="Or a host, or host:port.")
    ] = None,
    relay: Annotated[
        str | None, typer.Option("--relay", metavar="HOST:PORT", help="Through the running relay.")
    ] = None,
    username: Username = None,
    password_file: PasswordFile = None,
    tls: Tls = None,
    config: Config = None,
    smarthost: SmarthostName = None,
    force: Force = False,
) -> Examination:
    """Send one test message, and tell what each server reply means. Exit 0: taken for everybody.

    Example: diagnose send --to klant@example.org --via ziggo --username mijnbakkerij@ziggo.nl
    """
    from diagnose.account import Login, from_config, from_server
    from diagnose.checks.send import examine_sending
    from diagnose.wording import say

    by_config = config is not None or smarthost is not None
    if [via is not None, relay is not None, by_config].count(True) != 1:
        stop(say("send/one-way", run.language))
    if by_config and (username or password_file or tls):
        stop(say("auth/not-both", run.language))
    addresses = _addresses(run, to=to, cc=cc or [], bcc=bcc or [], reply_to=[reply_to or ""])
    login = Login(username, password_file)
    chosen: Chosen
    if via is not None:
        chosen = from_server(via, login, tls, run)
    elif relay is not None:
        chosen = from_server(relay, login, tls or "none", run, _RELAY_PORT)
    else:
        chosen = from_config(config, smarthost, run)
    mail = _mail(run, chosen, sender, addresses, attach or [])
    return await examine_sending(chosen, mail, run.circumstances, force=force)


def _addresses(run: Run, **given: list[str]) -> dict[str, tuple[str, ...]]:
    """The addresses, each checked; exit 2 for the first that is none."""
    from relay.config.fault import BadValueError
    from relay.config.syntax import mail_address

    try:
        return {
            name: tuple(mail_address(text.strip()) for text in texts if text)
            for name, texts in given.items()
        }
    except BadValueError as error:
        stop(error.nl if run.language == "nl" else error.en)


def _mail(
    run: Run,
    chosen: Chosen,
    sender: str | None,
    addresses: dict[str, tuple[str, ...]],
    attach: list[Path],
) -> Mail:
    from email.utils import make_msgid

    from diagnose.checks.send import Mail
    from diagnose.message import Letter, compose
    from diagnose.wording import say
    from relay.clock import utc_now

    login = chosen.smarthost.username or ""
    given = sender or (login if "@" in login else "")
    if not given:
        stop(say("send/no-sender", run.language))
    (author,) = _addresses(run, sender=[given])["sender"]
    letter = Letter(
        sender=author,
        to=addresses["to"],
        cc=addresses["cc"],
        bcc=addresses["bcc"],
        reply_to=next(iter(addresses["reply_to"]), None),
        attachments=tuple(_attachment(run, path) for path in attach),
    )
    if not letter.to:
        stop(say("send/no-recipient", run.language))
    message_id = make_msgid(domain=author.rpartition("@")[2])
    server = f"{chosen.smarthost.host}:{chosen.smarthost.port}"
    content = compose(letter, server, message_id, utc_now(), run.language)
    return Mail(author, letter.recipients, message_id, content)


def _attachment(run: Run, path: Path) -> Attachment:
    from diagnose.message import Attachment
    from diagnose.wording import say
    from relay.config.fault import why_unreadable

    try:
        with path.open("rb") as file:
            content = file.read(_MOST_ATTACHED_BYTES + 1)
    except OSError as error:
        nl, en = why_unreadable(error)
        reason = nl if run.language == "nl" else en
        stop(say("send/attachment-unreadable", run.language, path=path, reason=reason))
    if len(content) > _MOST_ATTACHED_BYTES:
        most = _MOST_ATTACHED_BYTES // 1_000_000
        stop(say("send/attachment-too-large", run.language, path=path, most=most))
    return Attachment(path.name, content)
