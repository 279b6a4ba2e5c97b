"""What work costs: processor time of processes, and what PostgreSQL wrote for it."""

import os
import re
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fakes.peers import program
from fakes.postgresql import PostgreSQL

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Spent:
    """Processor seconds."""

    nodes: float
    server: float
    clients: float

    def __sub__(self, earlier: "Spent") -> "Spent":
        return Spent(
            self.nodes - earlier.nodes,
            self.server - earlier.server,
            self.clients - earlier.clients,
        )

    def per(self, messages: int) -> dict[str, float]:
        """Milliseconds for each message."""
        return {part: round(spent / messages * 1000, 3) for part, spent in asdict(self).items()}


def used_by(process: int, *, children: bool = False) -> float:
    """Processor seconds of a process that runs; `children`: and of those of it that ended."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11 : 15 if children else 13])) / _TICKS


def used_by_server(server: PostgreSQL) -> float:
    """Processor seconds of PostgreSQL, all its processes that there were."""
    first = int((server.data / "postmaster.pid").read_text().split()[0])
    seconds = used_by(first, children=True)
    for task in Path(f"/proc/{first}/task").glob("*/children"):
        for child in task.read_text().split():
            try:
                seconds += used_by(int(child))
            except OSError:  # It ended just now.
                continue
    return seconds


def wal(server: PostgreSQL, start: str, end: str, messages: int) -> dict[str, Any]:
    """Of PostgreSQL's log between two places, for each message: bytes of records, bytes of whole
    pages (the first change of each after a checkpoint), and commits that changed something."""
    command = [Path(program("postgres")).resolve().with_name("pg_waldump")]
    arguments = ["--stats=record", "-p", server.data / "pg_wal", "-s", start, "-e", end]
    told = subprocess.run([*command, *arguments], capture_output=True, text=True, check=True).stdout
    commits = sum(map(int, re.findall(r"^Transaction/COMMIT\S*\s+(\d+)", told, re.MULTILINE)))
    total = re.search(r"^Total\s+\d+\s+(\d+)\s+\[.*?\]\s+(\d+)", told, re.MULTILINE)
    if total is None:
        raise RuntimeError(f"pg_waldump says\n{told}")
    return {
        "wal_record_bytes": round(int(total[1]) / messages),
        "wal_page_bytes": round(int(total[2]) / messages),
        "commits": round(commits / messages, 3),
    }
