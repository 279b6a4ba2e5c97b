"""SIGKILL at the n-th sync and the n-th write of each thing that a spool does.

What was said to be done is there afterwards; what was not is there whole or not at all.
"""

import asyncio
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from crash.spool_deeds import LATER, NOW, accept, content
from fakes.disk_faults import Call, DiskFaults
from fakes.peers import needs
from fakes.spool_writer import connection_of
from fakes.stocked_spool import multiply

from relay.spool.model import AttemptRecord, Outcome, RecipientResult, Settlement, State
from relay.spool.sqlite import SqliteSpool, open_spool
from relay.spool.sqlite.sql import migrations

pytestmark = needs("cc")

CALLS = range(1, 61)
ROOT = Path(__file__).resolve().parents[2]


class Worker:
    """`spool_worker.py` with a disk that kills."""

    def __init__(self, faults: DiskFaults) -> None:
        self._faults = faults
        paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "crash.spool_worker"],
            env={**os.environ, **faults.environment, "PYTHONPATH": paths},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, scenario: str, spool: Path, journal: Path, call: Call, nth: int) -> int:
        """How the fork ended: 0, or minus SIGKILL."""
        job = {
            "scenario": scenario,
            "spool": str(spool),
            "journal": str(journal),
            "order": f"kill {call} {nth} 1 0\n",
            "order_file": str(self._faults.order_file),
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._faults.clear()
        self._process.stdin.write(f"{json.dumps(job)}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate(timeout=10)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kill")


@pytest.fixture(scope="module")
def worker(folder: Path) -> Iterator[Worker]:
    worker = Worker(DiskFaults(folder / "faults", folder / "spool"))
    yield worker
    worker.close()


@pytest.fixture(scope="module")
def stocks(folder: Path) -> dict[str, Path]:
    """Spools to begin with: empty, with mail that waits, with mail that is done, of the first
    schema with mail that waits."""
    made = {name: folder / f"{name}.db" for name in ("empty", "waiting", "done", "old")}
    asyncio.run(_stock(made))
    with closing(sqlite3.connect(made["old"])) as connection:
        connection.executescript(f"{migrations()[0]}\nPRAGMA user_version=1;")
        connection.execute("ATTACH ? AS now", (str(made["waiting"]),))
        for table in ("message", "body", "recipient", "queue"):
            columns = ", ".join(
                row[1] for row in connection.execute(f"PRAGMA main.table_info({table})")
            )
            connection.execute(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM now.{table}")
        connection.commit()
    return made


async def _stock(made: dict[str, Path]) -> None:
    await open_spool(made["empty"], lambda: NOW).close()
    spool = open_spool(made["waiting"], lambda: NOW)
    for number in range(12):
        await accept(spool, number)
    await spool.close()
    shutil.copy(made["waiting"], made["done"])
    spool = open_spool(made["done"], lambda: NOW)
    for claim in await spool.queue.claim("isp", 100):
        results = tuple(
            RecipientResult(each.position, State.DELIVERED) for each in claim.recipients
        )
        attempts = (AttemptRecord(Outcome.DELIVERED, (0, 1)),)
        await spool.queue.settle(Settlement(claim, NOW, results, attempts))
    await spool.close()


BEGIN_WITH = {
    "accept": "empty",
    "claim": "waiting",
    "outcome": "waiting",
    "purge": "done",
    "checkpoint": "empty",
    "migration": "old",
}


@pytest.mark.parametrize("call", ["sync", "write"])
@pytest.mark.parametrize("scenario", list(BEGIN_WITH))
async def test_nothing_that_was_done_is_lost(
    folder: Path, worker: Worker, stocks: dict[str, Path], scenario: str, call: Call
) -> None:
    kills = 0
    for nth in CALLS:
        spool, journal = folder / "spool" / "spool.db", folder / "journal"
        shutil.rmtree(spool.parent, ignore_errors=True)
        spool.parent.mkdir()
        journal.unlink(missing_ok=True)
        shutil.copy(stocks[BEGIN_WITH[scenario]], spool)
        ended = worker.run(scenario, spool, journal, call, nth)
        assert ended in (0, -signal.SIGKILL)
        lines = journal.read_text().splitlines() if journal.exists() else []
        await check(spool, scenario, [json.loads(line) for line in lines])
        if ended == 0:
            break  # it has fewer calls than this
        kills += 1
    print(f"{scenario}: {kills} kills at a {call}")
    assert kills >= 5


@pytest.mark.parametrize("call", ["sync", "write"])
async def test_an_upgrade_that_is_killed_loses_none_of_a_thousand(
    folder: Path, worker: Worker, stocks: dict[str, Path], call: Call
) -> None:
    old = _thousand(folder, stocks["old"])
    kills, nth, step = 0, 1, 1
    while True:
        spool, journal = folder / "spool" / "spool.db", folder / "journal"
        shutil.rmtree(spool.parent, ignore_errors=True)
        spool.parent.mkdir()
        shutil.copy(old, spool)
        if worker.run("migration", spool, journal, call, nth) == 0:
            break
        kills, nth, step = kills + 1, nth + step, min(step + 1, 10)
        after = open_spool(spool, lambda: NOW)
        try:
            ids = await after.queue.ids()
            # What the upgraded relay took before it was killed may be there too.
            assert 1000 <= len(ids) <= 1001
            assert len(await after.queue.claim("isp", 2000)) == len(ids)
        finally:
            await after.close()
    print(f"migration of a thousand: {kills} kills at a {call}")
    assert kills >= 5


def _thousand(folder: Path, old: Path) -> Path:
    """A spool of the first schema in which a thousand messages wait."""
    path = folder / "thousand.db"
    if not path.exists():
        shutil.copy(old, path)
        multiply(path, 1000)
    return path


async def check(path: Path, scenario: str, journal: list[tuple[str, int]]) -> None:
    """Opens the spool as the next start does and compares it with the journal."""
    spool = open_spool(path, lambda: NOW if scenario != "purge" else LATER)
    try:
        assert connection_of(spool).execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        await check_whole(spool)
        if scenario in ("claim", "outcome", "migration"):
            number = connection_of(spool).execute("SELECT count(*) FROM message").fetchone()[0]
            assert number >= 12
        for deed, message in journal:
            if deed == "purged":
                continue
            view = await spool.queue.show(message)
            assert view is not None, f"{deed} {message} is gone"
            states = {each.state for each in view.recipients}
            if deed in ("delivered", "failed"):
                assert states == {State(deed)}
                assert view.attempts[-1].outcome == deed
            else:
                assert states == {State.QUEUED}
            if deed == "claimed":
                assert view.in_doubt
        failed = [message for deed, message in journal if deed == "failed"]
        reports = connection_of(spool).execute("SELECT count(*) FROM message WHERE is_dsn")
        assert reports.fetchone()[0] >= len(failed)
    finally:
        await spool.close()


async def check_whole(spool: SqliteSpool) -> None:
    """No half message: each has its recipients, each that is unfinished its bytes, no bytes
    without a message, no report without its failure."""
    connection = connection_of(spool)
    for message, finished, is_dsn in connection.execute(
        "SELECT id, finished_at, is_dsn FROM message"
    ).fetchall():
        recipients = connection.execute(
            "SELECT count(*) FROM recipient WHERE message = ?", (message,)
        ).fetchone()[0]
        assert recipients == 2
        body = b"".join([piece async for piece in spool.queue.body(message)])
        if finished is not None:
            assert body == b""
        elif not is_dsn:
            number = int(body.split(b"\r\n", 1)[0].removeprefix(b"Subject: "))
            assert body == content(number)
    orphans = "SELECT count(*) FROM body WHERE message NOT IN (SELECT id FROM message)"
    assert connection.execute(orphans).fetchone()[0] == 0
    unequal = "SELECT count(*) FROM message WHERE is_dsn"
    failed = "SELECT count(DISTINCT message) FROM recipient WHERE state = 'failed'"
    assert connection.execute(unequal).fetchone() == connection.execute(failed).fetchone()
