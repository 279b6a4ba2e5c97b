"""Where the log goes: one line for each record, written by a thread that mail never waits for."""

import json
import logging
import os
import queue
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TextIO

from presets.reply import sanitise
from relay.monitor.log_file import LogFile

_MOST_LINES_WAITING = 10_000
_MOST_LINES_AT_ONCE = 500
_GATHER_SECONDS = 0.01
"""What is logged meanwhile is written together: a busy relay wakes this thread less often."""

_CLOSE_SECONDS = 3.0
_TEXT_LIMIT = 500  # characters of a value that came from elsewhere
_TRACEBACK_LIMIT = 8000


_json = json.JSONEncoder(ensure_ascii=True, default=str).encode


class _JsonLine(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return _json(_document(record))


class _TextLine(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        document = _document(record)
        at, name = document.pop("at"), document.pop("event")
        document.pop("level")
        words = " ".join(f"{key}={_word(value)}" for key, value in document.items())
        return f"{at} {name} {words}".rstrip()


def _document(record: logging.LogRecord) -> dict[str, Any]:
    second, fraction = divmod(record.created, 1)
    document: dict[str, Any] = {
        "at": f"{_second(second)}.{int(fraction * 1000):03}Z",
        "event": record.getMessage() if hasattr(record, "fields") else "log",
        "level": record.levelname.lower(),
    }
    if hasattr(record, "fields"):
        document |= record.fields
        return document
    document |= {"logger": record.name, "text": sanitise(record.getMessage(), _TEXT_LIMIT)}
    if record.exc_info:
        traceback = logging.Formatter().formatException(record.exc_info)
        document["traceback"] = traceback[-_TRACEBACK_LIMIT:]
    return document


@lru_cache(maxsize=2)
def _second(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _word(value: object) -> str:
    if isinstance(value, list):
        return ",".join(_word(each) for each in value)
    text = sanitise(str(value), _TEXT_LIMIT)
    return json.dumps(text, ensure_ascii=False) if " " in text or not text else text


class _Desk(logging.Handler):
    """Lays records ready for the writer; never waits, drops and counts what does not fit."""

    def __init__(self, records: "queue.SimpleQueue[logging.LogRecord | None]") -> None:
        super().__init__()
        self._records = records
        self.dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        if self._records.qsize() < _MOST_LINES_WAITING:
            self._records.put(record)
        else:
            self.dropped += 1


class LogWriter:
    """Sends the log to a stream or file from a thread of its own: text on a terminal, else JSON.

    Mail never waits for it: what the reader of a pipe or a full disk does not take is lost, and
    an event log-lost counts it as soon as lines can be written again.
    """

    def __init__(self, place: TextIO | LogFile = sys.stderr, level: int = logging.INFO) -> None:
        self._write_out = _writer(place)
        is_terminal = not isinstance(place, LogFile) and place.isatty()
        self._formatter = _TextLine() if is_terminal else _JsonLine()
        self._records: queue.SimpleQueue[logging.LogRecord | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._desk = _Desk(self._records)
        self._unwritten = self._told = 0
        self._torn = False
        # No line shows these, and to find them out for each record takes half of its time.
        logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
        self._root = logging.getLogger()
        self._root.addHandler(self._desk)
        self._root.setLevel(level)
        logging.getLogger("aiosmtpd").setLevel(logging.CRITICAL)  # it logs commands, and secrets
        # A daemon: the end of the process does not wait for a pipe that nobody reads.
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write what waits and stop, within a few seconds."""
        self._root.removeHandler(self._desk)
        self._closing.set()
        self._records.put(None)
        self._thread.join(_CLOSE_SECONDS)

    def _run(self) -> None:
        ended = False
        while not ended:
            first = self._records.get()
            if first is not None:
                self._closing.wait(_GATHER_SECONDS)
            records, ended = self._waiting(first)
            self._tell_lost()
            self._unwritten += self._write(records)
        self._tell_lost()

    def _waiting(self, record: logging.LogRecord | None) -> tuple[list[logging.LogRecord], bool]:
        """`record` and what waits behind it, and whether that was the last."""
        records: list[logging.LogRecord] = []
        while record is not None:
            records.append(record)
            if len(records) >= _MOST_LINES_AT_ONCE:
                return records, False
            try:
                record = self._records.get_nowait()
            except queue.Empty:
                return records, False
        return records, True

    def _tell_lost(self) -> None:
        lost = self._desk.dropped + self._unwritten
        if lost > self._told:
            record = logging.makeLogRecord(
                {"levelno": logging.WARNING, "levelname": "WARNING", "msg": "log-lost"}
                | {"fields": {"count": lost - self._told}}
            )
            if not self._write([record]):
                self._told = lost

    def _write(self, records: list[logging.LogRecord]) -> int:
        """How many lines, or their ends, did not get out."""
        lines = [line for record in records if (line := self._line(record)) is not None]
        unformatted = len(records) - len(lines)
        if not lines:
            return unformatted
        text = "".join(lines)
        return unformatted + self._write_bytes(text.encode("utf-8", "backslashreplace"))

    def _line(self, record: logging.LogRecord) -> str | None:
        try:
            return self._formatter.format(record) + "\n"
        except Exception:  # noqa: BLE001 - the same
            return None

    def _write_bytes(self, lines: bytes) -> int:
        rest = b"\n" + lines if self._torn else lines
        while rest:
            try:
                written = self._write_out(rest)
            except (OSError, ValueError):  # ValueError: the stream is closed
                return rest.count(b"\n", 1 if self._torn and rest[:1] == b"\n" else 0)
            # Half a line on a full disk: what follows begins on a line of its own.
            self._torn = rest[written - 1 : written] != b"\n" if written else self._torn
            rest = rest[written:]
        return 0


def _writer(place: TextIO | LogFile) -> Callable[[bytes], int]:
    """What writes bytes to `place`, past a stream's buffer, which a blocked thread would lock."""
    if isinstance(place, LogFile):
        return place.write
    try:
        descriptor = None if place.isatty() else place.fileno()
    except OSError:
        descriptor = None
    if descriptor is not None:
        return lambda data: os.write(descriptor, data)

    def write_text(data: bytes) -> int:
        place.write(data.decode())
        place.flush()
        return len(data)

    return write_text
