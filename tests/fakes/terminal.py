"""A person at a terminal: a program under a pty of its own, what it shows, and what is typed."""

import os
import pty
import re
import select
import signal
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

_PATIENCE_SECONDS = 60.0
_TRIES = 12


class Terminal:
    """Runs `command` in a new session whose controlling terminal is a pty, until `end`."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], directory: str) -> None:
        self.shown = ""
        """All that was shown so far; what the terminal echoes of typed text is part of it."""
        self._at = 0
        self._code: int | None = None
        self._pid, self._master = pty.fork()
        if self._pid == 0:
            try:
                os.chdir(directory)
                os.execvpe(command[0], command, dict(environ))
            finally:
                os._exit(127)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            error.add_note(f"The terminal:\n{self.shown}")
        if self._code is None:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        os.close(self._master)

    def expect(self, pattern: str, timeout_seconds: float = _PATIENCE_SECONDS) -> re.Match[str]:
        """Waits until `pattern` is shown behind what was expected before."""
        end = time.monotonic() + timeout_seconds
        while True:
            found = re.compile(pattern).search(self.shown, self._at)
            if found is not None:
                self._at = found.end()
                return found
            if not self._read(end - time.monotonic()):
                raise AssertionError(f"{pattern!r} is not shown:\n{self.shown[self._at :]}")

    def type(self, line: str) -> None:
        """A line, and Enter."""
        os.write(self._master, f"{line}\n".encode())

    def interrupt(self, shows: str) -> re.Match[str]:
        """Ctrl-C, by the terminal's own rules, until the program shows that it heard it.

        One that comes between a prompt and the read behind it is heard after the next key only.
        """
        for _ in range(_TRIES):
            os.write(self._master, b"\x03")
            try:
                return self.expect(shows, _PATIENCE_SECONDS / _TRIES)
            except AssertionError:
                continue
        raise AssertionError(f"Ctrl-C is not heard:\n{self.shown[self._at :]}")

    def end(self, timeout_seconds: float = _PATIENCE_SECONDS) -> int:
        """Waits for the end of the program; its exit code."""
        end = time.monotonic() + timeout_seconds
        while self._read(end - time.monotonic()):
            pass
        if time.monotonic() > end:
            raise AssertionError(f"it does not end:\n{self.shown}")
        _, status = os.waitpid(self._pid, 0)
        self._code = os.waitstatus_to_exitcode(status)
        return self._code

    def _read(self, seconds: float) -> bool:
        """Takes in what comes; False at the end of the program or of the time."""
        ready, _, _ = select.select([self._master], [], [], max(seconds, 0))
        if not ready:
            return False
        try:
            piece = os.read(self._master, 65536)
        except OSError:  # Linux says EIO once nobody has the other side open
            return False
        self.shown += piece.decode("utf-8", "replace").replace("\r\n", "\n")
        return bool(piece)
