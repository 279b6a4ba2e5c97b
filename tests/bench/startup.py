"""How long until something runs: the relay, Postfix, a command, an import."""

import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

from bench.counted import Offer
from bench.memory import resident
from bench.throughput import side_by_side
from fakes.certificates import Authority

_ROOT = Path(__file__).resolve().parents[2]
_REPLY = "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled"
_COMMANDS = {
    "python, nothing imported": ["-c", "pass"],
    "import relay.cli.app": ["-c", "import relay.cli.app"],
    "import relay.service": ["-c", "import relay.service"],
    "import diagnose.cli": ["-c", "import diagnose.cli"],
    "relay --help": ["-m", "relay", "--help"],
    "diagnose explain": ["-m", "diagnose", "explain", _REPLY],
}


def startup(times: int, authority: Authority) -> dict[str, Any]:
    """Medians in seconds, and the memory of an idle peer."""
    ready: dict[str, list[float]] = {"relay": [], "postfix": []}
    idle: dict[str, list[int]] = {"relay": [], "postfix": []}
    for _ in range(times):
        for name in ready:
            with side_by_side((name,), Offer(), authority) as [(peer, _)]:
                ready[name].append(peer.ready_seconds)
                time.sleep(0.5)  # noqa: TID251 -- until the start is over
                idle[name].append(resident(peer))
    commands = {name: [_seconds(line) for _ in range(times)] for name, line in _COMMANDS.items()}
    return {
        "ready_seconds": {name: round(median(all_), 3) for name, all_ in ready.items()},
        "idle_bytes": {name: int(median(all_)) for name, all_ in idle.items()},
        "command_seconds": {name: round(median(all_), 3) for name, all_ in commands.items()},
    }


def _seconds(arguments: list[str]) -> float:
    began = time.monotonic()
    subprocess.run(
        [sys.executable, *arguments],
        check=True,
        cwd=_ROOT,
        stdout=subprocess.DEVNULL,
        timeout=60,
    )
    return time.monotonic() - began
