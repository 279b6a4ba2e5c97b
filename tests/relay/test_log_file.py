"""The log in files: bounded, nothing torn, and at home with logrotate."""

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fakes.relay_process import RelayProcess

from relay.monitor import log_file, mail_log
from relay.monitor.log_file import KEPT, LogFile
from relay.monitor.log_writer import LogWriter

SMARTHOST = '[[smarthost]]\nname = "isp"\nhost = "127.0.0.1"\nport = 9\ntls = "none"'


def texts(path: Path) -> list[str]:
    """The files of a log, the oldest first."""
    numbered = [path.with_name(f"{path.name}.{number}") for number in range(KEPT + 3, 0, -1)]
    return [each.read_text() for each in (*numbered, path) if each.exists()]


def test_it_is_bounded_and_the_youngest_lines_stay(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "relay.log", most_bytes=100)
    lines = [f"line {number:04}\n" for number in range(200)]
    for line in lines:
        assert log.write(line.encode()) == len(line)
    log.close()
    files = texts(tmp_path / "relay.log")
    assert len(files) == KEPT + 1 == len(list(tmp_path.iterdir()))
    assert all(len(text) <= 100 for text in files)
    assert "".join(files) == "".join(lines)[-len("".join(files)) :]
    assert len("".join(files)) > KEPT * 90


def test_one_large_piece_does_not_leave_an_empty_file(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "relay.log", most_bytes=10)
    for _ in range(2):
        log.write(b"x" * 50)
    log.close()
    assert [len(text) for text in texts(tmp_path / "relay.log")] == [50, 50]


def test_a_start_goes_on_where_the_last_one_ended(tmp_path: Path) -> None:
    for _ in range(2):
        log = LogFile(tmp_path / "relay.log")
        log.write(b"x\n")
        log.close()
    assert (tmp_path / "relay.log").read_bytes() == b"x\nx\n"
    assert (tmp_path / "relay.log").stat().st_mode & 0o007 == 0


@pytest.mark.parametrize("moved", [True, False])
def test_a_file_that_somebody_takes_away_is_made_anew(tmp_path: Path, moved: bool) -> None:
    path = tmp_path / "relay.log"
    log = LogFile(path)
    log.write(b"before\n")
    if moved:
        path.rename(tmp_path / "relay.log-20261122")
    else:
        path.unlink()
    log.write(b"after\n")
    log.close()
    assert path.read_bytes() == b"after\n"


def test_where_files_cannot_be_moved_it_grows_to_twice_its_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def held(path: Path, target: Path) -> Path:
        raise PermissionError(13, "another program has it open")

    path = tmp_path / "relay.log"
    log = LogFile(path, most_bytes=100)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", held)
        for _ in range(20):
            log.write(b"0123456789")
        with pytest.raises(PermissionError):
            log.write(b"0123456789")
        assert path.stat().st_size == 200
    log.write(b"free again")
    log.close()
    assert path.read_bytes() == b"free again"


@contextmanager
def writing(log: LogFile) -> Iterator[None]:
    level = logging.getLogger().level
    writer = LogWriter(log)
    try:
        yield
    finally:
        writer.close()
        logging.getLogger().setLevel(level)
        log.close()


def test_what_the_file_does_not_take_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "logs" / "relay.log"
    path.parent.mkdir()
    log = LogFile(path)
    path.unlink()
    path.parent.rmdir()
    opened = os.open
    tries: list[str] = []

    def mended(name: Path, flags: int, mode: int) -> int:
        tries.append(str(name))
        if len(tries) == 4:
            path.parent.mkdir()
        return opened(name, flags, mode)

    monkeypatch.setattr(log_file.os, "open", mended)
    monkeypatch.setattr("relay.monitor.log_writer._MOST_LINES_AT_ONCE", 1)
    with writing(log):
        for number in range(6):
            mail_log.event("attempt", id=str(number))
    events = [json.loads(line) for line in path.read_text().splitlines()]
    kept = [each["id"] for each in events if each["event"] == "attempt"]
    lost = sum(each["count"] for each in events if each["event"] == "log-lost")
    assert kept[-1] == "5"
    assert lost == 6 - len(kept) > 0


class Logging(RelayProcess):
    """Started with --log-file."""

    def program(self, command: str) -> tuple[str, ...]:
        if command != "serve":
            return super().program(command)
        given = ["--log-file", str(self.directory / "relay.log")]
        prepared = f"import runpy, sys; sys.argv[2:2] = {given!r}"
        return "-c", f"{prepared}; runpy.run_module('relay', run_name='__main__')"


def test_serve_writes_its_log_there_and_nowhere_else(tmp_path: Path) -> None:
    with Logging(tmp_path, SMARTHOST) as relay:
        assert relay.sigterm() == 0
        assert relay.stderr == ""
    lines = (tmp_path / "relay.log").read_text().splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["started", "stopping", "stopped"]


def test_a_log_file_that_cannot_be_is_told(tmp_path: Path) -> None:
    relay = RelayProcess(tmp_path, SMARTHOST)
    relay.write_config()
    done = relay.run("serve", "--log-file", str(tmp_path / "none" / "relay.log"))
    assert done.code == 2
    assert str(tmp_path / "none" / "relay.log") in done.err
    assert "--log-file" in done.err
