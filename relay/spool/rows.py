"""Between the values of the spool and the columns of a table, alike in every store."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from presets.reply import Reply, sanitise
from relay.envelope import Envelope, Origin, Recipient

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MICROS_A_MINUTE = 60_000_000


def to_micros(moment: datetime) -> int:
    """Microseconds since 1970 UTC; refuses a naive time."""
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """The aware UTC time of a column."""
    return _EPOCH + timedelta(microseconds=micros)


def to_minutes(moment: datetime) -> int:
    """Whole minutes since 1970 UTC."""
    return to_micros(moment) // _MICROS_A_MINUTE


def from_minutes(minutes: int) -> datetime:
    """The start of a minute, as aware UTC time."""
    return from_micros(minutes * _MICROS_A_MINUTE)


def optional_time(micros: int | None) -> datetime | None:
    """The time of a column that may be empty."""
    return None if micros is None else from_micros(micros)


def reply_columns(reply: Reply | None) -> tuple[int | None, str | None, str | None]:
    """Code, enhanced code and text, free of what a database cannot hold."""
    if reply is None:
        return None, None, None
    return reply.code, reply.enhanced, sanitise(reply.text)


def to_reply(code: int | None, enhanced: str | None, text: str | None) -> Reply | None:
    """The reply of three columns."""
    return None if code is None else Reply(code, enhanced, text or "")


def clean(text: str) -> str:
    """`text` without NUL and lone surrogates, which SQLite and PostgreSQL refuse."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def recipient_columns(recipient: Recipient) -> tuple[str, str, str | None, str | None]:
    """Address, origin, notify and orcpt."""
    notify = None if recipient.notify is None else ",".join(sorted(recipient.notify))
    return recipient.address, recipient.origin.value, notify, recipient.orcpt


def to_recipient(address: str, origin: str, notify: str | None, orcpt: str | None) -> Recipient:
    """The recipient of four columns."""
    wanted = None if notify is None else frozenset(notify.split(","))
    return Recipient(address=address, notify=wanted, orcpt=orcpt, origin=Origin(origin))


def to_envelope(columns: Sequence[Any], recipients: tuple[Recipient, ...]) -> Envelope:
    """The envelope of reverse_path, body_8bit, smtputf8, ret and envid."""
    reverse_path, body_8bit, smtputf8, ret, envid = columns
    return Envelope(
        reverse_path=reverse_path or None,
        recipients=recipients,
        ret=ret,
        envid=envid,
        body_8bit=bool(body_8bit),
        smtputf8=bool(smtputf8),
    )


def to_repairs(text: str) -> tuple[tuple[str, str], ...]:
    """Repairs as slug and detail."""
    return tuple((slug, detail) for slug, detail in json.loads(text))
