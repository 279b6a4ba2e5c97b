"""`relay spool`: copies of what waits, and whether it is sound."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from relay.cli.options import ConfigOption, JsonOption, LangOption
from relay.cli.output import print_json
from relay.cli.session import EXIT_PROBLEMS, Session, open_session, stop, talk
from relay.cli.spool_move import move

if TYPE_CHECKING:
    from relay.spool.sqlite.backup import Contents

T = TypeVar("T")

app = typer.Typer(
    name="spool",
    help="The file that all waiting mail is in: copy it, put a copy back, look whether it is "
    "sound.\n\n"
    "Example: relay spool backup /var/backups/relay.db",
    no_args_is_help=True,
    rich_markup_mode=None,
)


app.command()(move)


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The copy; must not be there yet.")],
    config: ConfigOption = None,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy the spool of this moment into one file, while the relay runs or not.

    Example: relay spool backup /var/backups/relay-$(date +%F).db
    """
    from relay.control.documents import document
    from relay.spool.sqlite.backup import back_up

    session = open_session(config, lang, as_json)
    path = _existing(session)
    contents = _guarded(session, file, lambda: back_up(path, file))
    if as_json:
        print_json(document("spool backup", **_told(path, file, contents)))
        return
    print(session.text("spool.backed-up", file=file, count=contents.unfinished))
    _talk_of_tokens(session, path, contents)


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="As relay spool backup made it.")],
    config: ConfigOption = None,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a copy back; the relay must be stopped, and the spool of now is kept beside it.

    What was delivered since the copy was made is delivered again: look with relay queue list
    before you start the relay, and delete what must not go twice.

    Example: relay spool restore /var/backups/relay-2026-11-20.db
    """
    from relay.clock import utc_now
    from relay.control.documents import document
    from relay.spool.sqlite.backup import restore

    session = open_session(config, lang, as_json)
    path = _path(session)
    contents, old = _guarded(session, file, lambda: restore(path, file, utc_now()))
    if as_json:
        kept = None if old is None else str(old)
        print_json(document("spool restore", **_told(path, file, contents), replaced=kept))
        return
    print(session.text("spool.restored", file=file, count=contents.unfinished))
    if old is not None:
        print(session.text("spool.replaced", path=old))
    _talk_of_tokens(session, path, contents)


@app.command()
def check(
    config: ConfigOption = None, lang: LangOption = None, as_json: JsonOption = False
) -> None:
    """Look through the whole spool, while the relay runs or not: exit 0 sound, 1 damaged.

    Example: relay spool check
    """
    from relay.control.documents import document
    from relay.spool.sqlite.backup import examine

    session = open_session(config, lang, as_json)
    path = _existing(session)
    faults = _guarded(session, path, lambda: examine(path))
    if as_json:
        verdict = "fail" if faults else "pass"
        print_json(document("spool check", verdict=verdict, spool=str(path), faults=list(faults)))
    elif not faults:
        print(session.text("spool.sound", path=path))
    if faults:
        talk(session.text("spool.faults", path=path), *faults)
        raise typer.Exit(EXIT_PROBLEMS)


def _path(session: Session) -> Path:
    path = session.config.spool.path
    if path is None:
        session.stop("spool.no-file", url=session.config.spool.url)
    return path


def _existing(session: Session) -> Path:
    path = _path(session)
    if not path.exists():
        session.stop("spool.none", path=path)
    return path


def _guarded(session: Session, file: Path, work: Callable[[], T]) -> T:
    """The result of `work`; exit 2 with the reason where the file or the spool is no good."""
    from relay.cli.serve import why_no_spool
    from relay.spool.errors import SpoolDamaged, SpoolError
    from relay.spool.lock import SpoolInUse

    try:
        return work()
    except FileExistsError:
        session.stop("spool.exists", file=file)
    except SpoolDamaged as error:
        session.stop("spool.no-copy", file=file, reason=error)
    except (SpoolError, SpoolInUse) as error:
        stop(why_no_spool(session, error))
    except OSError as error:
        session.stop("spool.file", file=file, reason=error.strerror or error)


def _told(path: Path, file: Path, contents: Contents) -> dict[str, object]:
    return {
        "spool": str(path),
        "file": str(file),
        "unfinished": contents.unfinished,
        "tokens": _tokens(path, contents),
    }


def _tokens(path: Path, contents: Contents) -> str:
    """`sealed` in the copy, `apart` in a file of their own, or `none`."""
    from relay.spool.vault import tokens_file

    if contents.tokens:
        return "sealed"
    return "apart" if tokens_file(path).exists() else "none"


def _talk_of_tokens(session: Session, path: Path, contents: Contents) -> None:
    from relay.spool.vault import tokens_file

    where = _tokens(path, contents)
    if where != "none":
        print(session.text(f"spool.tokens-{where}", path=tokens_file(path)))
