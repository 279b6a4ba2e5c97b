"""The relay as its users run it: `relay serve` in a process of its own, and its commands."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from fakes.canary import Canary, leaks
from fakes.raw_client import RawClient
from fakes.relay_file import RelayFile

from relay.spool.vault import tokens_file

READY_SECONDS = 20.0
_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Finished:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout."""
        return json.loads(self.out)


class RelayProcess(RelayFile):
    """A relay with its own configuration, secrets, spool and ports below `directory`."""

    def __init__(
        self, directory: Path, tables: str = "", *, listener: str = "", top: str = ""
    ) -> None:
        super().__init__(directory, tables, listener=listener, top=top)
        self.environment: dict[str, str] = {}
        """What `relay serve` finds in its environment beside the usual."""
        self.answers: list[str] = []
        """What its commands wrote, stdout and stderr."""
        self._stderr = ""
        self._reader: threading.Thread | None = None
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill9()
        if error is not None:
            error.add_note(f"The relay's log:\n{self._stderr[-8000:]}")
        else:
            found = leaks(map(Canary, self.canaries), self._places())
            assert not found, found

    # The process.

    def start(self) -> None:
        """Writes the configuration, starts the relay, waits for its greeting.

        Raises RuntimeError with its stderr when it ends or stays silent.
        """
        self.write_config()
        self._process = self._launch("serve")
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()
        try:
            self.wait_until(self._greets, READY_SECONDS)
        except TimeoutError:
            self.kill9()
            raise RuntimeError(f"the relay does not greet\n{self._stderr}") from None
        if self._process.poll() is not None:
            self._ended()
            raise RuntimeError(f"the relay ended at once\n{self._stderr}")

    def serve_expecting_exit(self) -> Finished:
        """Runs `relay serve` where it must refuse to start, and returns how it ended."""
        self.write_config()
        return self.run("serve")

    def sigterm(self, timeout_seconds: float = 20.0) -> int:
        """Asks it to end and returns its exit code."""
        self.send_sigterm()
        return self.wait_for_exit(timeout_seconds)

    def send_sigterm(self) -> None:
        """Asks it to end."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)

    def wait_for_exit(self, timeout_seconds: float = 20.0) -> int:
        """Its exit code once it has ended; raises subprocess.TimeoutExpired."""
        assert self._process is not None
        self._process.wait(timeout_seconds)
        return self._ended()

    def listens(self) -> bool:
        """True while it takes connections."""
        with socket.socket() as probe:
            return probe.connect_ex((self.host, self.port)) == 0

    def kill9(self) -> None:
        """Kills it without warning; harmless when it does not run."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._ended()

    def signal_writer(self, number: signal.Signals) -> None:
        """Sends a signal to the process that writes its spool."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task").glob("*/children")
        (writer,) = " ".join(each.read_text() for each in children).split()
        os.kill(int(writer), number)

    def restart(self) -> None:
        """SIGTERM, then a new process with the configuration as it is now."""
        assert self.sigterm() == 0, self._stderr
        self.start()

    def hup(self) -> None:
        """Writes the configuration anew and sends SIGHUP."""
        assert self._process is not None
        self.write_config()
        self._process.send_signal(signal.SIGHUP)

    def connect(self, source: str | None = None) -> RawClient:
        """A raw SMTP connection to the listener, before its greeting is read."""
        return RawClient(self.host, self.port, source)

    def send(
        self, sender: str, recipients: Sequence[str], content: bytes, source: str | None = None
    ) -> None:
        """Sends one message as old programs do, with HELO and no login; it must be accepted."""
        with self.connect(source) as client:
            client.reply()
            client.command("HELO kassa")
            for command in [f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{one}>" for one in recipients)]:
                reply = client.command(command)
                assert reply.startswith("250"), reply
            reply = client.message(content)
            assert reply.startswith("250"), reply
            client.command("QUIT")

    # Commands and logs.

    def run(self, *arguments: str, timeout_seconds: float = 30.0) -> Finished:
        """Runs `relay ARGUMENTS --config ...` to its end."""
        process = self._launch(*arguments)
        try:
            out, err = process.communicate(timeout=timeout_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise TimeoutError(f"relay {' '.join(arguments)} hangs\n{out}\n{err}") from None
        self.answers += [out or "", err]
        return Finished(process.returncode, out or "", err)

    def queue(self) -> list[dict[str, Any]]:
        """The messages of `relay queue list --json`: what is unfinished."""
        listed = self.run("queue", "list", "--json")
        assert listed.code == 0, listed
        messages: list[dict[str, Any]] = listed.json["messages"]
        return messages

    def retry_all(self) -> None:
        """`relay queue retry --all`: everything is due now."""
        retried = self.run("queue", "retry", "--all")
        assert retried.code == 0, retried

    def log_events(self, event: str | None = None) -> list[dict[str, Any]]:
        """The events logged so far by all processes of this relay, one a line of stderr."""
        lines = [line for line in self._stderr.splitlines() if line.startswith("{")]
        events: list[dict[str, Any]] = [json.loads(line) for line in lines]
        return [one for one in events if event in (None, one["event"])]

    @property
    def stderr(self) -> str:
        """Everything that `relay serve` wrote to stderr so far."""
        return self._stderr

    def wait_until(self, true: Callable[[], bool], timeout_seconds: float = 20.0) -> None:
        """Waits until `true` is; raises TimeoutError with the relay's last log lines."""
        end = time.monotonic() + timeout_seconds
        while not true():
            if time.monotonic() > end:
                raise TimeoutError(f"not within {timeout_seconds} s\n{self._stderr[-4000:]}")
            time.sleep(0.05)  # noqa: TID251 -- a process offers nothing to wait on

    def wait_for_event(self, event: str, times: int = 1) -> list[dict[str, Any]]:
        """The log events of this name once there are at least this many."""
        self.wait_until(lambda: len(self.log_events(event)) >= times)
        return self.log_events(event)

    def _places(self) -> dict[str, str | bytes]:
        """Where no secret of this relay may stand: its log, what it answered, its spool."""
        spools = [
            path
            for path in self.directory.glob(f"{self.spool.name}*")
            if path != tokens_file(self.spool) and path.is_file()
        ]
        return {
            "log": self._stderr,
            "commands": "\n".join(self.answers),
            **{path.name: path.read_bytes() for path in spools},
        }

    def program(self, command: str) -> tuple[str, ...]:
        """What Python runs for this command of the relay's."""
        return "-m", "relay"

    def _launch(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *self.program(arguments[0]), *arguments, "--config", str(self.config)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if arguments[0] == "serve" else subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=_ROOT,
            env={**self._environment(), **(self.environment if arguments[0] == "serve" else {})},
        )

    def _environment(self) -> dict[str, str]:
        inherited = ("PATH", "SYSTEMROOT", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH")
        inherited += ("RELAY_EPHEMERAL_SPOOL",)
        kept = {name: os.environ[name] for name in inherited if name in os.environ}
        return {
            **kept,
            "HOME": str(self.directory),
            "XDG_STATE_HOME": str(self.directory / "state"),
            "STATE_DIRECTORY": str(self.directory / "state"),
            "XDG_CONFIG_HOME": str(self.directory / "config"),
            "LC_ALL": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def _greets(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            return True
        try:
            with self.connect() as client:
                return client.reply()[:3].isdigit()
        except OSError:
            return False

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        for line in process.stderr:
            self._stderr += line

    def _ended(self) -> int:
        process, self._process = self._process, None
        assert process is not None
        if self._reader is not None:
            self._reader.join(5)
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
        return process.returncode
