"""The failing disk itself: a process meets exactly the faults that were ordered."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fakes.disk_faults import DiskFaults
from fakes.peers import needs

pytestmark = needs("cc")

WRITER = """
import os, sys
for name in sys.argv[1:]:
    fd = os.open(name, os.O_WRONLY | os.O_CREAT)
    for _ in range(3):
        try:
            print(os.write(fd, b"0123456789"), end=" ")
            os.fdatasync(fd)
        except OSError as error:
            print(f"E{error.errno}", end=" ")
    print(flush=True)
"""


def write(faults: DiskFaults, *files: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WRITER, *map(str, files)],
        env={**os.environ, **faults.recording},
        capture_output=True,
        text=True,
        timeout=30,
    )


@pytest.fixture
def below(tmp_path: Path) -> Path:
    folder = tmp_path / "spool"
    folder.mkdir()
    return folder


@pytest.fixture
def faults(tmp_path: Path, below: Path) -> DiskFaults:
    return DiskFaults(tmp_path / "faults", below)


def test_a_sound_disk_counts_its_calls(faults: DiskFaults, below: Path) -> None:
    assert write(faults, below / "a").stdout.split() == ["10", "10", "10"]
    assert faults.calls == (3, 3)
    assert (faults.synced / "a").read_bytes() == b"0123456789" * 3


def test_one_call_fails(faults: DiskFaults, below: Path) -> None:
    faults.order("errno", "sync", first=2, count=1, value=errno.EIO)
    assert write(faults, below / "a").stdout.split() == ["10", "10", "E5", "10"]


def test_every_write_fails(faults: DiskFaults, below: Path) -> None:
    faults.order("errno", "write", value=errno.ENOSPC)
    assert write(faults, below / "a").stdout.split() == ["E28", "E28", "E28"]


def test_a_write_is_cut_short(faults: DiskFaults, below: Path) -> None:
    faults.order("short", "write", first=1, count=1)
    assert write(faults, below / "a").stdout.split() == ["5", "10", "10"]


def test_the_process_dies_at_a_call(faults: DiskFaults, below: Path) -> None:
    faults.order("kill", "sync", first=2)
    assert write(faults, below / "a").returncode == -signal.SIGKILL
    assert (below / "a").read_bytes() == b"0123456789" * 2
    assert (faults.synced / "a").read_bytes() == b"0123456789"


def test_a_slow_disk(faults: DiskFaults, below: Path) -> None:
    faults.order("delay", "sync", value=100)
    began = time.monotonic()
    write(faults, below / "a")
    assert time.monotonic() - began >= 0.3


def test_other_directories_are_left_alone(faults: DiskFaults, tmp_path: Path) -> None:
    faults.order("errno", "any", value=errno.EIO)
    assert write(faults, tmp_path / "elsewhere").stdout.split() == ["10", "10", "10"]
    assert faults.calls == (0, 0)
