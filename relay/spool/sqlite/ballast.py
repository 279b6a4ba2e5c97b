"""Room kept aside on the disk, so that a full one can still record what became of mail."""

import contextlib
import os
import shutil
from pathlib import Path

BALLAST_BYTES = 8_000_000
"""Enough for the outcomes of what is under way, and to write the WAL back into the spool."""

_PART_OF_FREE = 8  # at most the eighth part of what is free: a small disk is for mail
_LEAST_BYTES = 250_000
_PIECE = bytes(_LEAST_BYTES)


class Ballast:
    """A file of zeros beside the spool, `<spool>.ballast`, that takes up real blocks."""

    def __init__(self, spool: Path) -> None:
        self.path = spool.with_name(f"{spool.name}.ballast")
        self._freed_bytes = 0

    def make(self) -> bool:
        """Take the room where there is plenty; True if the ballast is there now.

        Once freed it comes back only as large as it was, and with as much room beside it: else it
        would take at once what it has just given.
        """
        if self.path.exists():
            return True
        part = self.path.with_name(f"{self.path.name}.new")
        try:
            part.unlink(missing_ok=True)  # of one who was killed over it
            free = shutil.disk_usage(self.path.parent).free
            size = self._freed_bytes or min(free // _PART_OF_FREE, BALLAST_BYTES)
            if size < _LEAST_BYTES or free < 2 * size:
                return False
            _fill(part, size)
            part.replace(self.path)
        except OSError:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            return False
        return True

    def free_if_full(self) -> None:
        """Give the room back where there is next to none else: a start has to write too."""
        with contextlib.suppress(OSError):
            if shutil.disk_usage(self.path.parent).free < _LEAST_BYTES:
                self.free()

    def free(self) -> bool:
        """Give the room back; False if there was none to give."""
        try:
            size = self.path.stat().st_size
            self.path.unlink()
        except OSError:
            return False
        self._freed_bytes = size
        return True


def _fill(path: Path, size_bytes: int) -> None:
    """Zeros that are written, as some file systems promise blocks they do not have."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        for at in range(0, size_bytes, len(_PIECE)):
            file.write(_PIECE[: size_bytes - at])
        file.flush()
        os.fsync(file.fileno())
