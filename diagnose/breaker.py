"""Whether the relay has paused an account: then its provider has heard a wrong password often enough.

Read only: a running relay is asked over its API, the file of a stopped one is only looked at.
"""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

from diagnose.blocking import in_thread
from diagnose.finding import Document, Finding, Severity
from diagnose.wording import Language, finding
from relay.clock import utc_now
from relay.config.model import Config, Smarthost
from relay.control.client import ApiError, RemoteDesk, Silent, Unreachable
from relay.control.documents import time_text
from relay.control.errors import Declined
from relay.control.token import read_address, read_token


async def pause_of(
    config: Config, smarthost: Smarthost, language: Language, seconds: float
) -> Finding | None:
    """A finding of severity unknown where the account is paused, or nobody can tell; else None."""
    if smarthost.account is None or config.spool.path is None:
        return None
    try:
        paused = await _paused_until(config, config.spool.path, smarthost, seconds)
    except (ApiError, Declined, Silent, OSError, sqlite3.Error, TimeoutError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}"
        return finding(
            "auth/pause-unknown", Severity.UNKNOWN, language, reason=reason, name=smarthost.name
        )
    if paused is None:
        return None
    return finding(
        "auth/account-paused",
        Severity.UNKNOWN,
        language,
        username=smarthost.username,
        host=smarthost.host,
        name=smarthost.name,
        since=paused["paused_at"],
    )


async def _paused_until(
    config: Config, spool: Path, smarthost: Smarthost, seconds: float
) -> Document | None:
    """Since when the account is paused, None if it is not. Raises what the desk and SQLite raise."""
    address = read_address(spool)
    if address is not None:
        desk = RemoteDesk(address, read_token(spool), config.web.certificate)
        try:
            found: Document = await in_thread(lambda: asyncio.run(desk.account_list()), seconds)
        except Unreachable:
            pass  # it ended without taking its address back
        else:
            entries = found["accounts"]
            return next((each for each in entries if _is_paused(each, smarthost)), None)
    return await in_thread(lambda: _in_file(spool, smarthost), seconds)


def _is_paused(entry: Document, smarthost: Smarthost) -> bool:
    if (entry["host"], entry["username"]) != smarthost.account or not entry["paused"]:
        return False
    until = entry["paused_until"]
    return until is None or datetime.fromisoformat(until) > utc_now()


def _in_file(spool: Path, smarthost: Smarthost) -> Document | None:
    """What the ledger of a relay that does not run says."""
    from relay.spool.sqlite.ledger import SQL
    from relay.spool.sqlite.reader import open_unwritten
    from relay.spool.sqlite.rows import from_micros, optional_time

    if not spool.exists():
        return None
    with closing(open_unwritten(spool)) as connection:
        rows = connection.execute(SQL["paused"]).fetchall()
    for host, username, at, until, *_ in rows:
        entry = {
            "host": host,
            "username": username,
            "paused": True,
            "paused_at": time_text(from_micros(at)),
            "paused_until": time_text(optional_time(until)),
        }
        if _is_paused(entry, smarthost):
            return entry
    return None
