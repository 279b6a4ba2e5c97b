"""A real Postfix on loopback that plays the provider's submission service.

It demands STARTTLS and a login, takes any recipient from whoever logged in, and keeps each
delivered copy as a file. It runs from private directories, so instances stand side by side
and never touch the machine's own Postfix.
"""

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from fakes.certificates import ServerCertificate
from fakes.peers import program
from fakes.ports import free_port
from fakes.postfix_layout import HOSTNAME, Settings, configure, lay_out

__all__ = ["HOSTNAME", "Delivered", "Postfix", "Settings"]

_READY_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Delivered:
    """One copy in the mail store: the message for one recipient, lines ended by CR LF."""

    sender: str
    """The reverse-path without brackets; "" for the null sender."""
    recipient: str
    content: bytes
    """The message, from Postfix's own Received line on."""


class Postfix:
    """Postfix on 127.0.0.1 at `port`, with a server certificate, from `start` to `stop`."""

    def __init__(self, certificate: ServerCertificate, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.host = "127.0.0.1"
        self.port = free_port()
        # Postfix's own users must reach these files, which they cannot below pytest's tmp_path.
        self.home = Path(tempfile.mkdtemp(prefix="postfix-"))
        self._master: subprocess.Popen[bytes] | None = None
        lay_out(self.home, self.port, certificate)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def start(self) -> None:
        """Starts the master and waits until it greets; raises RuntimeError with its log."""
        self._configure()
        # As "postfix start-fg" does after its checks, which take seconds. -s: stay our child.
        daemons = Path(_setting("daemon_directory"))
        self._master = subprocess.Popen(
            [daemons / "master", "-c", self.home / "config", "-s"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        if not _within(_READY_SECONDS, self._greets):
            log = self.log()
            self.stop()
            raise RuntimeError(f"Postfix does not greet\n{log}")

    def stop(self) -> None:
        """Ends the master and all its daemons; harmless when it does not run."""
        master, self._master = self._master, None
        if master is None:
            return
        # Told to end, the master ends its daemons: they share its session and process group.
        master.send_signal(signal.SIGTERM)
        master.wait(10)
        # The last of them to go gives the port back.
        if not _within(10, lambda: not self._listens()):
            raise RuntimeError(f"Postfix lives on\n{self.log()}")

    def close(self) -> None:
        """Stops and removes all files."""
        self.stop()
        # A daemon may still be at its last file; what it leaves behind is empty.
        shutil.rmtree(self.home, ignore_errors=True)

    def reload(self) -> None:
        """Takes over changed settings; later connections meet them."""
        if self._master is None:
            raise RuntimeError("Postfix does not run")
        # A reload lets idle daemons with the old settings live on for a moment. A restart does not.
        self.stop()
        self.start()

    def delivered(self) -> list[Delivered]:
        """All delivered copies, in the order of delivery."""
        new = self.home / "mail" / "all" / "new"
        files = sorted(new.iterdir(), key=lambda file: (file.stat().st_mtime_ns, file.name))
        return [_parse(file.read_bytes()) for file in files]

    def wait_for(self, copies: int, timeout_seconds: float = 30.0) -> list[Delivered]:
        """The delivered copies once there are at least this many; raises TimeoutError."""
        new = self.home / "mail" / "all" / "new"
        if _within(timeout_seconds, lambda: sum(1 for _ in new.iterdir()) >= copies):
            return self.delivered()
        raise TimeoutError(f"{len(self.delivered())} of {copies} copies came\n{self.log()}")

    def log(self) -> str:
        """Postfix's own log so far."""
        log = self.home / "mail.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def _configure(self) -> None:
        configure(self.home, self.settings)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((self.host, self.port)) == 0

    def _greets(self) -> bool:
        if self._master is not None and self._master.poll() is not None:
            return False
        try:
            with socket.create_connection((self.host, self.port), 5) as connection:
                return connection.recv(512).startswith(b"220")
        except OSError:
            return False


def _setting(name: str) -> str:
    """A built-in setting of the installed Postfix."""
    command = [program("postconf"), "-d", "-h", name]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _parse(copy: bytes) -> Delivered:
    """Takes off the three lines that virtual(8) puts before a copy."""
    fields: dict[str, str] = {}
    while copy.split(b":", 1)[0] in (b"Return-Path", b"X-Original-To", b"Delivered-To"):
        line, _, copy = copy.partition(b"\n")
        name, _, value = line.decode("utf-8").partition(":")
        fields[name] = value.strip()
    return Delivered(
        sender=fields["Return-Path"].strip("<>"),
        recipient=fields["X-Original-To"],
        content=copy.replace(b"\n", b"\r\n"),
    )


def _within(seconds: float, done: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)  # noqa: TID251 -- a process of another maker offers nothing to wait on
    return True
