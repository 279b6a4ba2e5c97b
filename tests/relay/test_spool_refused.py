"""A place where no spool can be: `relay serve` says why, in both languages, and does not start."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.peers import needs
from fakes.relay_process import RelayProcess
from fakes.small_disk import SmallDisk

NOBODY = '[[smarthost]]\nname = "isp"\nhost = "127.0.0.1"\nport = 9\ntls = "none"\n'


_BECOME = """
import os, pathlib, resource, sys
import relay.cli.app, relay.cli.texts, relay.config.load, relay.control.errors, relay.service
# Whoever it becomes may not even be let to our program's files: all of it is loaded by now.
relay.config.load.load(pathlib.Path(sys.argv[-1]), os.environ)
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
relay.cli.app.main()
"""


class Unprivileged(RelayProcess):
    """`relay serve` by somebody whom files of others are closed to, also where root tests."""

    def program(self, command: str) -> tuple[str, ...]:
        return "-c", _BECOME


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that others may enter, unlike those of pytest."""
    path = Path(tempfile.mkdtemp(prefix="relay-spool-"))
    path.chmod(0o755)
    yield path
    for each in path.rglob("*"):
        if each.is_dir():
            each.chmod(0o700)
    shutil.rmtree(path)


def refused(relay: RelayProcess) -> str:
    """What both languages say, in one line each."""
    told = []
    for language in ("nl", "en"):
        relay.language = language
        ended = relay.serve_expecting_exit()
        assert ended.code == 2, ended
        assert "Traceback" not in ended.err
        assert str(relay.spool) in ended.err
        told.append(ended.err)
    assert told[0] != told[1]
    return "\n".join(told)


def test_a_directory_that_cannot_be_written(folder: Path) -> None:
    relay = Unprivileged(folder, NOBODY)
    relay.spool = folder / "closed" / "spool.db"
    relay.spool.parent.mkdir(0o555)
    text = refused(relay)
    assert "geen toegang" in text
    assert "no access" in text


def test_a_spool_of_another_owner(folder: Path) -> None:
    relay = Unprivileged(folder, NOBODY)
    relay.spool = folder / "open" / "spool.db"
    relay.spool.parent.mkdir()
    relay.spool.parent.chmod(0o777)
    relay.spool.touch()
    relay.spool.chmod(0o444)
    assert "run as the service's user" in refused(relay)


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    relay = RelayProcess(tmp_path, NOBODY)
    (tmp_path / "file").touch()
    relay.spool = tmp_path / "file" / "spool" / "spool.db"
    assert "choose another place" in refused(relay)


def test_a_directory_that_is_missing_is_made_for_the_owner_alone(tmp_path: Path) -> None:
    relay = RelayProcess(tmp_path, NOBODY)
    relay.spool = tmp_path / "new" / "spool" / "spool.db"
    with relay:
        assert relay.spool.parent.stat().st_mode & 0o777 == 0o700


@needs("mount")
@pytest.mark.parametrize("inodes", [1, 2])
def test_a_disk_without_room_for_another_name(tmp_path: Path, inodes: int) -> None:
    with SmallDisk(tmp_path / "disk", 8_000_000, f",nr_inodes={inodes}") as disk:
        relay = RelayProcess(tmp_path, NOBODY)
        relay.spool = disk.path / "spool.db"
        assert "No space left on device" in refused(relay)


@needs("mount")
def test_a_disk_that_is_read_only(tmp_path: Path) -> None:
    with SmallDisk(tmp_path / "disk", 8_000_000, ",ro") as disk:
        relay = RelayProcess(tmp_path, NOBODY)
        relay.spool = disk.path / "spool.db"
        assert "Read-only file system" in refused(relay)
