"""A counting smarthost seen from the benchmark: its process, and what it has counted."""

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from fakes.certificates import ServerCertificate

_PROGRAM = Path(__file__).with_name("counting_smarthost.py")


@dataclass(frozen=True, slots=True)
class Offer:
    """What a workload's smarthost offers and demands."""

    tls: bool = False
    """STARTTLS and a login are offered and demanded."""
    delay_milliseconds: int = 0
    chunking: bool = False
    max_connections: int = 0
    """0 is no limit."""


class CountingSmarthost:
    """A smarthost of its own process on loopback, from `__enter__` to `__exit__`."""

    def __init__(self, offer: Offer, certificate: ServerCertificate) -> None:
        self.offer = offer
        self._arguments = ["--delay-seconds", str(offer.delay_milliseconds / 1000)]
        self._arguments += ["--max-connections", str(offer.max_connections)]
        if offer.tls:
            self._arguments += ["--certificate", str(certificate.chain)]
            self._arguments += ["--key", str(certificate.key)]
        if offer.chunking:
            self._arguments.append("--chunking")

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, str(_PROGRAM), *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()

    @property
    def pid(self) -> int:
        return self._process.pid

    def report(self) -> dict[str, Any]:
        """What came since the last reset."""
        return self._ask("report")

    def reset(self) -> None:
        """Counts from nothing."""
        self._ask("reset")

    def wait_for(self, recipients: int, quiet_seconds: float = 20.0) -> dict[str, Any]:
        """The report once this many copies came, or none came for `quiet_seconds`.

        Copies, one for each recipient, since Postfix splits a message for many recipients.
        """
        seen, since = -1, time.monotonic()
        while True:
            report = self.report()
            if report["recipients"] != seen:
                seen, since = report["recipients"], time.monotonic()
            if seen >= recipients or time.monotonic() - since > quiet_seconds:
                return report
            time.sleep(0.02)  # noqa: TID251 -- another process; asked seldom, not to load it

    def _ask(self, command: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer
