"""The spool of a stopped relay, read without a trace."""

import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from relay.config.secret import SecretRef
from relay.spool.errors import SpoolError, VaultError
from relay.spool.ledger_entry import PausedAccount
from relay.spool.sqlite import open_spool
from relay.spool.sqlite.still import StillSpool
from relay.spool.vault_entry import Grant

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
ACCOUNT = ("mail.example", "bakker")
GRANT = Grant("refresh", None, None, NOW, NOW, ("scope",))


def clock() -> datetime:
    return NOW


def key_file(directory: Path, text: str) -> SecretRef:
    path = directory / "spool.secret"
    path.touch(0o600)
    path.write_text(text)
    return SecretRef("file", str(path))


async def stopped(path: Path, key: SecretRef | None = None) -> None:
    """A relay ran here, paused an account and kept its tokens."""
    spool = open_spool(path, clock, key)
    await spool.ledger.pause(PausedAccount(*ACCOUNT, NOW, None, 1, "wrong-password", None, "mark"))
    await spool.vault.keep(*ACCOUNT, GRANT)
    await spool.close()


def files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.mark.parametrize("sealed", [True, False])
async def test_everything_is_read_and_nothing_written(tmp_path: Path, sealed: bool) -> None:
    path = tmp_path / "spool.db"
    key = key_file(tmp_path, "een sleutel") if sealed else None
    await stopped(path, key)
    before = files(tmp_path)
    spool = StillSpool(path, clock, key)
    (paused,) = await spool.ledger.paused()
    assert (paused.host, paused.username, paused.cause) == (*ACCOUNT, "wrong-password")
    assert (await spool.queue.totals()).queued == 0
    assert await spool.vault.grant(*ACCOUNT) == GRANT
    with pytest.raises(SpoolError):
        await spool.ledger.resume(*ACCOUNT)
    await spool.close()
    assert files(tmp_path) == before


async def test_what_a_killed_relay_left_is_read_and_left(tmp_path: Path) -> None:
    spool = open_spool(tmp_path / "spool.db", clock)
    await spool.ledger.pause(PausedAccount(*ACCOUNT, NOW, None, 1, "wrong-password", None, "mark"))
    left = tmp_path / "left"
    left.mkdir()
    for name in ("spool.db", "spool.db-wal"):  # its log still holds the pause
        shutil.copy(tmp_path / name, left)
    await spool.close()
    before = files(left)
    still = StillSpool(left / "spool.db", clock)
    (paused,) = await still.ledger.paused()
    await still.close()
    assert paused.username == "bakker"
    assert files(left).items() >= before.items()


async def test_sealed_tokens_need_their_key(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    await stopped(path, key_file(tmp_path, "een sleutel"))
    missing = SecretRef("file", str(tmp_path / "nowhere"))
    for key in (None, missing, key_file(tmp_path, "een andere")):
        spool = StillSpool(path, clock, key)
        with pytest.raises(VaultError):
            await spool.vault.grant(*ACCOUNT)
        await spool.close()


async def test_tokens_not_yet_moved_into_the_store_are_read_where_they_are(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    await stopped(path)
    spool = StillSpool(path, clock, key_file(tmp_path, "een sleutel"))
    assert await spool.vault.grant(*ACCOUNT) == GRANT
    await spool.close()


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.Error):
        StillSpool(tmp_path / "nowhere.db", clock)


@pytest.mark.parametrize(("version", "word"), [(1, "start the relay once"), (9999, "9999")])
async def test_the_spool_of_another_version_is_not_guessed_at(
    tmp_path: Path, version: int, word: str
) -> None:
    path = tmp_path / "spool.db"
    await open_spool(path, clock).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version={version}")
    with pytest.raises(SpoolError, match=word):
        StillSpool(path, clock)
