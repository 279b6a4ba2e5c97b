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


_MARKER = re.compile(r"mark-(\d{4})-")


class Event(NamedTuple):
    """`message` is the latest one whose text is in what was written."""

    kind: Literal["written", "synced", "250", "ended"]
    message: int | None = None


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
            "5000",
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

    @property
    def text(self) -> str:
        return self.trace.read_text(errors="replace")


def events(text: str) -> Iterator[Event]:
    """What matters, each at the moment when its call had returned; a reply when it began."""
    begun: dict[str, str] = {}
    for line in text.splitlines():
        found = _LINE.match(line)
        if found is None:
            continue
        pid, rest = found["pid"], found["rest"]
        sent = rest.startswith(("write(", "writev(", "sendto(", "sendmsg("))
        if sent and ('"250 2.0.0' in rest or '"250 2.6.0' in rest):
            yield Event("250")
        if rest.startswith("+++ exited"):
            yield Event("ended")
        if rest.endswith("<unfinished ...>"):
            begun[pid] = rest
            continue
        resumed = _RESUMED.match(rest)
        whole = begun.pop(pid, "") + resumed["rest"] if resumed else rest
        if "spool.db-wal>" not in whole:
            continue
        if whole.startswith("pwrite64("):
            marks = [int(each) for each in _MARKER.findall(whole)]
            yield Event("written", max(marks, default=None))
        elif whole.startswith(("fdatasync(", "fsync(")) and whole.endswith("= 0"):
            yield Event("synced")


def test_the_parser_reads_split_calls() -> None:
    text = (
        '7 1.0 pwrite64(5</x/spool.db-wal>, "..mark-0003-..mark-0002-", 24, 0) = 24\n'
        "7 1.1 fdatasync(5</x/spool.db-wal> <unfinished ...>\n"
        '8 1.2 sendto(9<TCP:[1->2]>, "354 go\\r\\n", 8, 0, NULL, 0) = 8\n'
        "7 1.3 <... fdatasync resumed>) = 0\n"
        '8 1.4 sendto(9<TCP:[1->2]>, "250 2.0.0 queued"..., 20, 0, NULL, 0) = 20\n'
        "7 1.5 +++ exited with 0 +++\n"
    )
    assert [event.kind for event in events(text)] == ["written", "synced", "250", "ended"]
    assert next(events(text)).message == 3


def replies_in_order(text: str) -> list[int]:
    """The messages whose text was written, then synced, and only then acknowledged."""
    written, synced, replied = -1, -1, []
    for event in events(text):
        match event.kind:
            case "written":
                written = max(written, -1 if event.message is None else event.message)
            case "synced":
                synced = written
            case "250":
                assert synced == len(replied), "acknowledged before its sync"
                replied.append(synced)
    return replied


def test_a_reply_before_the_sync_is_noticed() -> None:
    text = (
        '7 1.0 pwrite64(5</x/spool.db-wal>, "mark-0000-", 24, 0) = 24\n'
        '8 1.1 sendto(9<TCP:[1->2]>, "250 2.0.0 queued"..., 20, 0, NULL, 0) = 20\n'
        "7 1.2 fdatasync(5</x/spool.db-wal>) = 0\n"
    )
    with pytest.raises(AssertionError, match="before its sync"):
        replies_in_order(text)


@pytest.mark.timeout(180)
def test_the_sync_returns_before_the_250(tmp_path: Path) -> None:
    hold = '[delivery]\nmode = "hold"\n[[smarthost]]\nname = "isp"\nhost = "127.0.0.1"\nport = 9\ntls = "none"\n'
    relay = Traced(tmp_path, hold)
    with relay:
        for number in range(MESSAGES):
            text = b"Subject: x\r\n\r\nmark-%04d-" % number
            relay.send("a@b.nl", [f"k{number}@example.net"], text)
        assert relay.sigterm() == 0
    # The tracer may still be writing when the process that it watched has ended.
    relay.wait_until(lambda: [*events(relay.text)][-1:] == [Event("ended")])
    assert replies_in_order(relay.text) == list(range(MESSAGES))
