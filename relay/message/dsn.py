"""Delivery status reports: multipart/report as bytes, ASCII only (RFC 3461, 3464, 6522).

Built by hand rather than with the email package: nothing foreign can begin a line here, since
each field goes through `headers.build` and each text through quoted-printable, and the
boundary is a digest of all that it parts.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from email.header import Header
from email.utils import format_datetime

from presets.reply import sanitise
from relay.message import dsn_text, headers, xtext
from relay.message.dsn_request import DsnRecipient, DsnRequest
from relay.message.dsn_text import DsnKind

__all__ = ["DsnKind", "DsnRecipient", "DsnRequest", "delay", "failure", "is_own_dsn", "relayed"]

ORIGINAL_LIMIT_BYTES = 100_000
"""More of the original than this is not returned: only its header, and that not beyond this."""

_MARK = b"X-Relay-DSN"
_ACTIONS = {  # RFC 3464 section 2.3.3, and the status where the given one is malformed
    DsnKind.FAILURE: ("failed", "5.0.0"),
    DsnKind.DELAY: ("delayed", "4.0.0"),
    DsnKind.RELAYED: ("relayed", "2.0.0"),
}
_STATUS = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}")
_CLEAN = re.compile(
    rb"(?:[\x01-\x09\x0b\x0c\x0e-\x7f]{0,998}\r\n)*[\x01-\x09\x0b\x0c\x0e-\x7f]{0,998}"
)
_MESSAGE_ID = re.compile(rb"<[!-;=?-~]{1,250}>")
_PLAIN_ADDRESS = re.compile(
    r"""(?:[^\x00-\x20\x7f-\U0010ffff<>,;:()\[\]"\\@]+ | "[\x20!\x23-\[\]-~]*")
    @(?:[A-Za-z0-9._-]+ | \[[A-Za-z0-9.:]+\])""",
    re.VERBOSE,
)


def failure(request: DsnRequest) -> bytes:
    """The report that these recipients will not get the message."""
    return _report(request, DsnKind.FAILURE)


def delay(request: DsnRequest) -> bytes:
    """The report that these recipients still wait for the message."""
    return _report(request, DsnKind.DELAY)


def relayed(request: DsnRequest) -> bytes:
    """The report that a smarthost without DSN took the message (RFC 3461 section 5.2.2)."""
    return _report(request, DsnKind.RELAYED)


def is_own_dsn(header: bytes) -> bool:
    """Whether this header block is that of a report of ours, which is never answered."""
    automatic = headers.first(header, b"Auto-Submitted")
    return (
        headers.first(header, _MARK) is not None
        and automatic is not None
        and automatic.value.lower().startswith(b"auto-")
    )


def _report(request: DsnRequest, kind: DsnKind) -> bytes:
    whole = _returns_whole(request)
    text = dsn_text.explanation(request, kind, whole_message=whole)
    parts = (
        _part(b"text/plain; charset=utf-8", _quoted_printable(text.encode()), encoded=True),
        _part(b"message/delivery-status", _status(request, kind)),
        _original(request, whole=whole),
    )
    body = b"\r\n".join(parts)
    # "=_" cannot occur in quoted-printable (RFC 2045 section 6.7).
    boundary = b"=_" + hashlib.sha256(body).hexdigest()[:40].encode()
    delimiter = b"\r\n--" + boundary
    return (
        _header(request, kind, boundary)
        + b"".join(delimiter + b"\r\n" + part for part in parts)
        + delimiter
        + b"--\r\n"
    )


def _header(request: DsnRequest, kind: DsnKind, boundary: bytes) -> bytes:
    shown = _shown_address(request.from_address)
    name = f"{dsn_text.sender_name(request.language)} " if shown.startswith("<") else ""
    lines = [
        _field("From", name + shown),
        _field("To", _shown_address(request.to_address)),
        _field("Subject", _encoded_words(dsn_text.subject(request, kind))),
        _field("Date", format_datetime(request.now)),
        _field("Message-ID", f"<{request.message_id.strip('<>')}>"),
        _field("Auto-Submitted", "auto-replied"),
        headers.build(_MARK, kind.encode()),
        _field("MIME-Version", "1.0"),
        b"Content-Type: multipart/report; report-type=delivery-status;\r\n"
        b'\tboundary="' + boundary + b'"\r\n',
    ]
    original_id = headers.first(request.original_header, b"Message-ID")
    found = _MESSAGE_ID.search(original_id.value) if original_id else None
    if found:
        lines += [headers.build(b"In-Reply-To", found[0]), headers.build(b"References", found[0])]
    return b"".join(lines)


def _status(request: DsnRequest, kind: DsnKind) -> bytes:
    """The fields per message and per recipient (RFC 3464 sections 2.2 and 2.3)."""
    lines = [_field("Reporting-MTA", f"dns; {request.reporting_mta}")]
    envid = xtext.decode(request.envid or "")
    if envid:
        lines.append(_field("Original-Envelope-Id", envid))
    lines.append(_field("Arrival-Date", format_datetime(request.arrived_at)))
    for recipient in request.recipients:
        lines += [b"\r\n", *_recipient_status(recipient, kind)]
        if kind is DsnKind.DELAY and request.will_retry_until is not None:
            lines.append(_field("Will-Retry-Until", format_datetime(request.will_retry_until)))
    return b"".join(lines)


def _recipient_status(recipient: DsnRecipient, kind: DsnKind) -> list[bytes]:
    action, default_status = _ACTIONS[kind]
    status = recipient.status if _STATUS.fullmatch(recipient.status) else default_status
    lines = [
        _field("Final-Recipient", _typed_address("rfc822", recipient.address)),
        _field("Action", action),
        _field("Status", status),
    ]
    address_type, semicolon, original = (recipient.orcpt or "").partition(";")
    if semicolon:
        decoded = original if address_type.lower() == "utf-8" else xtext.decode(original)
        lines.insert(
            0, _field("Original-Recipient", _typed_address(address_type, decoded or original))
        )
    if recipient.remote_mta:
        lines.append(_field("Remote-MTA", f"dns; {recipient.remote_mta}"))
    if recipient.reply is not None:
        code_type = "smtp" if recipient.reply.code else "x-local"
        lines.append(_field("Diagnostic-Code", f"{code_type}; {recipient.reply}"))
    return lines


def _typed_address(address_type: str, address: str) -> str:
    if address.isascii():
        return f"{address_type}; {address}"
    return f"utf-8; {xtext.encode_unicode(address)}"


def _returns_whole(request: DsnRequest) -> bool:
    """Whether RET=FULL is honoured: up to the limit, for a message that needs no encoding.

    A message/rfc822 part may not be encoded (RFC 2046 section 5.2.1), and 8-bit would not
    survive every path.
    """
    body = request.original_body
    if body is None or len(request.original_header) + len(body) > ORIGINAL_LIMIT_BYTES:
        return False
    return _CLEAN.fullmatch(request.original_header + body) is not None


def _original(request: DsnRequest, *, whole: bool) -> bytes:
    if whole:
        return _part(b"message/rfc822", request.original_header + (request.original_body or b""))
    kept, room = [], ORIGINAL_LIMIT_BYTES
    for field in headers.fields(request.original_header):
        room -= len(field.raw)
        if room < 0:
            break
        kept.append(field.raw)
    header = b"".join(kept)
    if _CLEAN.fullmatch(header):
        return _part(b"text/rfc822-headers", header)
    encoded = _quoted_printable(header)
    return _part(b"text/rfc822-headers; charset=utf-8", encoded, encoded=True)


def _part(content_type: bytes, content: bytes, *, encoded: bool = False) -> bytes:
    encoding = b"quoted-printable" if encoded else b"7bit"
    return (
        b"Content-Type: " + content_type + b"\r\n"
        b"Content-Transfer-Encoding: " + encoding + b"\r\n\r\n" + content
    )


def _quoted_printable(text: bytes) -> bytes:
    """Lines end in CRLF; a CR or LF of its own is encoded like any other odd byte."""
    lines = (binascii.b2a_qp(line, istext=False) for line in text.split(b"\r\n"))
    return b"\r\n".join(line.replace(b"=\n", b"=\r\n") for line in lines)


def _field(name: str, value: str) -> bytes:
    return headers.build(name.encode(), sanitise(value).encode("ascii", "replace"))


def _shown_address(address: str) -> str:
    """``<address>``, or an empty group of that name when it fits no ASCII header (RFC 6857)."""
    if _PLAIN_ADDRESS.fullmatch(address):
        return f"<{address}>"
    return f"{_encoded_words(sanitise(address), always=True)}:;"


def _encoded_words(text: str, *, always: bool = False) -> str:
    if text.isascii() and not always:
        return text
    return Header(text, "utf-8", maxlinelen=70).encode(linesep="")
