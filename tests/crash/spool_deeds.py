"""What a spool does, deed by deed, each noted in a journal once the spool has said that it is done.

The process that runs this may be killed at any call to the disk: what the journal holds must be
in the spool afterwards, and of what it does not hold all or nothing.
"""

import json
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fakes.spool_writer import connection_of

from presets.reply import Reply
from relay.envelope import Envelope, Recipient
from relay.spool.model import (
    AttemptRecord,
    Claim,
    NewMessage,
    Outcome,
    Placement,
    RecipientResult,
    Settlement,
    State,
)
from relay.spool.sqlite import SqliteSpool, open_spool

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(days=40)
LARGE_BYTES = 1_400_000  # is committed in rows as it arrives

Begin = Callable[[], None]
Scenario = Callable[[Path, "Journal", Begin], Awaitable[None]]


class Journal:
    """Lines that are on their way to the reader before the next deed begins."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(self, deed: str, message: int) -> None:
        os.write(self._file, f"{json.dumps([deed, message])}\n".encode())


def content(number: int) -> bytes:
    """The bytes of the `number`-th message; every fourth is a large one."""
    head = b"Subject: %d\r\n\r\n" % number
    return head + b"x" * (LARGE_BYTES if number % 4 == 3 else 500) + b"\r\n"


async def accept(spool: SqliteSpool, number: int, *, is_dsn: bool = False) -> int:
    """One message with two recipients."""
    message = spool.queue.new_id()
    body = spool.queue.body_writer(message)
    data = content(number)
    for at in range(0, len(data), 200_000):
        await body.write(data[at : at + 200_000])
    await spool.queue.accept(_new(message, is_dsn), body)
    return message


async def accepting(path: Path, journal: Journal, begin: Begin) -> None:
    spool = open_spool(path, lambda: NOW)
    begin()
    for number in range(12):
        journal.note("accepted", await accept(spool, number))


async def claiming(path: Path, journal: Journal, begin: Begin) -> None:
    spool = open_spool(path, lambda: NOW)
    begin()
    while claims := await spool.queue.claim("isp", 1):
        journal.note("claimed", claims[0].message)


async def settling(path: Path, journal: Journal, begin: Begin) -> None:
    """Delivered, failed with a DSN, deferred, in turn."""
    spool = open_spool(path, lambda: NOW)
    claims = await spool.queue.claim("isp", 100)
    begin()
    for number, claim in enumerate(claims):
        outcome = (Outcome.DELIVERED, Outcome.FAILED, Outcome.DEFERRED)[number % 3]
        await spool.queue.settle(_settlement(spool, claim, outcome))
        journal.note(outcome.value, claim.message)


async def purging(path: Path, journal: Journal, begin: Begin) -> None:
    spool = open_spool(path, lambda: LATER)
    begin()
    while await spool.queue.purge(LATER - timedelta(days=30), 3):
        journal.note("purged", 3)


async def checkpointing(path: Path, journal: Journal, begin: Begin) -> None:
    """The WAL is written back into the file again and again while mail comes."""
    spool = open_spool(path, lambda: NOW)
    connection_of(spool).execute("PRAGMA wal_autocheckpoint=20")
    begin()
    for number in range(12):
        journal.note("accepted", await accept(spool, number))
    await spool.close()


async def migrating(path: Path, journal: Journal, begin: Begin) -> None:
    """The spool in `path` has the first schema."""
    begin()
    spool = open_spool(path, lambda: NOW)
    journal.note("accepted", await accept(spool, 0))
    await spool.close()


SCENARIOS: dict[str, Scenario] = {
    "accept": accepting,
    "claim": claiming,
    "outcome": settling,
    "purge": purging,
    "checkpoint": checkpointing,
    "migration": migrating,
}


def _new(message: int, is_dsn: bool) -> NewMessage:
    recipients = (Recipient("a@example.net"), Recipient("b@example.net"))
    return NewMessage(
        id=message,
        received_at=NOW,
        expires_at=NOW + timedelta(days=5),
        client="kassa",
        client_address="192.168.1.20",
        envelope=Envelope(None if is_dsn else "info@bakkerij.nl", recipients),
        placements=(Placement("isp"), Placement("isp")),
        message_id=f"<{message}@bakkerij.nl>",
        is_dsn=is_dsn,
    )


def _settlement(spool: SqliteSpool, claim: Claim, outcome: Outcome) -> Settlement:
    state = {Outcome.DELIVERED: State.DELIVERED, Outcome.FAILED: State.FAILED}.get(
        outcome, State.QUEUED
    )
    positions = tuple(queued.position for queued in claim.recipients)
    reply = Reply(250 if state is State.DELIVERED else 550, None, "said")
    failed = outcome is Outcome.FAILED
    return Settlement(
        claim=claim,
        at=NOW,
        results=tuple(RecipientResult(position, state, reply) for position in positions),
        attempts=(AttemptRecord(outcome, positions, "dot", "192.0.2.1", 0.1, reply),),
        due_at=NOW + timedelta(minutes=5),
        counts=outcome is Outcome.DEFERRED,
        dsns=((_new(spool.queue.new_id(), True), b"Subject: report\r\n\r\n"),) if failed else (),
    )
