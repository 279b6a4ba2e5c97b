"""The lock that keeps a second instance off a spool; it dies with its process."""

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import BinaryIO

_LOOK_SECONDS = 0.02


class SpoolInUse(Exception):
    """Another process holds the spool. `pid` is what it wrote into the lock file, if readable."""

    def __init__(self, path: Path, pid: int | None) -> None:
        super().__init__(f"{path} is held by process {pid or '?'}")
        self.path = path
        self.pid = pid


class SpoolLock:
    """An exclusive lock on `<spool>.lock`, held until `release` or the end of the process.

    The kernel holds it, not the file's existence: after a crash nothing has to be cleaned up.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO | None = None

    @property
    def descriptor(self) -> int:
        """Of the locked file: a process that has it too keeps the lock until it ends."""
        assert self._file is not None
        return self._file.fileno()

    def acquire(self, seconds: float = 0) -> None:
        """Take the lock, at the latest after `seconds`, or raise SpoolInUse.

        OSError if the file cannot be made.
        """
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        file = os.fdopen(descriptor, "r+b", buffering=0)
        end = time.monotonic() + seconds
        while True:
            try:
                _lock(file)
                break
            except OSError:
                if time.monotonic() < end:
                    time.sleep(_LOOK_SECONDS)  # noqa: TID251  the service opens its spool in a thread
                    continue
                pid = _read_pid(file)
                file.close()
                raise SpoolInUse(self.path, pid) from None
        self._file = file
        own_pid = b"%d\n" % os.getpid()
        with contextlib.suppress(OSError):  # only told to who comes second; a disk may be full
            file.write(own_pid)
            file.truncate(len(own_pid))

    def release(self) -> None:
        """Give the lock back; does nothing if it is not held."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _read_pid(file: BinaryIO) -> int | None:
    try:
        file.seek(0)
        return int(file.read(20))
    except (OSError, ValueError):
        return None


if sys.platform == "win32":
    import msvcrt

    def _lock(file: BinaryIO) -> None:
        # A byte far beyond the pid, since Windows would bar others from reading a locked one.
        file.seek(1 << 20)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        file.seek(0)

else:
    import fcntl

    def _lock(file: BinaryIO) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
