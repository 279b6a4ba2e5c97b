"""One line for each event, whatever it says; and mail never waits for who reads the log."""

import errno
import io
import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fakes.prepared_relay import PreparedRelay
from fakes.relay_process import RelayProcess
from fakes.smarthost import Smarthost

from presets.reply import Reply
from relay.monitor import log_writer, mail_log
from relay.monitor.log_writer import LogWriter

HOSTILE = [
    'x\r\n{"event":"accepted"}\r\n',
    "x\u2028\u2029\x85y",
    "\x1b]0;owned\x07\x1b[2J\x9b31m",
    'nul\0 surrogate\udcff quote" back\\slash',
    "x event=delivered id=1",
]


@contextmanager
def writing(stream: Any) -> Iterator[None]:
    level = logging.getLogger().level
    writer = LogWriter(stream)
    try:
        yield
    finally:
        writer.close()
        logging.getLogger().setLevel(level)


def hostile_events(text: str) -> int:
    """Says `text` in each place that somebody else's words can reach; how many events."""
    mail_log.refused("192.168.1.9", f"501 5.5.4 {text}", client=text)
    mail_log.paused("isp", by="account", reply=Reply(535, "5.7.8", text), text=text)
    mail_log.delivered(1, "isp", [text, f"{text}@example.net"], Reply(250, None, text))
    mail_log.held(1, [text], cause=text)
    mail_log.alert("smarthost-fails", text)
    logging.getLogger("somebody").error("says %s", text)
    try:
        raise RuntimeError(text)
    except RuntimeError:
        logging.getLogger("somebody").exception("fault of %s", text)
    return 7


@pytest.mark.parametrize("text", HOSTILE)
def test_whatever_it_says_an_event_is_one_json_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("w") as stream, writing(stream):
        count = hostile_events(text)
    lines = path.read_bytes().splitlines()
    assert all(line.isascii() for line in lines)
    names = [json.loads(line)["event"] for line in lines]
    assert names == ["refused", "paused", "delivered", "held", "alert", "log", "log"]
    assert len(names) == count


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("text", HOSTILE)
def test_on_a_terminal_too_an_event_is_one_line_that_moves_no_cursor(text: str) -> None:
    stream = Terminal()
    with writing(stream):
        count = hostile_events(text)
    lines = stream.getvalue().split("\n")[:-1]
    assert len(lines) == count
    assert all(line.isprintable() for line in lines)
    assert [line.split()[1] for line in lines][:2] == ["refused", "paused"]
    assert not any(" event=delivered" in line.replace('"', "\0").split("\0")[0] for line in lines)


def test_a_pipe_that_nobody_reads_keeps_nobody_waiting_and_what_is_lost_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(log_writer, "_MOST_LINES_WAITING", 100)
    reading, written = os.pipe()
    got: list[bytes] = []

    def read() -> None:
        with os.fdopen(reading, "rb") as pipe:
            got.extend(pipe)

    with os.fdopen(written, "w") as stream, writing(stream):
        began = time.monotonic()
        for number in range(5000):
            mail_log.event("attempt", id=str(number), reply="x" * 100)
        assert time.monotonic() - began < 2
        thread = threading.Thread(target=read)
        thread.start()
    thread.join(10)
    events = [json.loads(line) for line in got]
    kept = [each for each in events if each["event"] == "attempt"]
    lost = sum(each["count"] for each in events if each["event"] == "log-lost")
    assert lost > 100
    assert len(kept) + lost == 5000
    assert kept[0]["id"] == "0"


def test_it_ends_though_nobody_reads_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_writer, "_MOST_LINES_WAITING", 100)
    monkeypatch.setattr(log_writer, "_CLOSE_SECONDS", 0.2)
    reading, written = os.pipe()
    try:
        with os.fdopen(written, "w") as stream:
            began = time.monotonic()
            with writing(stream):
                for number in range(5000):
                    mail_log.event("attempt", id=str(number), reply="x" * 100)
            assert time.monotonic() - began < 3
    finally:
        os.close(reading)
        # What it still writes must not go into the file of the next test.
        for thread in threading.enumerate():
            if thread.name == "log":
                thread.join(10)


def test_a_full_disk_loses_lines_and_tears_at_most_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, calls = os.write, iter(range(1000))

    def full(descriptor: int, data: bytes) -> int:
        match next(calls):
            case 1:  # half of the second line, and no more for a while
                return write(descriptor, data[:20])
            case 2 | 3 | 4:
                raise OSError(errno.ENOSPC, "no space left on device")
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", full)
    monkeypatch.setattr(log_writer, "_MOST_LINES_AT_ONCE", 1)
    path = tmp_path / "log"
    with path.open("w") as stream, writing(stream):
        for number in range(5):
            mail_log.event("attempt", id=str(number))
    lines = path.read_bytes().split(b"\n")
    whole = [json.loads(line) for line in lines if line.endswith(b"}")]
    torn = [line for line in lines if line and not line.endswith(b"}")]
    assert len(torn) == 1
    kept = [each["id"] for each in whole if each["event"] == "attempt"]
    lost = sum(each["count"] for each in whole if each["event"] == "log-lost")
    assert kept[0] == "0"
    assert kept[-1] == "4"
    assert lost == 5 - len(kept) > 0


def test_of_lines_written_together_each_that_did_not_get_out_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, calls = os.write, iter(range(1000))

    def full(descriptor: int, data: bytes) -> int:
        match next(calls):
            case 0:  # two lines of the five, and the beginning of the third
                return write(descriptor, data[: data.index(b"\n", data.index(b"\n") + 1) + 20])
            case 1:
                raise OSError(errno.ENOSPC, "no space left on device")
        return write(descriptor, data)

    path = tmp_path / "log"
    monkeypatch.setattr(log_writer, "_GATHER_SECONDS", 60.0)  # until it closes: all at once
    monkeypatch.setattr(os, "write", full)
    with path.open("w") as stream, writing(stream):
        for number in range(5):
            mail_log.event("attempt", id=str(number))
    lines = path.read_bytes().split(b"\n")
    whole = [json.loads(line) for line in lines if line.endswith(b"}")]
    assert [each.get("id") for each in whole] == ["0", "1", None]
    assert whole[-1]["event"] == "log-lost"
    assert whole[-1]["count"] == 3
    assert len([line for line in lines if line and not line.endswith(b"}")]) == 1


class Unread(RelayProcess):
    """Its log goes into a pipe that nobody reads until it has ended."""

    def __init__(self, directory: Path, tables: str) -> None:
        super().__init__(directory, tables)
        self.read_on = threading.Event()

    def _read(self, process: Any) -> None:
        self.read_on.wait(60)
        super()._read(process)

    def _ended(self) -> int:
        self.read_on.set()
        return super()._ended()


def mails(relay: RelayProcess, count: int) -> None:
    with relay.connect() as client:
        client.reply()
        client.command("EHLO kassa")
        for _ in range(count):
            client.command("MAIL FROM:<info@mijnbakkerij.nl>")
            client.command("RCPT TO:<klant@example.net>")
            assert client.message(b"Subject: x\r\n\r\nx\r\n").startswith("250")


def smarthost_table(smarthost: Smarthost) -> str:
    return f'[[smarthost]]\nname = "isp"\nhost = "127.0.0.1"\nport = {smarthost.port}\ntls = "none"'


def test_mail_flows_and_the_relay_stops_while_its_log_is_blocked(tmp_path: Path) -> None:
    with Smarthost() as smarthost, Unread(tmp_path, smarthost_table(smarthost)) as relay:
        mails(relay, 400)  # some 1,200 lines, of which a pipe takes 300
        smarthost.wait_for(400)
        assert relay.sigterm() == 0


def test_mail_flows_while_the_disk_of_the_log_is_full(tmp_path: Path) -> None:
    with Smarthost() as smarthost:
        relay = PreparedRelay(tmp_path, smarthost_table(smarthost))
        relay.preparation = ("import os; os.dup2(os.open('/dev/full', os.O_WRONLY), 2)",)
        with relay:
            mails(relay, 20)
            smarthost.wait_for(20)
            assert relay.sigterm() == 0
        assert relay.stderr == ""
