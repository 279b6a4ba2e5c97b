"""The order of system calls: the WAL is written and its sync has returned before each 250 leaves."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import pytest
from fakes.peers import needs, program
from fakes.relay_process import RelayProcess

pytestmark = needs("strace")

CALLS = "fdatasync,fsync,pwrite64,write,writev,sendto,sendmsg"
MESSAGES = 12
_LINE = re.compile(r"^(?P<pid>\d+) +[\d.]+ (?P<rest>.*)$")
_RESUMED = re.compile(r"^<\.\.\. (?P<call>\w+) resumed>(?P<rest>.*)$")


class Event(NamedTuple):
    kind: Literal["354", "written", "synced", "250"]


class Traced(RelayProcess):
    """`relay serve` under strace."""

    def _launch(self, *arguments: str) -> "subprocess.Popen[str]":
        if arguments[0] != "serve":
            return super()._launch(*arguments)
        trace = [
            "-D",
            "-f",
            "-ttt",
            "-y",
            "-s",
            "64",
            "-e",
            f"trace={CALLS}",
            "-o",
            str(self.trace),
        ]
        command = [sys.executable, "-m", "relay", *arguments, "--config", str(self.config)]
        return subprocess.Popen(
            [program("strace"), *trace, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).resolve().parents[2],
            env=self._environment(),
        )

    @property
    def trace(self) -> Path:
        return self.directory / "trace"


def events(text: str) -> Iterator[Event]:
    """What matters, each at the moment when its call had returned; a reply when it began."""
    begun: dict[str, str] = {}
    for line in text.splitlines():
        found = _LINE.match(line)
        if found is None:
            continue
        pid, rest = found["pid"], found["rest"]
        if rest.startswith(("write(", "writev(", "sendto(", "sendmsg(")):
            if '"354 ' in rest:
                yield Event("354")
            elif '"250 2.0.0' in rest or '"250 2.6.0' in rest:
                yield Event("250")
        if rest.endswith("<unfinished ...>"):
            begun[pid] = rest
            continue
        resumed = _RESUMED.match(rest)
        whole = begun.pop(pid, "") + resumed["rest"] if resumed else rest
        if "spool.db-wal>" not in whole:
            continue
        if whole.startswith("pwrite64("):
            yield Event("written")
        elif whole.startswith(("fdatasync(", "fsync(")) and whole.endswith("= 0"):
            yield Event("synced")


def test_the_parser_reads_split_calls() -> None:
    text = (
        '7 1.0 pwrite64(5</x/spool.db-wal>, "..."..., 24, 0) = 24\n'
        "7 1.1 fdatasync(5</x/spool.db-wal> <unfinished ...>\n"
        '8 1.2 sendto(9<TCP:[1->2]>, "354 go\\r\\n", 8, 0, NULL, 0) = 8\n'
        "7 1.3 <... fdatasync resumed>) = 0\n"
        '8 1.4 sendto(9<TCP:[1->2]>, "250 2.0.0 queued"..., 20, 0, NULL, 0) = 20\n'
    )
    assert [event.kind for event in events(text)] == ["written", "354", "synced", "250"]


@pytest.mark.timeout(120)
def test_the_sync_returns_before_the_250(tmp_path: Path) -> None:
    # Nothing is delivered meanwhile, so each write is one of the message that is taken.
    hold = '[delivery]\nmode = "hold"\n[[smarthost]]\nname = "isp"\nhost = "127.0.0.1"\nport = 9\ntls = "none"\n'
    relay = Traced(tmp_path, hold)
    with relay:
        for number in range(MESSAGES):
            relay.send("a@b.nl", [f"k{number}@example.net"], b"Subject: x\r\n\r\nhello")
        assert relay.sigterm() == 0
    text = relay.trace.read_text(errors="replace")
    replies, written, synced = 0, False, False
    for event in events(text):
        match event.kind:
            case "354":
                written = synced = False
            case "written":
                written, synced = True, False
            case "synced":
                synced = written
            case "250":
                replies += 1
                assert written
                assert synced
    assert replies == MESSAGES
