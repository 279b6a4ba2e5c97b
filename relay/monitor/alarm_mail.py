"""An alarm as mail, straight to a smarthost: past the spool, the queue and the lanes."""

from __future__ import annotations

import asyncio
import binascii
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from email.header import Header
from email.utils import format_datetime
from typing import Protocol

from presets.reply import sanitise
from relay.config.model import Config, Smarthost
from relay.delivery.reports import own_address
from relay.envelope import Recipient
from relay.message import headers
from relay.smarthost.connect import ConnectFailure, Connection, Timeouts
from relay.smarthost.transaction import transact
from relay.smarthost.transcript import Transcript
from relay.smarthost.wire import Outgoing
from relay.spool.ledger_entry import PausedAccount

SECONDS = 60.0
"""For all of it, at one smarthost."""

_TIMEOUTS = Timeouts(dial=10, greeting=20, command=20, mail=30, data=30, block=30, dot=45)


class Dial(Protocol):
    """Connects and logs in; tells the breaker of a refused login, and asks it first."""

    async def __call__(self, smarthost: Smarthost) -> Connection | ConnectFailure | PausedAccount:
        """The connection, or what stands in its way."""


@dataclass(frozen=True, slots=True)
class Letter:
    """What an alarm's mail says, and to whom."""

    to: str
    subject: str
    text: str
    at: datetime


async def mail(letter: Letter, config: Config, smarthost: Smarthost, dial: Dial) -> str | None:
    """None where the smarthost took it, else why not."""
    try:
        async with asyncio.timeout(SECONDS):
            connection = await dial(smarthost)
            if isinstance(connection, PausedAccount):
                return "its account is paused"
            if isinstance(connection, ConnectFailure):
                return connection.detail
            return await _send(connection, letter, own_address(config, smarthost), config.hostname)
    except TimeoutError:
        return f"not taken within {SECONDS:g} seconds"


async def _send(connection: Connection, letter: Letter, sender: str, hostname: str) -> str | None:
    content = message(letter, sender, hostname)
    outgoing = Outgoing(
        reverse_path=sender,
        recipients=(Recipient(letter.to, notify=None),),
        size_bytes=len(content),
        body_8bit=False,
        smtputf8=not (sender.isascii() and letter.to.isascii()),
        ret=None,
        envid=None,
    )

    async def body() -> AsyncIterator[bytes]:
        yield content

    try:
        transcript = await transact(connection, outgoing, body(), _TIMEOUTS)
        await connection.exchange.quit()
    finally:
        connection.exchange.abort("done")
    return _why_not(transcript)


def _why_not(transcript: Transcript) -> str | None:
    if transcript.dot is not None and transcript.dot.positive and transcript.accepted:
        return None
    replies = [transcript.mail, *transcript.recipients, transcript.data, transcript.dot]
    for reply in replies:
        if reply is not None and not reply.positive and reply.code != 354:
            return str(reply)
    return transcript.broken or "refused"


def message(letter: Letter, sender: str, hostname: str) -> bytes:
    """The whole message: ASCII, its text as quoted-printable, marked so that nobody answers it."""
    lines = [
        ("From", f"<{sender}>"),
        ("To", f"<{letter.to}>"),
        ("Subject", Header(sanitise(letter.subject), "utf-8").encode(linesep=" ")),
        ("Date", format_datetime(letter.at)),
        ("Message-ID", f"<{secrets.token_hex(16)}@{hostname}>"),
        ("MIME-Version", "1.0"),
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Transfer-Encoding", "quoted-printable"),
        ("Auto-Submitted", "auto-generated"),  # RFC 3834 section 5
    ]
    header = b"".join(headers.build(name.encode(), value.encode()) for name, value in lines)
    quoted = binascii.b2a_qp(letter.text.encode(), istext=False).replace(b"=\n", b"=\r\n")
    return header + b"\r\n" + quoted + b"\r\n"
