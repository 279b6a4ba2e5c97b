"""Ask the desk: of the running relay over its API, or over the spool while the relay is stopped."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NoReturn, TypeVar

import typer

from relay.cli.output import print_json
from relay.cli.serve import why_no_spool
from relay.cli.session import EXIT_UNCHECKED, Session, stop, talk
from relay.cli.texts import text
from relay.clock import utc_now
from relay.control.client import ApiError, RemoteDesk, Silent, Unreachable
from relay.control.daemon import Offline
from relay.control.desk import Desk
from relay.control.documents import document
from relay.control.errors import Declined
from relay.control.token import read_address, read_token
from relay.spool.configured import open_configured
from relay.spool.errors import SpoolError
from relay.spool.lock import SpoolInUse
from relay.spool.sqlite import open_spool

T = TypeVar("T")
AnyDesk = Desk | RemoteDesk

_PATIENCE_SECONDS = 3.0  # a relay that is starting, or another command, holds the spool
_PAUSE_SECONDS = 0.2


class NoSpool(Exception):
    """No relay ever ran with this configuration."""


class NoAnswer(Exception):
    """Somebody holds the spool and does not answer."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"{address}: {reason}")


def ask(session: Session, command: str, action: Callable[[AnyDesk], Awaitable[T]]) -> T:
    """The result of `action(desk)`; ends with exit 2 or 3 and the reason where there is none."""
    try:
        return asyncio.run(consult(session, action))
    except NoSpool:
        session.stop("spool.none", path=session.config.spool.path)
    except Declined as error:
        stop(error.text(session.language))
    except (ApiError, NoAnswer, Silent) as error:
        unchecked(session, command, error)
    except (SpoolError, OSError) as error:
        stop(why_no_spool(session, error))


async def consult(session: Session, action: Callable[[AnyDesk], Awaitable[T]]) -> T:
    """As `ask`, raising NoSpool, NoAnswer, Silent, ApiError, Declined, SpoolError or OSError."""
    path = session.config.spool.path
    if path is None:
        return await _consult_shared(session, action)
    if not path.exists():
        raise NoSpool
    deadline = asyncio.get_running_loop().time() + _PATIENCE_SECONDS
    while True:
        try:
            spool = open_spool(path, utc_now, session.config.spool.secret_key)
        except SpoolInUse as error:
            address, reason = f"process {error.pid or '?'}", "is starting"
        else:
            try:
                return await action(Desk(spool, Offline(session.config, spool), utc_now))
            finally:
                await spool.close()
        if not session.config.web.enabled and read_address(path) is None:
            session.stop("daemon.no-web")
        try:
            return await action(_remote(session, path))
        except FileNotFoundError:
            pass  # it is starting, and has not yet come to its API
        except Unreachable as error:
            reason = f"{error}"
        if asyncio.get_running_loop().time() > deadline:
            raise NoAnswer(address, reason)
        await asyncio.sleep(_PAUSE_SECONDS)


async def _consult_shared(session: Session, action: Callable[[AnyDesk], Awaitable[T]]) -> T:
    """Of the relay on this machine; where none runs, over the spool that it shares with others."""
    with contextlib.suppress(FileNotFoundError, Unreachable):
        return await action(_remote(session, session.config.spool.beside))
    spool = await open_configured(session.config.spool)
    try:
        return await action(Desk(spool, Offline(session.config, spool), utc_now))
    finally:
        await spool.close()


def _remote(session: Session, spool: Path) -> RemoteDesk:
    web = session.config.web
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(web.host, web.host)
    scheme = "https" if web.certificate else "http"
    configured = f"{scheme}://{f'[{host}]' if ':' in host else host}:{web.port}"
    try:
        token = read_token(spool)
    except PermissionError as error:
        session.stop("daemon.no-token", path=error.filename)
    return RemoteDesk(read_address(spool) or configured, token, web.certificate)


def unchecked(session: Session, command: str, error: ApiError | NoAnswer | Silent) -> NoReturn:
    """Exit 3: the relay runs and cannot be asked. With --json one document says why."""
    if isinstance(error, ApiError):
        reason = {"nl": error.nl, "en": error.en}
    else:
        reason = {each: text("daemon.silent", each, reason=error) for each in ("nl", "en")}
    if session.as_json:
        print_json(document(command, verdict="unknown", error=reason))
    talk(reason[session.language])
    raise typer.Exit(EXIT_UNCHECKED)
