"""An office before its relay: the options of `relay setup`, a provider, a name server, a place."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fakes.ports import free_port
from fakes.relay_process import Finished
from fakes.terminal import Terminal
from typer.testing import CliRunner

from relay.cli.app import app

ROOT = Path(__file__).resolve().parents[2]
DOMAIN = "mijnbakkerij.example"
ADDRESS = f"bakker@{DOMAIN}"
ZONE = f"""
{DOMAIN}. 300 IN MX 10 mijnbakkerij-example.mail.protection.outlook.com.
{DOMAIN}. 300 IN TXT "v=spf1 ip4:203.0.113.5 -all"
spf.protection.outlook.com. 300 IN TXT "v=spf1 ip4:40.92.0.0/15 -all"
"""


@dataclass
class Office:
    """A directory for the configuration, and what the options must say in it."""

    directory: Path
    nameserver: str
    python: str = sys.executable
    options: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.config = self.directory / "etc" / "relay.toml"
        self.spool = self.directory / "spool.db"
        self.port = free_port()
        self.listen = f"127.0.0.1:{self.port}"
        self.web = f"127.0.0.1:{free_port()}"

    def at_provider(self, port: int, ca_file: Path) -> None:
        """Send through a server on loopback with STARTTLS."""
        self.options += ["--host=127.0.0.1", f"--port={port}", "--tls=starttls"]
        self.options += [f"--ca-file={ca_file}"]

    def password(self, text: str, mode: int = 0o600) -> Path:
        """A file with a password."""
        path = self.directory / "typed.secret"
        path.write_text(f"{text}\n")
        path.chmod(mode)
        return path

    def command(self, *arguments: str) -> list[str]:
        """`relay setup` with what is the same for all tests."""
        return [
            *(self.python, "-m", "relay", "setup", "--config", str(self.config)),
            *("--nameserver", self.nameserver, "--hostname", "relay.test"),
            *("--spool", f"sqlite://{self.spool}", "--web", self.web, "--listen", self.listen),
            *self.options,
            *arguments,
        ]

    def run(self, *arguments: str, stdin: str = "", timeout_seconds: float = 120) -> Finished:
        """Runs it where there is no terminal."""
        done = subprocess.run(
            self.command(*arguments),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            env=self.environment(),
            cwd=self.directory,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    def unattended(self, *arguments: str, stdin: str = "") -> Finished:
        """Runs it unattended, in this process, for its document."""
        return self.refused("--json", *arguments, stdin=stdin)

    def refused(self, *arguments: str, stdin: str = "") -> Finished:
        """Runs it unattended, in this process."""
        command = self.command("--unattended", "--lang", "en", *arguments)
        done = CliRunner().invoke(app, command[command.index("setup") :], input=stdin)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Finished(done.exit_code, done.stdout, done.stderr)

    def relay(self, *arguments: str) -> Finished:
        """Runs another command on what was made."""
        done = subprocess.run(
            [self.python, "-m", "relay", *arguments, "--config", str(self.config)],
            capture_output=True,
            text=True,
            timeout=60,
            env=self.environment(),
            cwd=self.directory,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    def sit_down(self, *arguments: str) -> Terminal:
        """Runs it at a terminal."""
        command: Sequence[str] = self.command(*arguments)
        return Terminal(command, self.environment(), str(self.directory))

    def environment(self) -> dict[str, str]:
        inherited = ("PATH", "SYSTEMROOT", "TMPDIR", "VIRTUAL_ENV")
        kept = {name: os.environ[name] for name in inherited if name in os.environ}
        path = {} if self.python != sys.executable else {"PYTHONPATH": str(ROOT)}
        home = {"HOME": str(self.directory), "XDG_STATE_HOME": str(self.directory / "state")}
        return {**kept, **path, **home, "LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}

    def left(self) -> set[str]:
        """The names beside the configuration."""
        there = self.config.parent.exists()
        return {path.name for path in self.config.parent.iterdir()} if there else set()
