"""What the relay knows of its smarthosts: asked of a running one, looked up in a stopped one's file.

Strictly read-only: the file of a stopped relay is opened without a right to write. The addresses of
recipients are taken out of what servers said.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from diagnose.blocking import in_thread
from diagnose.finding import Document
from diagnose.relay_desk import UNANSWERED, ask_running, reason_of
from relay.config.model import Config
from relay.control.documents import history_document, provider_of, time_text

_ADDRESS = re.compile(r"[^\s<>()\[\],;:\"'@]+@[^\s<>()\[\],;:\"'@]+")
_FROM_SPOOL = ("queued", "held", "oldest_queued_at")
_PER_SMARTHOST = (
    *("name", "queued", "blocked_by", "blocked_since", "cause", "reply"),
    *("worked_until", "worked_address", "failing_since", "first_failure", "seen"),
)


class StateUnknown(Exception):
    """The relay, or its file, gave no answer; the text says why."""


@dataclass(frozen=True, slots=True)
class RelayState:
    """`running` None: it cannot be told. `ran` False: there is no spool at all."""

    running: bool | None
    ran: bool
    content: Document

    @property
    def version(self) -> str | None:
        """Of the process that runs."""
        found = self.content.get("version")
        return found if isinstance(found, str) else None

    def smarthost(self, name: str) -> Document:
        """What is known of one; empty where nothing is."""
        entries = self.content.get("smarthosts", [])
        return next((each for each in entries if each["name"] == name), {})


async def relay_state(config: Config, seconds: float) -> RelayState:
    """The state of the relay that works by `config`. Raises StateUnknown."""
    spool = config.spool.path
    try:
        found = await _ask(config, seconds)
        if found is None and spool is None:
            raise StateUnknown("no relay runs here, and its spool is on another machine")
        if found is None and spool is not None:
            found = await in_thread(lambda: _in_file(config, spool), seconds)
    except UNANSWERED as error:
        raise StateUnknown(reason_of(error, "en")) from error
    assert found is not None
    content = without_strangers(found.content, set(own_addresses(config)))
    return RelayState(found.running, found.ran, content)


async def _ask(config: Config, seconds: float) -> RelayState | None:
    """What the running relay answers; None where none runs that can be asked."""
    found: Document | None = await ask_running(config, seconds, lambda desk: desk.status())
    if found is None:
        return None
    smarthosts = [{key: each.get(key) for key in _PER_SMARTHOST} for each in found["smarthosts"]]
    kept = {key: found.get(key) for key in ("version", "started_at", *_FROM_SPOOL)}
    return RelayState(True, True, {**kept, "smarthosts": smarthosts})


def _in_file(config: Config, spool: Path) -> RelayState:
    from relay.spool.sqlite.reader import open_unwritten

    # Without its page a relay that runs leaves no address.
    running = False if config.web.enabled else None
    if not spool.exists():
        return RelayState(running, False, {"smarthosts": []})
    with closing(open_unwritten(spool)) as connection:
        return RelayState(running, True, _content(connection, config))


def _content(connection: sqlite3.Connection, config: Config) -> Document:
    from relay.delivery.sightings import parse_seen, seen_key
    from relay.spool.sqlite import views
    from relay.spool.sqlite.ledger import SQL

    totals = views.totals(connection)
    smarthosts = []
    for name in [each.name for each in config.smarthosts]:
        noted = connection.execute(SQL["setting"], (seen_key(name),)).fetchone()
        history = views.history(connection, name)
        entry: Document = {
            **dict.fromkeys(_PER_SMARTHOST),
            "name": name,
            "queued": totals.by_lane.get(name, 0),
            **history_document(history, provider_of(config, name)),
            "seen": parse_seen(noted[0]) if noted else None,
        }
        smarthosts.append(entry)
    return {
        "version": None,
        "started_at": None,
        "queued": totals.queued,
        "held": totals.held,
        "oldest_queued_at": time_text(totals.oldest_queued_at),
        "smarthosts": smarthosts,
    }


def own_addresses(config: Config) -> Iterator[str]:
    """The addresses that the relay logs in with and sends as."""
    policies = [config.sender, *(each.sender for each in config.smarthosts)]
    yield from (each.address for each in policies if each is not None and each.address)
    for smarthost in config.smarthosts:
        yield smarthost.username or ""
        yield from smarthost.allowed_senders


def without_strangers(value: Any, own: set[str]) -> Any:
    """`value` with every mail address in it replaced that is not one of `own`."""
    if isinstance(value, str):
        return _ADDRESS.sub(lambda found: found[0] if found[0] in own else "***", value)
    if isinstance(value, dict):
        return {key: without_strangers(each, own) for key, each in value.items()}
    return [without_strangers(each, own) for each in value] if isinstance(value, list) else value


def moment(text: str | None) -> datetime | None:
    """The time of a document; None where there is none."""
    return None if text is None else datetime.fromisoformat(text)
