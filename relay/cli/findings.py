"""What `relay check` finds on this machine: configuration, ports, spool, disk."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from relay.cli.account_findings import account_findings
from relay.cli.finding import Finding, Severity, make
from relay.cli.service_user import user_findings
from relay.cli.session import Session
from relay.cli.shared_spool import answers, shared_spool_findings
from relay.cli.trials import existing_parent
from relay.clock import utc_now
from relay.config.certificate_dates import dated_certificates
from relay.control.errors import CannotListen
from relay.spool.lock import SpoolInUse, SpoolLock
from relay.spool.sqlite.sql import migrations


def local_findings(session: Session, user: str | None = None) -> list[Finding]:
    """What can be told without the network, in the order of importance.

    `user` is who the service runs as; None: who owns the spool's directory.
    """
    spool = session.config.spool
    running = answers(spool.beside) if spool.path is None else is_held(spool.path)
    return [
        *_configuration(session),
        *user_findings(session, user),
        *account_findings(session),
        *_certificates(session),
        _running(session, running),
        *port_findings(session, running),
        *_spool(session),
        *_disk(session),
    ]


def _configuration(session: Session) -> Iterator[Finding]:
    config = session.config
    case = "sandbox" if config.sandbox else "good"
    # `open_session` has ended with exit 2 where the file or a secret of it is no good.
    yield make(session, "configuration", "ok", case, path=config.path)
    for warning in config.warnings:
        title = session.text("check.configuration")
        yield Finding("configuration", "warning", title, warning.text(session.language))


def _certificates(session: Session) -> Iterator[Finding]:
    """Until when each certificate of ours is valid."""
    now = utc_now()
    for each in dated_certificates(session.config):
        ended = each.days_left(now) <= 0
        severity: Severity = "error" if ended else "warning" if each.ends_soon(now) else "ok"
        case = "ended" if ended else "ends" if each.ends_soon(now) else "good"
        yield make(session, "certificate", severity, case, **each.values(now))


def _running(session: Session, running: bool) -> Finding:
    return make(session, "service", "info", "running" if running else "stopped")


def port_findings(session: Session, running: bool) -> Iterator[Finding]:
    """Each port is free, or open because the relay that runs has it."""
    config = session.config
    wanted = [
        (f"listener[{index}].address", listener.host, listener.port)
        for index, listener in enumerate(config.listeners)
    ]
    if config.web.enabled:
        wanted.append(("web.address", config.web.host, config.web.port))
    for key, host, port in wanted:
        values: dict[str, Any] = {"host": host, "port": port, "key": key}
        error = why_not_free(host, port, key)
        if error is None:
            yield make(session, "port", "ok", "free", **values)
        elif error.taken and running:
            yield make(session, "port", "ok", "ours", **values)
        else:
            case = "taken" if error.taken else "forbidden" if error.forbidden else "other"
            reason = error.reason.strerror or str(error.reason)
            severity: Severity = "error"
            yield make(session, "port", severity, case, **values, reason=reason)


def why_not_free(host: str, port: int, key: str) -> CannotListen | None:
    """What keeps an address from being listened on; it is opened and closed at once."""
    try:
        for family, *_, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            with socket.create_server(address[:2], family=family):
                pass
    except OSError as error:
        return CannotListen(host, port, key, error)
    return None


def _spool(session: Session) -> Iterator[Finding]:
    path = session.config.spool.path
    if path is None:
        yield from shared_spool_findings(session)
        return
    directory = existing_parent(path)
    if not os.access(directory, os.W_OK | os.X_OK):
        yield make(session, "spool", "error", "not-writable", path=directory)
        return
    if not path.exists():
        yield make(session, "spool", "ok", "new", path=path)
        return
    known = len(migrations())
    try:
        found = schema_version(path)
    except sqlite3.Error as error:
        # A locked-away file is not a damaged one.
        case = "damaged" if os.access(path, os.R_OK) else "unreadable"
        yield make(session, "spool", "error", case, path=path, reason=error)
        return
    if found > known:
        yield make(session, "spool", "error", "too-new", path=path, found=found, known=known)
    else:
        yield make(session, "spool", "ok", "good", path=path, found=found)


def schema_version(path: Path) -> int:
    """The schema of a spool, read without changing or migrating it. Raises sqlite3.Error."""
    # Without a WAL file nobody has it open, and reading must not make one.
    mode = "mode=ro" if path.with_name(path.name + "-wal").exists() else "mode=ro&immutable=1"
    connection = sqlite3.connect(f"file:{quote(str(path))}?{mode}", uri=True, timeout=5)
    try:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])
    finally:
        connection.close()


def _disk(session: Session) -> Iterator[Finding]:
    spool = session.config.spool
    if spool.path is None:
        return
    free = shutil.disk_usage(existing_parent(spool.path)).free
    enough = free >= spool.reserve_bytes
    values = {"free_bytes": free, "reserve_bytes": spool.reserve_bytes}
    yield make(session, "disk", "ok" if enough else "error", "good" if enough else "low", **values)


def is_held(spool: Path | None) -> bool:
    """Whether a running relay has the spool; makes no lock file."""
    if spool is None:
        return False
    lock = SpoolLock(spool.with_name(spool.name + ".lock"))
    try:
        if lock.path.exists():
            lock.acquire()
            lock.release()
    except SpoolInUse:
        return True
    except OSError:
        return False
    return False
