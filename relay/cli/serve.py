"""`relay serve`: runs the service."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from relay.cli.options import ConfigOption, JsonOption, LangOption
from relay.cli.session import Session, open_session, stop, talk

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from relay.spool.errors import SpoolTooNew


def serve(
    log_file: Annotated[
        Path | None,
        typer.Option(
            "--log-file", metavar="FILE", help="Write the log here, 5 files of 10 MB at most."
        ),
    ] = None,
    ephemeral_spool: Annotated[
        bool,
        typer.Option(
            "--ephemeral-spool",
            envvar="RELAY_EPHEMERAL_SPOOL",
            help="In a container: start though the spool, and all mail in it, goes with it.",
        ),
    ] = False,
    config: ConfigOption = None,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run the relay in the foreground until SIGTERM or Ctrl-C.

    Without any configuration it starts as a sandbox, which sends nothing.

    Example: relay serve --config /etc/relay/relay.toml
    """
    _leave_no_core()
    # A watchdog that ends a relay that hangs shows where it stood. There may be no stderr.
    with contextlib.suppress(OSError, RuntimeError, ValueError):
        faulthandler.enable()
    session = open_session(config, lang, as_json, secrets=True)
    talk(*(warning.text(session.language) for warning in session.config.warnings))
    if not ephemeral_spool:
        _insist_on_a_volume(session)
    raise typer.Exit(_run(session, log_file))


def _insist_on_a_volume(session: Session) -> None:
    """Exit 2 where the end of a container would lose accepted mail; the sandbox promised none."""
    from relay.spool.ephemeral import loses_mail

    path = session.config.spool.path
    if path is not None and not session.config.sandbox and loses_mail(path, os.environ):
        session.stop("spool.ephemeral", path=path.parent)


def _leave_no_core() -> None:
    """What a crash would leave on the disk holds passwords, tokens and mail."""
    if sys.platform != "win32":
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (0, most))


def _run(session: Session, log_file: Path | None) -> int:
    import asyncio

    from relay.control.errors import CannotListen
    from relay.monitor.log_file import LogFile
    from relay.service import serve
    from relay.spool.errors import SpoolError
    from relay.spool.lock import SpoolInUse

    try:
        log = None if log_file is None else LogFile(log_file.absolute())
    except OSError as error:
        session.stop("serve.log-file", path=log_file, reason=error.strerror or error)
    try:
        with asyncio.Runner(loop_factory=_fastest_loop()) as runner:
            return runner.run(serve(session.config, log_file=log))
    except CannotListen as error:
        stop(why_not_listening(session, error))
    except (SpoolError, SpoolInUse, OSError) as error:
        stop(why_no_spool(session, error))


def _fastest_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's event loop where the extra `speed` is installed; None for the standard one."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def why_not_listening(session: Session, error: object) -> str:
    """Which address cannot be listened on, why, and what to do."""
    from relay.control.errors import CannotListen

    assert isinstance(error, CannotListen)
    reason = "taken" if error.taken else "forbidden" if error.forbidden else "other"
    return session.text(
        f"listen.{reason}",
        host=error.host,
        port=error.port,
        key=error.key,
        reason=error.reason.strerror or error.reason,
    )


def why_no_spool(session: Session, error: Exception) -> str:
    """Why the spool (or another file of ours) cannot be used, and what to do."""
    from relay.spool.errors import NoRoomToUpgrade, SpoolDamaged, SpoolTooNew, VaultError
    from relay.spool.lock import SpoolInUse

    path = session.config.spool.name
    match error:
        case SpoolInUse():
            return session.text("spool.in-use", path=path, pid=error.pid or "?")
        case SpoolTooNew():
            return _why_too_new(session, error)
        case NoRoomToUpgrade():
            needed, free = (f"{each / 1e6:.0f}" for each in (error.needed_bytes, error.free_bytes))
            return session.text("spool.no-room", path=path, needed=needed, free=free)
        case VaultError():
            return error.text(session.language)
        case SpoolDamaged():
            return session.text("spool.damaged", path=path, reason=error)
        case PermissionError():
            return session.text("spool.permission", path=path, reason=error)
        case _:
            return session.text("spool.other", path=path, reason=error)


def _why_too_new(session: Session, error: SpoolTooNew) -> str:
    from relay import __version__

    path = session.config.spool.name
    if error.made_by in (None, __version__):  # two builds of one version
        return session.text("spool.too-new", path=path, found=error.found, known=error.known)
    versions = {"made_by": error.made_by, "own": __version__, "known": error.known}
    return session.text("spool.too-new-by", path=path, **versions)
