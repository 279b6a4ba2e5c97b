"""Mail as an office's programs send it: invoices with a PDF, and how to take them apart again."""

import email
import email.policy
import random
from collections.abc import Sequence
from email.message import EmailMessage

_PDF_HEAD = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"
_PDF_TAIL = b"\n%%EOF\n"


def pdf(size_bytes: int = 150_000, seed: int = 1) -> bytes:
    """Bytes that look like a PDF at both ends and like noise between; the same for each seed."""
    noise = size_bytes - len(_PDF_HEAD) - len(_PDF_TAIL)
    return _PDF_HEAD + random.Random(seed).randbytes(noise) + _PDF_TAIL


def invoice(
    sender: str,
    to: Sequence[str],
    *,
    number: int = 1,
    cc: Sequence[str] = (),
    html: str | None = None,
    attached: bytes | None = None,
) -> bytes:
    """A complete message, nothing of which needs repair, lines ended by CR LF."""
    message = EmailMessage(policy=email.policy.SMTP)
    message["From"] = sender
    message["To"] = ", ".join(to)
    if cc:
        message["Cc"] = ", ".join(cc)
    message["Subject"] = f"Factuur {number}"
    message["Date"] = "Mon, 02 Nov 2026 10:00:00 +0100"
    message["Message-ID"] = f"<factuur-{number}@mijnbakkerij.nl>"
    message.set_content(f"Hierbij factuur {number}.\n.\n.. met vriendelijke groet\n")
    if html is not None:
        message.add_alternative(html, subtype="html")
    if attached is not None:
        name = f"factuur-{number}.pdf"
        message.add_attachment(attached, maintype="application", subtype="pdf", filename=name)
    return message.as_bytes()


def parsed(content: bytes) -> EmailMessage:
    """The message as Python's own parser sees it."""
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def attachment(content: bytes) -> bytes:
    """The decoded bytes of the only attachment."""
    (part,) = parsed(content).iter_attachments()
    data = part.get_payload(decode=True)
    assert isinstance(data, bytes)
    return data


def body(content: bytes) -> bytes:
    """Everything behind the header block's empty line."""
    return content.partition(b"\r\n\r\n")[2]
