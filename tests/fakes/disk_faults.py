"""A disk that fails on order: `disk_faults.c` preloaded into a process, and told what to do.

faults = DiskFaults(tmp_path / "faults", below=spool_directory)
subprocess.run(..., env={**env, **faults.environment})
faults.order("errno", "sync", value=errno.EIO)
"""

import functools
import subprocess
import tempfile
from pathlib import Path
from typing import Literal

from fakes.peers import program

ALWAYS = 1_000_000_000
_SOURCE = Path(__file__).with_suffix(".c")

Deed = Literal["errno", "delay", "kill", "short"]
Call = Literal["sync", "write", "any"]


class DiskFaults:
    """Files of its own in `directory`; only files whose path begins with `below` are touched."""

    def __init__(self, directory: Path, below: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.order_file = directory / "order"
        self._counts = directory / "counts"
        self.synced = directory / "synced"
        """Each file as it was when its last sync returned: what a power failure would leave."""
        self.synced.mkdir(exist_ok=True)
        self.clear()
        self.environment = {
            "LD_PRELOAD": str(library()),
            "DISK_FAULTS_BELOW": str(below),
            "DISK_FAULTS_ORDER": str(self.order_file),
            "DISK_FAULTS_COUNTS": str(self._counts),
        }
        self.recording = {**self.environment, "DISK_FAULTS_SYNCED": str(self.synced)}
        """The same, with copies of what was synced: each sync costs a copy of its file."""

    def order(
        self, deed: Deed, call: Call, *, first: int = 1, count: int = ALWAYS, value: int = 0
    ) -> None:
        """From its `first` call on, counted from now, `count` calls are hit.

        `value` is the errno or the milliseconds. The process sees the order at its next call.
        """
        self._replace(f"{deed} {call} {first} {count} {value}\n")

    def clear(self) -> None:
        """The disk is sound again."""
        self._replace("none any 1 0 0\n")

    @property
    def calls(self) -> tuple[int, int]:
        """How many syncs and writes the process made that counts now."""
        try:
            syncs, writes = self._counts.read_text().split()
        except (FileNotFoundError, ValueError):
            return 0, 0
        return int(syncs), int(writes)

    def _replace(self, text: str) -> None:
        part = self.order_file.with_suffix(".part")
        part.write_text(text)
        part.replace(self.order_file)


@functools.cache
def library() -> Path:
    """The library, compiled once a run; call it only in a test that `needs("cc")`."""
    made = Path(tempfile.mkdtemp(prefix="disk-faults-")) / "disk_faults.so"
    command = [program("cc"), "-shared", "-fPIC", "-O1", "-o", str(made), str(_SOURCE), "-ldl"]
    subprocess.run(command, check=True, timeout=60)
    return made
