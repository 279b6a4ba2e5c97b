"""Debian's HAProxy on loopback: the load balancer before a relay."""

import csv
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from fakes.peers import program

_READY_SECONDS = 20.0


class Haproxy:
    """HAProxy with this configuration, its files in `directory`, from entering to leaving."""

    def __init__(self, configuration: str, directory: Path) -> None:
        self._directory = directory
        self._socket = directory / "haproxy.socket"
        self._file = directory / "haproxy.cfg"
        self._log = directory / "haproxy.log"
        self._process: subprocess.Popen[bytes] | None = None
        admin = f"global\n    stats socket {self._socket} level admin\n"
        self._file.write_text(admin + configuration, encoding="utf-8")

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [program("haproxy"), "-db", "-f", self._file],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            self.wait_until(lambda: bool(self.servers()))
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()
        if error is not None:
            error.add_note(f"HAProxy's log:\n{self._told()}")

    def checked(self) -> tuple[int, str]:
        """What `haproxy -c` says of the configuration: its exit code, and its words."""
        done = subprocess.run(
            [program("haproxy"), "-c", "-f", self._file],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def servers(self) -> dict[str, dict[str, str]]:
        """The row of each server in its statistics; none while it does not answer."""
        try:
            with socket.socket(socket.AF_UNIX) as admin:
                admin.settimeout(5)
                admin.connect(str(self._socket))
                admin.sendall(b"show stat\n")
                with admin.makefile("r") as answer:
                    rows = list(csv.DictReader(line.removeprefix("# ") for line in answer))
        except OSError:
            return {}
        ours = [row for row in rows if row.get("svname") not in (None, "FRONTEND", "BACKEND")]
        return {row["svname"]: row for row in ours}

    def status(self, server: str) -> str:
        """Its status in words, such as UP or DOWN."""
        return self.servers().get(server, {}).get("status", "")

    def busy(self) -> list[str]:
        """The servers that have connections of clients."""
        return [name for name, row in self.servers().items() if row["scur"] != "0"]

    def wait_until(self, true: Callable[[], bool]) -> None:
        """Waits until `true` is; raises TimeoutError with the log."""
        end = time.monotonic() + _READY_SECONDS
        while not true():
            assert self._process is not None
            if self._process.poll() is not None or time.monotonic() > end:
                raise TimeoutError(f"HAProxy: {self.servers()}\n{self._told()}")
            time.sleep(0.05)  # noqa: TID251 -- a process offers nothing to wait on

    def _told(self) -> str:
        return self._log.read_text("utf-8", "replace")[-4000:] if self._log.exists() else ""

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None
