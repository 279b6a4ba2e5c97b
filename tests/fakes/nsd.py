"""Debian's nsd on loopback, serving zone text: a name server that others wrote.

The text becomes the root zone, so that a name that stands nowhere does not exist, and an alias is
followed. As nsd is no resolver, that is how it can play one.
"""

import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from fakes.peers import program
from fakes.ports import free_port

_READY_SECONDS = 15.0
_ROOT = """$TTL 300
. IN SOA ns. hostmaster. 1 3600 600 86400 60
. IN NS ns.
ns. IN A 127.0.0.1
"""
# The header of a question for the root's SOA, and the question (RFC 1035 section 4.1).
_PROBE = b"\x12\x34\x00\x00\x00\x01" + b"\x00" * 6 + b"\x00\x00\x06\x00\x01"


class Nsd:
    """nsd on 127.0.0.1 at `port`, with its files in `directory`, from `start` to `stop`.

    All names in `zone` end in a dot, or belong to its `$ORIGIN`.
    """

    def __init__(self, zone: str, directory: Path) -> None:
        self.port = free_port()
        self._directory = directory
        self._server: subprocess.Popen[bytes] | None = None
        (directory / "root.zone").write_text(_ROOT + zone, encoding="ascii")
        (directory / "nsd.conf").write_text(_configuration(directory, self.port), encoding="ascii")

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def address(self) -> str:
        """For `--nameserver`."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Starts it and waits until it answers; raises RuntimeError with its log."""
        self._server = subprocess.Popen(
            [program("nsd"), "-d", "-c", self._directory / "nsd.conf"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + _READY_SECONDS
        while (code := self._code()) != 0:
            # It answers when it is ready, and with an error only where it cannot read the zone.
            if code or self._server.poll() is not None or time.monotonic() > end:
                log = self._directory / "nsd.log"
                told = log.read_text("utf-8", "replace") if log.exists() else ""
                raise RuntimeError(f"nsd does not answer\n{told}")

    def stop(self) -> None:
        """Ends it; harmless when already stopped."""
        if self._server is not None:
            self._server.terminate()
            self._server.wait(10)
            self._server = None

    def publish(self, zone: str) -> None:
        """Serves other zone text from now on, after a restart."""
        self.stop()
        (self._directory / "root.zone").write_text(_ROOT + zone, encoding="ascii")
        self.start()

    def _code(self) -> int | None:
        """The response code of an answer about the root; None where none comes."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.settimeout(0.1)
            try:
                probe.connect(("127.0.0.1", self.port))
                probe.send(_PROBE)
                return probe.recv(512)[3] & 0x0F
            except OSError:
                time.sleep(0.02)  # noqa: TID251 -- a refusal comes at once, and nothing tells when it is ready
                return None


def _configuration(directory: Path, port: int) -> str:
    return f"""server:
    ip-address: 127.0.0.1@{port}
    username: ""
    chroot: ""
    database: ""
    zonesdir: "{directory}"
    pidfile: "{directory}/nsd.pid"
    logfile: "{directory}/nsd.log"
    xfrdfile: "{directory}/xfrd.state"
    zonelistfile: "{directory}/zone.list"
    xfrdir: "{directory}"
    server-count: 1
    round-robin: no
    minimal-responses: yes
    rrl-ratelimit: 0
    rrl-whitelist-ratelimit: 0
remote-control:
    control-enable: no
zone:
    name: "."
    zonefile: "root.zone"
"""
