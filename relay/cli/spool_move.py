"""`relay spool move`: all mail, and all that is known, from one store into another."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from relay.cli.options import ConfigOption, JsonOption, LangOption
from relay.cli.output import print_json
from relay.cli.session import Session, open_session, stop

if TYPE_CHECKING:
    from relay.config.secret import SecretRef
    from relay.spool.errors import SpoolError
    from relay.spool.transfer.move import Moved, Source, Target


def move(
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="URL",
            help="Where to: postgresql://user@host/db, or sqlite:///path of a file to be made.",
        ),
    ],
    password_file: Annotated[
        Path | None,
        typer.Option(
            "--password-file", metavar="FILE", help="The password of that PostgreSQL user."
        ),
    ] = None,
    config: ConfigOption = None,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Carry the spool of [spool] url to another store; every relay that uses it must be stopped.

    The old spool is kept as <spool>.moved-TIME (a file) or emptied (PostgreSQL), once the new one
    has everything and it was read back. Broken off at any moment: run it again.

    Example: relay spool move --to postgresql://relay@db.example.nl/relay
    """
    import asyncio

    from relay.config.secret import SecretRef
    from relay.control.documents import document

    session = open_session(config, lang, as_json)
    _insist_on_another(session, to)
    file = None if password_file is None else SecretRef("file", str(password_file.absolute()))
    moved = asyncio.run(_guarded(session, to, file or session.config.spool.password))
    if as_json:
        counts = {**asdict(moved.tally), "tokens": moved.tokens, "resumed": moved.resumed}
        print_json(document("spool move", to=to, kept=moved.kept, **counts))
        return
    tally = moved.tally
    counts_text = {
        "messages": tally.messages,
        "unfinished": tally.unfinished,
        "recipients": tally.recipients,
        "bytes": tally.body_bytes,
        "tokens": moved.tokens,
    }
    if moved.resumed:
        print(session.text("spool.move-resumed"))
    print(session.text("spool.moved", **counts_text))
    if moved.kept is not None:
        print(session.text("spool.move-kept", path=moved.kept))
    print(session.text("spool.move-next", url=to))


def _insist_on_another(session: Session, to: str) -> None:
    from relay.config.fault import BadValueError
    from relay.config.syntax import spool_url, sqlite_path

    try:
        spool_url(to)
    except BadValueError as error:
        stop(f"--to: {error.nl if session.language == 'nl' else error.en}")
    spool = session.config.spool
    path = sqlite_path(to)
    if to == spool.url or (path is not None and path == spool.path):
        session.stop("spool.move-same", url=to)
    if spool.path is not None and not spool.path.exists():
        session.stop("spool.none", path=spool.path)


async def _guarded(session: Session, to: str, password: SecretRef | None) -> Moved:
    """What the move came to; exit 2 with the reason where it did not."""
    from relay.cli.serve import why_no_spool
    from relay.spool.errors import SpoolError
    from relay.spool.lock import SpoolInUse
    from relay.spool.transfer.move import TransferError

    try:
        return await _moved(session, to, password)
    except FileExistsError as error:
        session.stop("spool.exists", file=error)
    except TransferError as error:
        stop(error.text(session.language))
    except (SpoolError, SpoolInUse) as error:
        stop(why_no_spool(session, error))
    except OSError as error:
        session.stop("spool.file", file=to, reason=error.strerror or error)
    except Exception as error:
        if (failure := _of_a_store(error)) is None:
            raise
        stop(why_no_spool(session, failure))


def _of_a_store(error: Exception) -> SpoolError | None:
    """What a database said, in the spool's words; None for anything else."""
    import sqlite3

    if isinstance(error, sqlite3.Error):
        from relay.spool.sqlite.commit import spool_error as of_sqlite

        return of_sqlite(error)
    if type(error).__module__.startswith("asyncpg."):
        from relay.spool.postgres.faults import spool_error as of_postgres

        return of_postgres(error)
    return None


async def _moved(session: Session, to: str, password: SecretRef | None) -> Moved:
    from relay.spool.errors import SpoolError
    from relay.spool.lock import SpoolInUse
    from relay.spool.transfer.move import move

    spool = session.config.spool
    source = await _source(session)
    try:
        try:
            target = await _target(to, password, spool.secret_key)
        except (SpoolError, SpoolInUse) as error:
            session.stop("spool.move-target", url=to, reason=error)
        try:
            return await move(source, target)
        finally:
            await target.close()
    finally:
        await source.close()


async def _source(session: Session) -> Source:
    from relay.clock import utc_now

    spool = session.config.spool
    if spool.path is not None:
        from relay.spool.transfer.sqlite_end import open_source

        return await open_source(spool.path, utc_now, spool.secret_key)
    from relay.spool.postgres import Server
    from relay.spool.transfer import postgres_end

    server = Server(spool.url, spool.password)
    return await postgres_end.open_source(server, utc_now, spool.secret_key)


async def _target(to: str, password: SecretRef | None, secret_key: SecretRef | None) -> Target:
    from relay.clock import utc_now
    from relay.config.syntax import sqlite_path

    path = sqlite_path(to)
    if path is not None:
        from relay.spool.transfer.sqlite_end import SqliteTarget

        return SqliteTarget(path, utc_now, secret_key)
    from relay.spool.postgres import Server
    from relay.spool.transfer.postgres_end import open_target

    return await open_target(Server(to, password), utc_now, secret_key)
