"""The tokens of a spool: in one place, for its owner alone, whole after a crash, and never swapped."""

import asyncio
import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from relay.config.secret import SecretRef
from relay.spool.errors import VaultError
from relay.spool.sqlite import SqliteSpool, open_spool
from relay.spool.vault import FileVault, tokens_file
from relay.spool.vault_cipher import fernet_key
from relay.spool.vault_entry import Grant

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
ACCOUNT = ("smtp.office365.com", "boekhouding@bakkerij.example")
OTHER = ("smtp.gmail.com", "info@bakkerij.example")
GRANT = Grant(
    refresh_token="CANARY-refresh",
    access_token="CANARY-access",
    expires_at=NOW + timedelta(hours=1),
    consented_at=NOW - timedelta(days=3),
    refreshed_at=NOW,
    scopes=("https://outlook.office.com/SMTP.Send", "offline_access"),
)
no_modes = pytest.mark.skipif(os.name == "nt", reason="mode bits say nothing on Windows")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool.db"


@pytest.fixture
def secret(tmp_path: Path) -> SecretRef:
    return key_file(tmp_path / "spool.key", "brood en boter")


def key_file(file: Path, text: str) -> SecretRef:
    file.touch(0o600)
    file.write_text(text)
    return SecretRef("file", str(file))


def use(path: Path, key: SecretRef | None, work: Callable[[SqliteSpool], object]) -> object:
    """What `work` gives of the open spool, awaited."""

    async def run() -> object:
        spool = open_spool(path, lambda: NOW, key)
        try:
            return await work(spool)  # type: ignore[misc]
        finally:
            await spool.close()

    return asyncio.run(run())


def keep(path: Path, key: SecretRef | None = None, grant: Grant = GRANT) -> None:
    use(path, key, lambda spool: spool.vault.keep(*ACCOUNT, grant))


def granted(path: Path, key: SecretRef | None = None, account: tuple[str, str] = ACCOUNT) -> object:
    return use(path, key, lambda spool: spool.vault.grant(*account))


def refusal(path: Path, key: SecretRef | None = None) -> VaultError:
    with pytest.raises(VaultError) as caught:
        granted(path, key)
    assert caught.value.text("nl") != caught.value.text("en")
    assert "CANARY" not in repr(caught.value) + caught.value.nl + caught.value.en
    assert caught.value.__cause__ is None or "CANARY" not in repr(caught.value.__cause__)
    return caught.value


def everything(directory: Path) -> bytes:
    return b"".join(each.read_bytes() for each in directory.iterdir() if each.is_file())


# --- both ---


@pytest.mark.parametrize("keyed", [False, True])
def test_what_is_kept_is_there_after_a_restart(path: Path, secret: SecretRef, keyed: bool) -> None:
    key = secret if keyed else None
    assert granted(path, key) is None
    keep(path, key)
    assert granted(path, key) == GRANT
    bare = Grant(None, "x", None, None, NOW)
    keep(path, key, bare)
    assert granted(path, key) == bare
    assert granted(path, key, OTHER) is None
    assert use(path, key, lambda spool: spool.vault.forget(*ACCOUNT)) is True
    assert use(path, key, lambda spool: spool.vault.forget(*ACCOUNT)) is False
    assert granted(path, key) is None


@pytest.mark.parametrize("keyed", [False, True])
async def test_many_at_once_lose_nothing(path: Path, secret: SecretRef, keyed: bool) -> None:
    spool = open_spool(path, lambda: NOW, secret if keyed else None)
    try:
        await asyncio.gather(*(spool.vault.keep("host", f"u{n}", GRANT) for n in range(20)))
        found = [await spool.vault.grant("host", f"u{n}") for n in range(20)]
        assert found == [GRANT] * 20
    finally:
        await spool.close()


def test_the_repr_of_a_grant_shows_no_token() -> None:
    assert "CANARY" not in repr(GRANT)


# --- the file ---


@no_modes
def test_the_file_is_for_its_owner_from_its_first_byte_on(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes = []
    real = os.fsync

    def noting(descriptor: int) -> None:
        modes.append(os.fstat(descriptor).st_mode & 0o777)
        real(descriptor)

    monkeypatch.setattr("os.fsync", noting)
    old = os.umask(0)
    try:
        asyncio.run(FileVault(tokens_file(path)).keep(*ACCOUNT, GRANT))
    finally:
        os.umask(old)
    assert tokens_file(path).name == "spool.db.tokens"
    assert tokens_file(path).stat().st_mode & 0o777 == 0o600
    assert modes[0] == 0o600
    assert len(modes) == 2  # the file, and the directory that names it


@no_modes
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o660])
def test_a_file_open_to_others_is_refused_with_the_cure(path: Path, mode: int) -> None:
    keep(path)
    tokens_file(path).chmod(mode)
    assert f"chmod 600 {tokens_file(path)}" in refusal(path).nl
    with pytest.raises(VaultError):
        keep(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"schema": "relay-tokens/2", "accounts": []}',
        b'{"schema": "relay-tokens/1", "accounts": [1]}',
        b'{"schema": "relay-tokens/1", "accounts": [{"host": "a", "username": "b"}]}',
        b'{"schema": "relay-tokens/1", "accounts": [{"host": "a", "refreshed_at": "x"}]}',
        b"\xff" * 40,
        b"[" * 100_000,
        b'{"CANARY": ',
    ],
)
def test_a_damaged_file_is_refused_and_stays_as_it_is(path: Path, content: bytes) -> None:
    tokens_file(path).touch(0o600)
    tokens_file(path).write_bytes(content)
    error = refusal(path)
    assert "relay account login" in error.en
    assert "relay account login" in error.nl
    with pytest.raises(VaultError):
        keep(path)
    assert tokens_file(path).read_bytes() == content


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("refresh_token", 1),
        ("access_token", []),
        ("expires_at", "2026-11-21T09:00:00"),
        ("expires_at", 5),
        ("refreshed_at", None),
        ("scopes", "x"),
    ],
)
def test_a_value_of_another_kind_is_damage(path: Path, key: str, value: object) -> None:
    keep(path)
    document = json.loads(tokens_file(path).read_text())
    document["accounts"][0][key] = value
    tokens_file(path).write_text(json.dumps(document))
    assert "damaged" in refusal(path).en


@pytest.mark.parametrize("failing", ["os.fsync", "pathlib.Path.replace"])
def test_a_write_that_fails_leaves_the_old_file(
    path: Path, failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(failing, full)
        with pytest.raises(VaultError) as caught:
            asyncio.run(
                FileVault(tokens_file(path)).keep(*ACCOUNT, replace(GRANT, refresh_token="new"))
            )
    assert "No space left" in caught.value.en
    assert granted(path) == GRANT
    assert not list(path.parent.glob("*.new"))


def test_what_a_crash_left_beside_it_is_in_nobodys_way(path: Path) -> None:
    keep(path)
    stale = path.with_name("spool.db.tokens.new")
    stale.symlink_to(path.parent / "elsewhere")
    keep(path, grant=replace(GRANT, refresh_token="CANARY-2"))
    assert not (path.parent / "elsewhere").exists()
    assert not stale.is_symlink()
    assert granted(path) == replace(GRANT, refresh_token="CANARY-2")


# --- the store ---


def test_nothing_readable_is_on_disk(path: Path, secret: SecretRef) -> None:
    keep(path, secret)
    assert b"CANARY" not in everything(path.parent)
    assert not tokens_file(path).exists()


@pytest.mark.parametrize(
    "other", ["boter en brood", Fernet.generate_key().decode()], ids=["words", "key"]
)
def test_another_key_is_told_as_such_and_a_new_login_cures_it(
    path: Path, secret: SecretRef, other: str, tmp_path: Path
) -> None:
    keep(path, secret)
    wrong = key_file(tmp_path / "other.key", other)
    error = refusal(path, wrong)
    assert "secret_key" in error.en
    assert "relay account login" in error.nl
    assert granted(path, secret) == GRANT
    keep(path, wrong)
    assert granted(path, wrong) == GRANT


def test_a_row_in_another_accounts_place_is_refused(path: Path, secret: SecretRef) -> None:
    keep(path, secret)
    use(path, secret, lambda spool: spool.vault.keep(*OTHER, replace(GRANT, access_token="b")))
    with closing(sqlite3.connect(path)) as connection, connection:
        (sealed,) = connection.execute(
            "SELECT sealed FROM token WHERE username = ?", OTHER[1:]
        ).fetchone()
        connection.execute("UPDATE token SET sealed = ?", (sealed,))
    assert "another account" in refusal(path, secret).en
    assert granted(path, secret, OTHER) == replace(GRANT, access_token="b")


def test_a_changed_row_is_refused(path: Path, secret: SecretRef) -> None:
    keep(path, secret)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE token SET sealed = CAST(substr(sealed, 1, 60) || x'41' AS BLOB)")
    refusal(path, secret)


def test_a_fernet_key_is_taken_and_words_are_stretched() -> None:
    key = Fernet.generate_key().decode()
    assert fernet_key(key, b"1" * 16) == fernet_key(key, b"2" * 16) == key.encode()
    made = fernet_key("brood", b"1" * 16)
    Fernet(made)
    assert made != fernet_key("brood", b"2" * 16)
    assert made == fernet_key("brood", b"1" * 16)


# --- from one to the other ---


def test_with_a_key_the_tokens_move_into_the_store(path: Path, secret: SecretRef) -> None:
    keep(path)
    assert tokens_file(path).exists()
    assert granted(path, secret) == GRANT
    assert not tokens_file(path).exists()
    assert b"CANARY" not in everything(path.parent)


def test_the_file_goes_only_after_the_store_is_synced(
    path: Path, secret: SecretRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(path)
    with monkeypatch.context() as patch:

        def killed(self: Path, missing_ok: bool = False) -> None:
            rows = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
            with closing(rows):
                assert rows.execute("SELECT count(*) FROM token").fetchone() == (1,)
            raise KeyboardInterrupt

        patch.setattr(Path, "unlink", killed)
        with pytest.raises(KeyboardInterrupt):
            granted(path, secret)
    assert tokens_file(path).exists()
    assert granted(path, secret) == GRANT
    assert not tokens_file(path).exists()


def test_a_damaged_file_does_not_move_and_stops_only_who_needs_it(
    path: Path, secret: SecretRef
) -> None:
    tokens_file(path).touch(0o600)
    tokens_file(path).write_text("{")
    assert "damaged" in refusal(path, secret).en
    assert tokens_file(path).exists()
    assert use(path, secret, lambda spool: spool.queue.totals()) is not None


def test_without_the_key_sealed_tokens_are_not_forgotten(path: Path, secret: SecretRef) -> None:
    keep(path, secret)
    assert "secret_key" in refusal(path).en
    with pytest.raises(VaultError):
        keep(path)
    assert not tokens_file(path).exists()
    assert granted(path, secret) == GRANT


def test_a_key_that_cannot_be_read_stops_only_who_needs_it(path: Path) -> None:
    missing = SecretRef("file", str(path.with_name("none.key")))
    assert "none.key" in refusal(path, missing).nl
    assert use(path, missing, lambda spool: spool.queue.totals()) is not None
