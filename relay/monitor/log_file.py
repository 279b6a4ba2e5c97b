"""The log in files of bounded size, for where no journal collects what goes to stderr."""

import os
from pathlib import Path

MOST_BYTES = 10_000_000
KEPT = 4
"""Full files beside the one that is written: `relay.log.1` is the youngest."""


class LogFile:
    """Appends to `path`; when that is full it becomes `path.1`, and so on, the oldest goes.

    One that another program moved away or deleted is made anew at the next line: logrotate needs
    no signal. Where the files cannot be moved (another program has one open on Windows) it grows
    to twice its size, and then takes nothing until they can. One process at a time writes it.
    """

    def __init__(self, path: Path, most_bytes: int = MOST_BYTES) -> None:
        """Raises OSError."""
        self._path = path
        self._most_bytes = most_bytes
        self._descriptor = self._open()

    def write(self, data: bytes) -> int:
        """How many of these bytes were written, as `os.write`. Raises OSError."""
        if not self._is_current():
            self._reopen()
        size = os.fstat(self._descriptor).st_size
        if size and size + len(data) > self._most_bytes:
            self._turn(size + len(data) > 2 * self._most_bytes)
        return os.write(self._descriptor, data)

    def close(self) -> None:
        """Write no more."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1

    def _open(self) -> int:
        # O_BINARY is Windows' alone: without it each LF would become CR LF there.
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
        return os.open(self._path, flags, 0o640)

    def _is_current(self) -> bool:
        if self._descriptor < 0:
            return False
        try:
            there = self._path.stat()
        except OSError:
            return False
        ours = os.fstat(self._descriptor)
        return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)

    def _reopen(self) -> None:
        self.close()
        self._descriptor = self._open()

    def _turn(self, insist: bool) -> None:
        """Begin a new file. With `insist` it raises OSError where that cannot be done."""
        self.close()  # Windows moves no file that is open
        try:
            for number in range(KEPT, 0, -1):
                older = self._numbered(number)
                younger = self._numbered(number - 1)
                if younger.exists():
                    younger.replace(older)
        except OSError:
            if insist:
                raise
        finally:
            self._descriptor = self._open()

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}") if number else self._path
