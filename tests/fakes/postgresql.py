"""A real PostgreSQL on loopback, run from private directories by a user of its own.

Nothing about it is made faster at the cost of durability: fsync stays on, as the relay insists.
"""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from fakes.peers import program
from fakes.ports import free_port

USER = "relay"
GUARDED = "guarded"
"""A user who has to give `PASSWORD`."""
PASSWORD = "geheim van de opslag"

_PROGRAMS = "/usr/lib/postgresql"
_READY_SECONDS = 60

_SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = '{directory}'
port = {port}
max_connections = 80
shared_buffers = 32MB
fsync = on
full_page_writes = on
synchronous_commit = on
checkpoint_timeout = 30min
log_min_messages = warning
password_encryption = 'scram-sha-256'
jit = off
"""
_ACCESS = f"""
local all all trust
host all {GUARDED} 127.0.0.1/32 scram-sha-256
host all all 127.0.0.1/32 trust
"""


class PostgreSQL:
    """One cluster; a database for whoever asks."""

    def __init__(self, settings: str = "") -> None:
        self.port = free_port()
        self._directory = Path(tempfile.mkdtemp(prefix="pg-"))
        self.data = self._directory / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self._names = 0
        self._lock = threading.Lock()
        try:
            _give_away(self._directory)
            self._run("initdb", "--no-sync", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8",
                      "-U", "postgres", "-D", str(self.data))  # fmt: skip
            text = _SETTINGS.format(directory=self._directory, port=self.port) + settings
            with (self.data / "postgresql.conf").open("a") as file:
                file.write(text)
            (self.data / "pg_hba.conf").write_text(_ACCESS)
        except BaseException:
            shutil.rmtree(self._directory, ignore_errors=True)
            raise

    def __enter__(self) -> Self:
        try:
            self.start()
            self.psql(f"CREATE ROLE {USER} LOGIN SUPERUSER")
            self.psql(f"CREATE ROLE {GUARDED} LOGIN SUPERUSER PASSWORD '{PASSWORD}'")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self._directory, ignore_errors=True)

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        log = (self._directory / "log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [*_as_user(), _program("postgres"), "-D", str(self.data)],
                stdout=log,
                stderr=log,
                cwd="/",
            )
        command = [_program("pg_isready"), "-q", "-h", str(self._directory), "-p", str(self.port)]
        for _ in range(_READY_SECONDS * 10):
            if subprocess.run(command).returncode == 0:
                return
            if self._process.poll() is not None:
                break
            threading.Event().wait(0.1)
        raise RuntimeError(f"PostgreSQL did not start:\n{self.log()[-4000:]}")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT cuts all connections and writes everything back, SIGQUIT does not."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(60)
            self._process = None

    def kill9(self) -> None:
        """Kill all its processes, as a crash of the machine would but for the disk's cache."""
        assert self._process is not None
        processes = [self._process.pid, *_children(self._process.pid)]
        for pid in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(60)
        self._process = None
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def restart(self) -> None:
        """Stop and start it; all connections are cut."""
        self.stop()
        self.start()

    def log(self) -> str:
        """What the server wrote."""
        return (self._directory / "log").read_text(errors="replace")

    def database(self, template: str | None = None) -> str:
        """The name of a new database, empty or like `template`, to which nobody is connected."""
        with self._lock:
            self._names += 1
            name = f"spool{self._names}"
        like = f" TEMPLATE {template}" if template else ""
        self.psql(f"CREATE DATABASE {name} OWNER {USER}{like}")
        return name

    def drop(self, database: str) -> None:
        """Forget a database, whoever is connected."""
        self.psql(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")

    def url(self, database: str, user: str = USER, port: int | None = None) -> str:
        """As `[spool] url` has it."""
        return f"postgresql://{user}@127.0.0.1:{port or self.port}/{database}"

    def psql(self, sql: str, database: str = "postgres") -> str:
        """What a statement of the administrator gives, unaligned."""
        command = [_program("psql"), "-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1"]
        to = ["-h", str(self._directory), "-p", str(self.port), "-U", "postgres", "-d", database]
        done = subprocess.run([*command, *to, "-c", sql], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{sql}: {done.stderr}")
        return done.stdout.strip()

    def _run(self, name: str, *arguments: str) -> None:
        command: Sequence[str] = [*_as_user(), _program(name), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd="/")
        if done.returncode:
            raise RuntimeError(f"{name}: {done.stderr}")


def _program(name: str) -> str:
    return str(Path(program("postgres")).resolve().with_name(name))


def _as_user() -> list[str]:
    """It refuses to run as root."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]


def _give_away(directory: Path) -> None:
    directory.chmod(0o755)
    if os.geteuid() == 0:
        owner = pwd.getpwnam("postgres")
        os.chown(directory, owner.pw_uid, owner.pw_gid)


def _children(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(each) for each in text.split()]
