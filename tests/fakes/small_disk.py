"""A disk of a few megabytes, to be filled and emptied: a tmpfs of the test's own.

    with SmallDisk(tmp_path / "disk", 32_000_000) as disk:
        disk.fill()
        disk.empty()

Only root mounts; a test that uses it `needs("mount")`.
"""

import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from fakes.peers import program


class SmallDisk:
    """Mounted at `path`, which is made; `options` are further ones of mount."""

    def __init__(self, path: Path, size_bytes: int, options: str = "") -> None:
        self.path = path
        self._options = f"size={size_bytes},mode=0700{options}"
        self._filler = path / "holiday-photos"

    def __enter__(self) -> Self:
        self.path.mkdir(parents=True, exist_ok=True)
        command = [program("mount"), "-t", "tmpfs", "-o", self._options, "tmpfs", str(self.path)]
        subprocess.run(command, check=True, capture_output=True, timeout=10)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Lazily: a process that the test killed may still be on its way out.
        command = [str(Path(program("mount")).with_name("umount")), "-l", str(self.path)]
        subprocess.run(command, check=True, capture_output=True, timeout=10)

    def fill(self) -> None:
        """Somebody else's files take all that is free, to the last byte."""
        with self._filler.open("ab", buffering=0) as file:
            for piece in (1_000_000, 4096, 1):
                try:
                    while file.write(b"x" * piece) == piece:
                        pass
                except OSError:
                    continue

    def empty(self) -> None:
        """Those files are gone again."""
        self._filler.unlink()
