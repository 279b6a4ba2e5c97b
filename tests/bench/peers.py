"""What is measured: `relay serve` and Postfix as relays, in processes of their own.

Both take mail from loopback without a login and hand all of it to one smarthost. Both sync to
the same filesystem before they say 250, and both log to a file.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.counting_smarthost import PASSWORD, USER
from fakes.relay_file import RelayFile

_ROOT = Path(__file__).resolve().parents[2]
_READY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Upstream:
    """The smarthost as a peer is told of it."""

    port: int
    tls: bool
    ca_file: Path
    max_connections: int = 0
    """What the peer keeps to; 0 is its own default."""


class Peer(Protocol):
    """One of the programs that are compared."""

    name: str
    host: str
    port: int
    ready_seconds: float
    """From the start of its process to its greeting."""

    def start(self) -> None:
        """Starts it and waits until it greets."""

    def close(self) -> None:
        """Ends it and removes its files."""

    def processes(self) -> list[int]:
        """Its processes that run now."""

    def log(self) -> str:
        """The end of its log, for when something went wrong."""


class Relay(RelayFile):
    """`relay serve` with a configuration, a spool and a log below a directory of its own."""

    name = "relay"

    def __init__(self, upstream: Upstream, *, folder: str | None = None) -> None:
        super().__init__(Path(tempfile.mkdtemp(prefix="bench-relay-", dir=folder)))
        self.tables = '[[client]]\nname = "office"\nnetworks = ["127.0.0.0/8"]\n'
        self.tables += "max_connections = 500\n"
        # The default of 2 suits providers; Postfix's own default is 20 connections.
        more = f"max_connections = {upstream.max_connections or 20}"
        if upstream.tls:
            self.add_smarthost(
                upstream.port, upstream.ca_file, username=USER, password=PASSWORD, more=more
            )
        else:
            self.tables += (
                f'\n[[smarthost]]\nname = "isp"\nhost = "127.0.0.1"\nport = {upstream.port}\n'
                f'tls = "none"\n{more}\n'
            )
        self.ready_seconds = 0.0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Raises RuntimeError with its log when it does not greet."""
        self.write_config()
        began = time.monotonic()
        with (self.directory / "relay.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "relay", "serve", "--config", str(self.config)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                cwd=_ROOT,
                env={
                    **os.environ,
                    "XDG_STATE_HOME": str(self.directory / "state"),
                    "RELAY_EPHEMERAL_SPOOL": "1",
                },
            )
        while not greets(self.host, self.port):
            if self._process.poll() is not None or time.monotonic() > began + _READY_SECONDS:
                raise RuntimeError(f"the relay does not greet\n{self.log()}")
            time.sleep(0.005)  # noqa: TID251 -- a process offers nothing to wait on
        self.ready_seconds = time.monotonic() - began

    def stop(self) -> None:
        """Ends it; harmless when it does not run."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def processes(self) -> list[int]:
        if self._process is None:
            return []
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task").glob("*/children")
        return [pid, *(int(each) for task in children for each in task.read_text().split())]

    def log(self) -> str:
        log = self.directory / "relay.log"
        return log.read_text(errors="replace")[-4000:] if log.exists() else ""


def greets(host: str, port: int) -> bool:
    """A server answers there with a greeting."""
    try:
        with socket.create_connection((host, port), 5) as connection:
            return connection.recv(512).startswith(b"220")
    except OSError:
        return False
