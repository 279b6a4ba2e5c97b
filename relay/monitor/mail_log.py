"""The mail log: one line for each event, its wording in this module alone.

The names of events and fields are an interface: accepted, refused, repaired, attempt, delivered,
deferred, held, failed, dsn, paused, resumed, reloaded, alert, started, stopped, log-lost. No field
ever holds a secret or a part of a message.
"""

import logging
from collections.abc import Sequence
from typing import Any

from presets.reply import Reply
from relay.spool.ids import id_text
from relay.spool.model import NewMessage

logger = logging.getLogger("relay.mail")
"""Where every event passes; its record has the name as message and the fields as `fields`."""
logger.addHandler(logging.NullHandler())  # a command has no log: its answer says what happened

ALERT = logging.ERROR + 5
"""The level of what somebody has to act on: above an error, below our own end."""
logging.addLevelName(ALERT, "ALERT")

_TEXT_LIMIT = 500  # characters of a value: a hostile reply must not fill the disk


def event(name: str, level: int = logging.INFO, **fields: object) -> None:
    """Write one event; fields that are None are left out."""
    if not logger.isEnabledFor(level):
        return
    # Logger.log would also look up the line of code, the thread and the process.
    record = logging.LogRecord(logger.name, level, "", 0, name, None, None)
    record.fields = {k: v for k, v in fields.items() if v is not None}
    logger.handle(record)


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
    address: str,
    reply: str,
    *,
    client: str | None = None,
    count: int | None = None,
    message: int | None = None,
) -> None:
    """`message` where one that was accepted is refused after all, in direct mode."""
    number = None if message is None else id_text(message)
    event("refused", id=number, address=address, client=client, reply=reply, count=count)


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
    event("alert", ALERT, cause=cause, text=text, **fields)


def _reply(reply: Reply | None) -> str | None:
    return None if reply is None else str(reply)[:_TEXT_LIMIT]


def _with_reply(fields: dict[str, Any]) -> dict[str, Any]:
    return {k: _reply(v) if isinstance(v, Reply) else v for k, v in fields.items()}
