"""The test message: plainly a test, in Dutch or English, with whatever header fields are asked for."""

from __future__ import annotations

import mimetypes
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from diagnose.wording import Language, say

_UNKNOWN_TYPE = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file to go along."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Letter:
    """Who writes to whom. All are bare addresses in ASCII; `bcc` stands in no header field."""

    sender: str
    to: tuple[str, ...]
    cc: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()
    reply_to: str | None = None
    attachments: tuple[Attachment, ...] = ()

    @property
    def recipients(self) -> tuple[str, ...]:
        """Of the envelope, each once."""
        return tuple(dict.fromkeys((*self.to, *self.cc, *self.bcc)))


def compose(
    letter: Letter, server: str, message_id: str, now: datetime, language: Language
) -> bytes:
    """The message as it goes over the line: seven bits, lines ended by CR LF."""
    message = EmailMessage(policy=SMTP)
    message["From"] = letter.sender
    message["To"] = ", ".join(letter.to)
    if letter.cc:
        message["Cc"] = ", ".join(letter.cc)
    if letter.reply_to is not None:
        message["Reply-To"] = letter.reply_to
    date = format_datetime(now)
    message["Subject"] = say("send/subject", language, date=date)
    message["Date"] = date
    message["Message-ID"] = message_id
    message["Content-Language"] = language
    # RFC 3834 section 5: no out-of-office message comes back.
    message["Auto-Submitted"] = "auto-generated"
    text = say("send/text", language, server=server, date=date, sender=letter.sender)
    message.set_content(f"{_wrapped(text)}\n", cte="quoted-printable")
    for each in letter.attachments:
        main, _, sub = (mimetypes.guess_type(each.name)[0] or _UNKNOWN_TYPE).partition("/")
        if main in ("text", "message", "multipart"):  # those would be sent as they are
            main, sub = _UNKNOWN_TYPE.split("/")
        message.add_attachment(each.content, maintype=main, subtype=sub, filename=each.name)
    return message.as_bytes()


def _wrapped(text: str) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(text, 72))
