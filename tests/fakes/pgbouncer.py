"""Debian's PgBouncer before a PostgreSQL of the tests, in transaction mode: each transaction may come
to another session."""

import os
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from fakes.peers import program
from fakes.ports import free_port
from fakes.postgresql import USER, PostgreSQL

_READY_SECONDS = 20


class PgBouncer:
    """At `port` while the context is open. It has two sessions at the server for each database."""

    def __init__(self, server: PostgreSQL, sessions: int = 2) -> None:
        self.port = free_port()
        self._server = server
        self._directory = Path(tempfile.mkdtemp(prefix="pgbouncer-"))
        self._process: subprocess.Popen[bytes] | None = None
        users = self._directory / "users.txt"
        users.write_text(f'"{USER}" ""\n')
        (self._directory / "pgbouncer.ini").write_text(f"""
[databases]
* = host=127.0.0.1 port={server.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self.port}
unix_socket_dir =
auth_type = trust
auth_file = {users}
pool_mode = transaction
default_pool_size = {sessions}
max_client_conn = 200
logfile = {self._directory / "log"}
""")

    def __enter__(self) -> Self:
        user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        if os.geteuid() == 0:
            subprocess.run(["chown", "-R", "postgres", str(self._directory)], check=True)
        command = [program("pgbouncer"), "-q", str(self._directory / "pgbouncer.ini")]
        self._process = subprocess.Popen(
            [*(user if os.geteuid() == 0 else []), *command], stderr=subprocess.DEVNULL, cwd="/"
        )
        ready = str(Path(program("postgres")).resolve().with_name("pg_isready"))
        for _ in range(_READY_SECONDS * 10):
            if (
                subprocess.run([ready, "-q", "-h", "127.0.0.1", "-p", str(self.port)]).returncode
                == 0
            ):
                return self
            if self._process.poll() is not None:
                break
            threading.Event().wait(0.1)
        log = (self._directory / "log").read_text(errors="replace")
        self.__exit__(None, None, None)
        raise RuntimeError(f"PgBouncer did not start:\n{log}")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._directory, ignore_errors=True)
