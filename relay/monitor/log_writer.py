"""Where the log goes: one line for each record, written by a thread that mail never waits for."""

import contextlib
import json
import logging
import os
import queue
import sys
import threading
from datetime import UTC, datetime
from typing import Any, TextIO

from presets.reply import sanitise

_MOST_LINES_WAITING = 10_000
_CLOSE_SECONDS = 3.0
_TEXT_LIMIT = 500  # characters of a value that came from elsewhere
_TRACEBACK_LIMIT = 8000


class _JsonLine(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(_document(record), ensure_ascii=True, default=str)


class _TextLine(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        document = _document(record)
        at, name = document.pop("at"), document.pop("event")
        document.pop("level")
        words = " ".join(f"{key}={_word(value)}" for key, value in document.items())
        return f"{at} {name} {words}".rstrip()


def _document(record: logging.LogRecord) -> dict[str, Any]:
    at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    document: dict[str, Any] = {
        "at": at.replace("+00:00", "Z"),
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


def _word(value: object) -> str:
    if isinstance(value, list):
        return ",".join(_word(each) for each in value)
    text = sanitise(str(value), _TEXT_LIMIT)
    return json.dumps(text, ensure_ascii=False) if " " in text or not text else text


class _Desk(logging.Handler):
    """Lays records ready for the writer; never waits, drops and counts what does not fit."""

    def __init__(self, records: queue.Queue[logging.LogRecord | None]) -> None:
        super().__init__()
        self._records = records
        self.dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._records.put_nowait(record)
        except queue.Full:
            self.dropped += 1


class LogWriter:
    """Sends the log to `stream` from a thread of its own: text on a terminal, else JSON.

    Mail never waits for it: what the reader of a pipe or a full disk does not take is lost, and
    an event log-lost counts it as soon as lines can be written again.
    """

    def __init__(self, stream: TextIO = sys.stderr, level: int = logging.INFO) -> None:
        self._stream = stream
        self._descriptor = _descriptor_of(stream)
        self._formatter = _TextLine() if stream.isatty() else _JsonLine()
        self._records: queue.Queue[logging.LogRecord | None] = queue.Queue(_MOST_LINES_WAITING)
        self._desk = _Desk(self._records)
        self._unwritten = self._told = 0
        self._torn = False
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
        with contextlib.suppress(queue.Full):
            self._records.put(None, timeout=_CLOSE_SECONDS)
        self._thread.join(_CLOSE_SECONDS)

    def _run(self) -> None:
        while (record := self._records.get()) is not None:
            self._tell_lost()
            if not self._write(record):
                self._unwritten += 1
        self._tell_lost()

    def _tell_lost(self) -> None:
        lost = self._desk.dropped + self._unwritten
        if lost > self._told:
            record = logging.makeLogRecord(
                {"levelno": logging.WARNING, "levelname": "WARNING", "msg": "log-lost"}
                | {"fields": {"count": lost - self._told}}
            )
            if self._write(record):
                self._told = lost

    def _write(self, record: logging.LogRecord) -> bool:
        """False where the line, or its end, did not get out."""
        try:
            line = self._formatter.format(record) + "\n"
            if self._descriptor is None:
                self._stream.write(line)
                self._stream.flush()
                return True
            return self._write_bytes(self._descriptor, line.encode("utf-8", "backslashreplace"))
        except Exception:  # noqa: BLE001 - nobody is left to tell, and the next line may do
            return False

    def _write_bytes(self, descriptor: int, line: bytes) -> bool:
        rest = b"\n" + line if self._torn else line
        while rest:
            try:
                written = os.write(descriptor, rest)
            except OSError:
                return False
            rest = rest[written:]
            # Half a line on a full disk: what follows begins on a line of its own.
            self._torn = bool(rest)
        return True


def _descriptor_of(stream: TextIO) -> int | None:
    """Where to write past the stream's buffer, which a blocked thread would keep locked."""
    try:
        return None if stream.isatty() else stream.fileno()
    except OSError:
        return None
