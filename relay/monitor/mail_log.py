"""The mail log: one line for each event, its wording in this module alone.

The names of events and fields are an interface: accepted, refused, repaired, attempt, delivered,
deferred, held, failed, dsn, paused, resumed, reloaded, alert, started, stopped. No field ever
holds a secret or a part of a message.
"""

import json
import logging
import logging.handlers
import queue
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TextIO

from presets.reply import Reply, sanitise
from relay.spool.ids import id_text
from relay.spool.model import NewMessage

_log = logging.getLogger("relay.mail")

_MOST_LINES_WAITING = 10_000
_TEXT_LIMIT = 500  # characters of a value: a hostile reply must not fill the disk


def event(name: str, level: int = logging.INFO, **fields: object) -> None:
    """Write one event; fields that are None are left out."""
    _log.log(level, name, extra={"fields": {k: v for k, v in fields.items() if v is not None}})


def accepted(message: NewMessage, size_bytes: int) -> None:
    event(
        "accepted",
        id=id_text(message.id),
        client=message.client,
        address=message.client_address,
        sender=message.envelope.reverse_path or "<>",
        recipients=len(message.envelope.recipients),
        bytes=size_bytes,
    )


def repaired(message: int, repairs: Sequence[tuple[str, str]]) -> None:
    event("repaired", id=id_text(message), repairs=[slug for slug, _ in repairs])


def refused(
    address: str, reply: str, *, client: str | None = None, count: int | None = None
) -> None:
    event("refused", address=address, client=client, reply=reply, count=count)


def login_accepted(client: str, address: str, mechanism: str) -> None:
    """A client with `any_login` logged in; what it offered is neither checked nor kept."""
    event("login", client=client, address=address, mechanism=mechanism, checked=False)


def attempt(
    message: int, *, smarthost: str, address: str | None, phase: str | None, seconds: float
) -> None:
    event(
        "attempt",
        id=id_text(message),
        smarthost=smarthost,
        address=address,
        phase=phase,
        seconds=round(seconds, 3),
    )


def delivered(message: int, smarthost: str, recipients: Sequence[str], reply: Reply | None) -> None:
    event(
        "delivered",
        id=id_text(message),
        smarthost=smarthost,
        recipients=list(recipients),
        reply=_reply(reply),
    )


def deferred(message: int, smarthost: str, recipients: Sequence[str], **fields: Any) -> None:
    event(
        "deferred",
        id=id_text(message),
        smarthost=smarthost,
        recipients=list(recipients),
        **_with_reply(fields),
    )


def held(message: int, recipients: Sequence[str], **fields: Any) -> None:
    event(
        "held",
        logging.WARNING,
        id=id_text(message),
        recipients=list(recipients),
        **_with_reply(fields),
    )


def failed(message: int, recipients: Sequence[str], **fields: Any) -> None:
    event(
        "failed",
        logging.WARNING,
        id=id_text(message),
        recipients=list(recipients),
        **_with_reply(fields),
    )


def dsn(message: int, about: int, kind: str, to: str) -> None:
    event("dsn", id=id_text(message), about=id_text(about), kind=kind, to=to)


def paused(smarthost: str, **fields: Any) -> None:
    """A smarthost or account has to wait."""
    event("paused", logging.WARNING, smarthost=smarthost, **_with_reply(fields))


def resumed(smarthost: str) -> None:
    event("resumed", smarthost=smarthost)


def reloaded(applied: bool, *, faults: Sequence[str] = (), restart: Sequence[str] = ()) -> None:
    event(
        "reloaded",
        logging.INFO if applied else logging.ERROR,
        applied=applied,
        faults=list(faults) or None,
        needs_restart=list(restart) or None,
    )


def alert(cause: str, text: str, **fields: object) -> None:
    """Somebody has to act."""
    event("alert", logging.ERROR, cause=cause, text=text, **fields)


def _reply(reply: Reply | None) -> str | None:
    return None if reply is None else str(reply)[:_TEXT_LIMIT]


def _with_reply(fields: dict[str, Any]) -> dict[str, Any]:
    return {k: _reply(v) if isinstance(v, Reply) else v for k, v in fields.items()}


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
        document["traceback"] = logging.Formatter().formatException(record.exc_info)
    return document


def _word(value: object) -> str:
    if isinstance(value, list):
        return ",".join(_word(each) for each in value)
    text = sanitise(str(value), _TEXT_LIMIT)
    return json.dumps(text, ensure_ascii=False) if " " in text or not text else text


class _Bounded(logging.handlers.QueueHandler):
    """Drops lines when the reader of the log does not keep up: mail must not wait for it."""

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            return

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        return record


class LogWriter:
    """Sends the log to `stream` from a thread of its own: text on a terminal, else JSON."""

    def __init__(self, stream: TextIO = sys.stderr, level: int = logging.INFO) -> None:
        handler = logging.StreamHandler(stream)
        handler.setFormatter(_TextLine() if stream.isatty() else _JsonLine())
        lines: queue.Queue[logging.LogRecord] = queue.Queue(_MOST_LINES_WAITING)
        self._listener = logging.handlers.QueueListener(lines, handler)
        self._handler = _Bounded(lines)
        self._root = logging.getLogger()
        self._root.addHandler(self._handler)
        self._root.setLevel(level)
        logging.getLogger("aiosmtpd").setLevel(logging.CRITICAL)  # it logs commands, and secrets
        self._listener.start()

    def close(self) -> None:
        """Write what waits and stop."""
        self._root.removeHandler(self._handler)
        self._listener.stop()
