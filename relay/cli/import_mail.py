"""`relay import eml` and `relay import emailrelay`: mail that waits elsewhere, into the spool."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from relay.cli.import_consent import WriteOption, consent, note_text
from relay.cli.options import ConfigOption, JsonOption, LangOption
from relay.cli.output import print_json, print_table
from relay.cli.session import EXIT_PROBLEMS, Session, open_session, stop, talk

if TYPE_CHECKING:
    from relay.moving_in.accepting import Declined, Taken
    from relay.moving_in.letter import LeftOut, Letter

HoldOption = Annotated[
    bool, typer.Option("--hold", help="Hold all of it until relay queue release.")
]

_MOST_SHOWN = 20


def eml(
    place: Annotated[Path, typer.Argument(metavar="FOLDER|FILE", help="A folder with .eml files.")],
    sender: Annotated[
        str | None, typer.Option("--from", metavar="ADDRESS", help="Sender, not the header's.")
    ] = None,
    recipient: Annotated[
        list[str] | None,
        typer.Option("--to", metavar="ADDRESS", help="Recipient, not the header's; repeatable."),
    ] = None,
    hold: HoldOption = False,
    write: WriteOption = False,
    config: ConfigOption = None,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take messages out of .eml files into the queue; shows them first, the relay must be stopped.

    Sender and recipients are those of the header unless you name them; Bcc does not leave. The
    files stay; a second run takes only what is new.

    Example: relay import eml /home/jan/unsent --write
    """
    from relay.moving_in.eml import Said, read_eml

    session = open_session(config, lang, as_json)
    found = read_eml(place, Said(sender, recipient or ()))
    _take_over(session, "import eml", _listed(session, place, found), hold=hold, write=write)


def emailrelay(
    spool: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Its spool: /var/spool/emailrelay.")
    ],
    hold: HoldOption = False,
    write: WriteOption = False,
    config: ConfigOption = None,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take E-MailRelay's spool into the queue; shows it first, both must be stopped.

    What E-MailRelay gave up (.bad) is held: look with relay queue show, then relay queue release
    or delete. The files stay; a second run takes only what is new.

    Example: relay import emailrelay /var/spool/emailrelay
    """
    from relay.moving_in.emailrelay import read_spool

    session = open_session(config, lang, as_json)
    found = _listed(session, spool, read_spool(spool))
    _take_over(session, "import emailrelay", found, hold=hold, write=write)


def _listed(
    session: Session, place: Path, found: Iterator[Letter | LeftOut]
) -> list[Letter | LeftOut]:
    try:
        return list(found)
    except OSError as error:
        session.stop("import.place", path=place, reason=error.strerror or error)


def _take_over(
    session: Session, command: str, found: Iterable[Letter | LeftOut], *, hold: bool, write: bool
) -> None:
    from relay.control.documents import document
    from relay.moving_in.accepting import Declined, Taken
    from relay.moving_in.letter import LeftOut, Letter

    letters = [each for each in found if isinstance(each, Letter)]
    left_out = [each for each in found if isinstance(each, LeftOut)]
    if not session.as_json:
        _show(session, letters, left_out, hold=hold)
    agreed = bool(letters) and consent(session.language, write=write, as_json=session.as_json)
    ended = _into_spool(session, letters, hold=hold) if agreed else []
    declined = [each for each in ended if isinstance(each, Declined)]
    taken = [each for each in ended if isinstance(each, Taken)]
    if session.as_json:
        messages = [_message(session, each, hold=hold) for each in letters]
        for row, result in zip(messages, ended, strict=False):
            row |= _result(result)
        rest = [
            {
                "file": str(each.source),
                "why": each.why.slug,
                "text": note_text(session.language, each.why),
            }
            for each in left_out
        ]
        print_json(document(command, written=agreed, messages=messages, left_out=rest))
    elif agreed:
        new = sum(not each.before for each in taken)
        print(session.text("import.taken", count=new, before=len(taken) - new))
        for each in declined:
            talk(session.text("import.declined", file=each.letter.source, reason=each.reason))
    if left_out or declined:
        raise typer.Exit(EXIT_PROBLEMS)


def _into_spool(session: Session, letters: list[Letter], *, hold: bool) -> list[Taken | Declined]:
    import asyncio

    from relay.cli.serve import why_no_spool
    from relay.spool.errors import SpoolError
    from relay.spool.lock import SpoolInUse

    try:
        return asyncio.run(_accept(session, letters, hold=hold))
    except (SpoolError, SpoolInUse, OSError) as error:
        stop(why_no_spool(session, error))


async def _accept(session: Session, letters: list[Letter], *, hold: bool) -> list[Taken | Declined]:
    from relay.clock import utc_now
    from relay.moving_in.accepting import Acceptance, Declined
    from relay.spool.configured import open_configured

    path = session.config.spool.path
    is_new = path is not None and not path.exists()
    spool = await open_configured(session.config.spool)
    if path is not None and is_new:
        _hand_over(path)
    ended: list[Taken | Declined] = []
    try:
        acceptance = Acceptance(session.config, spool, utc_now, hold=hold)
        for letter in letters:
            try:
                ended.append(await acceptance.take(letter))
            except OSError as error:
                reason = f"{error.filename or letter.source}: {error.strerror or error}"
                ended.append(Declined(letter, reason))
    finally:
        await spool.close()
    return ended


def _hand_over(spool: Path) -> None:
    """Moving in as root before the first start: the service has to be able to open its files."""
    from relay.spool.vault import give_to_owner

    for path in (spool, spool.with_name(f"{spool.name}.lock")):
        with path.open("rb") as file:
            give_to_owner(file.fileno(), spool.absolute().parent)


def _show(session: Session, letters: list[Letter], left_out: list[LeftOut], *, hold: bool) -> None:
    rows = [
        [
            each.source.name,
            each.envelope.reverse_path or "<>",
            ", ".join(recipient.address for recipient in each.envelope.recipients),
            session.text("import.held" if hold or each.gave_up is not None else "import.queued"),
            "; ".join(
                [*([each.gave_up] if each.gave_up else []), *_notes(session, each)],
            ),
        ]
        for each in letters[:_MOST_SHOWN]
    ]
    if rows:
        print_table(session.text("import.headers").split("|"), rows)
    if len(letters) > _MOST_SHOWN:
        print(session.text("import.more", count=len(letters) - _MOST_SHOWN))
    print(session.text("import.found", count=len(letters), left_out=len(left_out)))
    for stays in left_out:
        talk(
            session.text(
                "import.left-out", file=stays.source, reason=note_text(session.language, stays.why)
            )
        )


def _notes(session: Session, letter: Letter) -> list[str]:
    return [note_text(session.language, note) for note in letter.notes]


def _message(session: Session, letter: Letter, *, hold: bool) -> dict[str, Any]:
    return {
        "file": str(letter.source),
        "sender": letter.envelope.reverse_path or "",
        "recipients": [each.address for each in letter.envelope.recipients],
        "gave_up": letter.gave_up,
        "hold": hold or letter.gave_up is not None,
        "notes": _notes(session, letter),
    }


def _result(result: Taken | Declined) -> dict[str, Any]:
    from relay.moving_in.accepting import Taken

    if isinstance(result, Taken):
        return {"id": result.id, "before": result.before}
    return {"id": None, "declined": result.reason}
