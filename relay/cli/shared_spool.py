"""What `relay check` finds of a spool in PostgreSQL; nothing in it is made or changed."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from relay.cli.finding import Finding, make
from relay.cli.session import Session
from relay.control.token import read_address
from relay.spool.errors import SpoolError, SpoolTooNew
from relay.spool.postgres import Server, examine

_PATIENCE_SECONDS = 1.0


def answers(beside: Path) -> bool:
    """Whether a relay of this machine listens where its files `beside` say."""
    parts = urlsplit(read_address(beside) or "")
    if parts.hostname is None or parts.port is None:
        return False
    with contextlib.suppress(OSError):
        socket.create_connection((parts.hostname, parts.port), _PATIENCE_SECONDS).close()
        return True
    return False


def shared_spool_findings(session: Session) -> Iterator[Finding]:
    """Whether it can be reached, keeps what it is told to, and has a schema that we know."""
    place = session.config.spool
    try:
        found = asyncio.run(examine(Server(place.url, place.password)))
    except SpoolTooNew as error:
        values = {"path": place.url, "found": error.found, "known": error.known}
        yield make(session, "spool", "error", "too-new", **values)
    except SpoolError as error:
        yield make(session, "spool", "error", "no-server", path=place.url, reason=error)
    else:
        case = "good" if found else "new"
        yield make(session, "spool", "ok", case, path=place.url, found=found)
