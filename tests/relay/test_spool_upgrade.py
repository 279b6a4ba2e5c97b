"""A spool of an earlier version: kept whole before it changes, and of a later one: who made it."""

import shutil
import sqlite3
import stat
from collections import namedtuple
from contextlib import closing
from pathlib import Path

import pytest
from fakes.relay_process import RelayProcess

import relay
from relay.spool.errors import NoRoomToUpgrade, SpoolFull, SpoolTooNew
from relay.spool.sqlite import open_spool
from relay.spool.sqlite.backup import examine
from relay.spool.sqlite.sql import migrations
from relay.spool.sqlite.upgrade import copy_path

OLD = 5


def make_old(path: Path, schema: int = OLD, messages: int = 3) -> None:
    """A spool as an earlier version left it, with messages that wait."""
    with closing(sqlite3.connect(path)) as old:
        old.executescript("".join(migrations()[:schema]) + f"PRAGMA user_version={schema};")
        for message in range(1, messages + 1):
            old.execute(
                "INSERT INTO message (id, received_at, expires_at, client, client_address,"
                " reverse_path, body_8bit, smtputf8, bytes, message_id, is_dsn, repairs)"
                " VALUES (?, 0, 1, 'kassa', '192.168.1.20', '', 0, 0, 2000, '<1@x>', 0, '[]')",
                (message,),
            )
            old.execute(
                "INSERT INTO recipient (message, position, address, origin, state, lane)"
                " VALUES (?, 0, ?, 'rcpt', 'queued', 'isp')",
                (message, f"klant{message}@example.net"),
            )
            old.execute(
                "INSERT INTO queue (message, lane, due_at, token) VALUES (?, 'isp', 0, 1)",
                (message,),
            )
            old.execute(
                "INSERT INTO body (message, position, bytes) VALUES (?, 0, ?)",
                (message, b"x" * 2000),
            )
        old.commit()


def schema(path: Path) -> int:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        found: int = connection.execute("PRAGMA user_version").fetchone()[0]
        return found


async def waiting(path: Path) -> list[str]:
    spool = open_spool(path)
    try:
        _, views = await spool.queue.page(None, 100)
        return sorted(each.address for view in views for each in view.recipients)
    finally:
        await spool.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    make_old(tmp_path / "spool.db")
    return tmp_path / "spool.db"


async def test_the_spool_of_before_is_kept_whole_beside_the_new_one(path: Path) -> None:
    assert len(await waiting(path)) == 3
    assert sorted(each.name for each in path.parent.iterdir()) == [
        "spool.db",
        "spool.db.lock",
        f"spool.db.v{OLD}",
    ]
    kept = copy_path(path, OLD)
    assert (schema(kept), schema(path)) == (OLD, len(migrations()))
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    with closing(sqlite3.connect(f"file:{kept}?mode=ro", uri=True)) as connection:
        assert connection.execute("SELECT count(*) FROM message").fetchone() == (3,)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_a_spool_of_this_version_is_not_copied(path: Path) -> None:
    await open_spool(path).close()
    copy_path(path, OLD).unlink()
    await open_spool(path).close()
    new = path.with_name("new.db")
    await open_spool(new).close()
    assert not list(path.parent.glob("*.v*"))


async def test_without_room_for_the_copy_nothing_changes(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    before = path.read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(
            shutil, "disk_usage", lambda _: usage(10**9, 10**9 - 20_000_000, 20_000_000)
        )
        with pytest.raises(NoRoomToUpgrade) as refusal:
            open_spool(path)
    assert isinstance(refusal.value, SpoolFull)
    assert refusal.value.free_bytes == 20_000_000 < refusal.value.needed_bytes
    assert schema(path) == OLD
    assert not list(path.parent.glob("*.v*"))
    assert path.read_bytes()[100:] == before[100:]  # but for the header's mark of a WAL
    assert len(await waiting(path)) == 3


async def test_a_copy_that_was_broken_off_is_made_anew(path: Path) -> None:
    draft = path.with_name(f"{path.name}.v{OLD}.draft")
    draft.write_bytes(b"half of it")
    copy_path(path, OLD).write_bytes(b"of an upgrade long ago")
    assert len(await waiting(path)) == 3
    assert schema(copy_path(path, OLD)) == OLD
    assert not draft.exists()


async def test_a_later_version_is_named_in_the_refusal(path: Path) -> None:
    await open_spool(path).close()
    with closing(sqlite3.connect(path)) as later:
        signed = later.execute("SELECT value FROM setting WHERE name = 'made_by'").fetchone()
        assert signed == (relay.__version__,)
        later.execute("UPDATE setting SET value = '9.9.9' WHERE name = 'made_by'")
        later.execute("PRAGMA user_version=99")
        later.commit()
    for attempt in (open_spool, examine):
        with pytest.raises(SpoolTooNew) as refusal:
            attempt(path)
        assert (refusal.value.found, refusal.value.made_by) == (99, "9.9.9")


async def test_the_commands_say_who_made_it_and_the_copy_of_before_can_be_put_back(
    tmp_path: Path,
) -> None:
    tables = '[[smarthost]]\nname = "isp"\nhost = "127.0.0.1"\nport = 9\ntls = "none"\n'
    process = RelayProcess(tmp_path, tables)
    process.write_config()
    make_old(process.spool)
    assert len(process.queue()) == 3
    with closing(sqlite3.connect(process.spool)) as later:
        later.execute("UPDATE setting SET value = '9.9.9' WHERE name = 'made_by'")
        later.execute("PRAGMA user_version=99")
        later.commit()
    for command in (("queue", "list"), ("serve",), ("spool", "check")):
        done = process.run(*command, "--lang", "nl")
        assert (done.code, done.out) == (2, "")
        assert f"gemaakt door office-mail-relay 9.9.9, dit is {relay.__version__}" in done.err
    done = process.run("spool", "restore", str(copy_path(process.spool, OLD)))
    assert done.code == 0, done
    assert len(process.queue()) == 3
