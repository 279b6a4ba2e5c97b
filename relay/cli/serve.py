"""`relay serve`: runs the service."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

from relay.cli.options import ConfigOption, JsonOption, LangOption
from relay.cli.session import Session, open_session, stop, talk

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable


def serve(
    config: ConfigOption = None, lang: LangOption = None, as_json: JsonOption = False
) -> None:
    """Run the relay in the foreground until SIGTERM or Ctrl-C.

    Without any configuration it starts as a sandbox, which sends nothing.

    Example: relay serve --config /etc/relay/relay.toml
    """
    _leave_no_core()
    session = open_session(config, lang, as_json, secrets=True)
    talk(*(warning.text(session.language) for warning in session.config.warnings))
    raise typer.Exit(_run(session))


def _leave_no_core() -> None:
    """What a crash would leave on the disk holds passwords, tokens and mail."""
    if sys.platform != "win32":
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (0, most))


def _run(session: Session) -> int:
    import asyncio

    from relay.control.errors import CannotListen
    from relay.service import serve
    from relay.spool.errors import SpoolError
    from relay.spool.lock import SpoolInUse

    try:
        with asyncio.Runner(loop_factory=_fastest_loop()) as runner:
            return runner.run(serve(session.config))
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
    from relay.spool.errors import SpoolDamaged, SpoolTooNew, VaultError
    from relay.spool.lock import SpoolInUse

    path = session.config.spool.path
    match error:
        case SpoolInUse():
            return session.text("spool.in-use", path=path, pid=error.pid or "?")
        case SpoolTooNew():
            return session.text("spool.too-new", path=path, found=error.found, known=error.known)
        case VaultError():
            return error.text(session.language)
        case SpoolDamaged():
            return session.text("spool.damaged", path=path, reason=error)
        case PermissionError():
            return session.text("spool.permission", path=path, reason=error)
        case _:
            return session.text("spool.other", path=path, reason=error)
