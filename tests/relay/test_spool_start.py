"""Opening a spool: lock, settings, schema, and what a dead process left behind."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fakes.spool_writer import connection_of

from relay.envelope import Envelope, Recipient
from relay.spool.errors import SpoolDamaged, SpoolError, SpoolTooNew
from relay.spool.ids import IdSource, id_number, id_text
from relay.spool.lock import SpoolInUse
from relay.spool.model import NewMessage, Outcome, Placement, State
from relay.spool.sqlite import SqliteSpool, open_spool
from relay.spool.sqlite.opening import set_pragma
from relay.spool.sqlite.sql import migrations

START = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


async def accept(spool: SqliteSpool) -> int:
    number = spool.queue.new_id()
    writer = spool.queue.body_writer(number)
    await writer.write(b"Subject: x\r\n\r\n")
    message = NewMessage(
        number,
        START,
        START + timedelta(days=5),
        "kassa",
        "127.0.0.1",
        Envelope("a@b.nl", (Recipient("c@d.nl"),)),
        (Placement("isp"),),
        "",
    )
    await spool.queue.accept(message, writer)
    return number


async def test_every_commit_is_synced(tmp_path: Path) -> None:
    spool = open_spool(tmp_path / "spool.db")
    try:
        pragmas = {
            name: connection_of(spool).execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "user_version")
        }
        assert pragmas == {
            "journal_mode": "wal",
            "synchronous": 2,
            "user_version": len(migrations()),
        }
    finally:
        await spool.close()


def test_settings_that_do_not_hold_are_refused(tmp_path: Path) -> None:
    # A store that cannot keep a log of its own takes no part in any promise.
    connection = sqlite3.connect(":memory:")
    with closing(connection), pytest.raises(SpoolError, match="journal_mode=memory"):
        set_pragma(connection, "journal_mode", "WAL", "wal")


async def test_a_second_instance_is_kept_out_and_told_who_holds_it(tmp_path: Path) -> None:
    spool = open_spool(tmp_path / "spool.db")
    with pytest.raises(SpoolInUse) as refusal:
        open_spool(tmp_path / "spool.db")
    assert refusal.value.pid == os.getpid()
    await spool.close()
    await open_spool(tmp_path / "spool.db").close()


def test_the_lock_ends_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    program = (
        "import sys, pathlib; from relay.spool.sqlite import open_spool;"
        "spool = open_spool(pathlib.Path(sys.argv[1])); print('open', flush=True);"
        "sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        with pytest.raises(SpoolInUse):
            open_spool(path)
        process.send_signal(signal.SIGKILL)
    spool = open_spool(path)
    asyncio.run(spool.close())


async def test_a_newer_schema_is_refused_with_its_number(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    await open_spool(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(SpoolTooNew) as refusal:
        open_spool(path)
    assert refusal.value.found == 99


async def test_a_file_that_is_no_spool_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    path.write_bytes(b"these are the invoices of 2014" * 1000)
    with pytest.raises(SpoolDamaged):
        open_spool(path)
    assert path.read_bytes().startswith(b"these are the invoices")


async def test_the_spool_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    await open_spool(tmp_path / "new" / "spool.db").close()
    assert (tmp_path / "new").stat().st_mode & 0o077 == 0
    assert (tmp_path / "new" / "spool.db").stat().st_mode & 0o077 == 0


async def test_after_a_crash_leases_are_void_and_the_attempt_is_in_doubt(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    spool = open_spool(path)
    message = await accept(spool)
    untouched = await accept(spool)
    (claim,) = await spool.queue.claim("isp", 1)
    assert claim.message == message
    await spool.close()  # without settling, as a killed process leaves it
    spool = open_spool(path)
    try:
        view = await spool.queue.show(message)
        other = await spool.queue.show(untouched)
        assert view is not None
        assert other is not None
        assert (view.state, view.in_doubt, view.leased) == (State.QUEUED, True, False)
        assert [attempt.outcome for attempt in view.attempts] == [Outcome.INTERRUPTED]
        assert not other.in_doubt
        assert len(await spool.queue.claim("isp", 10)) == 2
    finally:
        await spool.close()


async def test_an_attempt_that_an_older_version_died_over_is_in_doubt(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    with closing(sqlite3.connect(path)) as old:
        old.executescript("".join(migrations()[:5]) + "PRAGMA user_version=5;")
        for message in (1, 2):
            old.execute(
                "INSERT INTO message (id, received_at, expires_at, client, client_address,"
                " reverse_path, body_8bit, smtputf8, bytes, message_id, is_dsn, repairs)"
                " VALUES (?, 0, 1, 'kassa', '192.168.1.20', '', 0, 0, 0, '<1@x>', 0, '[]')",
                (message,),
            )
            old.execute(
                "INSERT INTO recipient (message, position, address, origin, state, lane)"
                " VALUES (?, 0, 'a@example.net', 'rcpt', 'queued', 'isp')",
                (message,),
            )
            owner = "pid 7" if message == 1 else None
            old.execute(
                "INSERT INTO queue (message, lane, due_at, token, lease_owner)"
                " VALUES (?, 'isp', 0, 1, ?)",
                (message, owner),
            )
        old.execute("INSERT INTO lane (name, host, username) VALUES ('isp', 'h', 'u')")
        old.execute(
            "INSERT INTO attempt (message, lane, token, at, recipients) VALUES (1, 'isp', 1, 5, '[0]')"
        )
        old.commit()
    spool = open_spool(path)
    try:
        view, other = await spool.queue.show(1), await spool.queue.show(2)
        assert view is not None
        assert other is not None
        assert (view.in_doubt, view.leased, other.in_doubt) == (True, False, False)
        assert [attempt.outcome for attempt in view.attempts] == [Outcome.INTERRUPTED]
        (used,) = await spool.ledger.usage(datetime.fromtimestamp(0, UTC))
        assert (used.messages, used.recipients, used.transactions) == (1, 1, 1)
    finally:
        await spool.close()


async def test_pieces_of_a_message_that_never_came_whole_are_swept(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    spool = open_spool(path)
    writer = spool.queue.body_writer(spool.queue.new_id())
    for _ in range(40):
        await writer.write(b"x" * 65_536)
    kept = await accept(spool)
    await spool.close()
    spool = open_spool(path)
    try:
        count = connection_of(spool).execute("SELECT count(DISTINCT message) FROM body").fetchone()
        assert count == (1,)
        assert [piece async for piece in spool.queue.body(kept)]
    finally:
        await spool.close()


def test_ids_rise_and_read_back() -> None:
    source = IdSource()
    numbers = [source.next() for _ in range(1000)]
    assert numbers == sorted(set(numbers))
    for number in numbers[:10]:
        assert id_number(id_text(number)) == number
        assert id_number(id_text(number).lower()) == number


@pytest.mark.parametrize(
    "text", ["", "0", "U" * 13, "ZZZZZZZZZZZZZ", "../../../etc/p", "12345678901234"]
)
def test_what_cannot_be_an_id_is_none(text: str) -> None:
    assert id_number(text) is None
