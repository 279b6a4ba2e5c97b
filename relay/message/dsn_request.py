"""What a delivery status report is made of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from presets.reply import Reply
from relay.config.model import Language


@dataclass(frozen=True, slots=True)
class DsnRecipient:
    """One recipient of the report.

    Attributes:
        address: as on the envelope.
        status: enhanced status code (RFC 3463).
        orcpt: as on the envelope, its xtext still encoded.
        reply: the smarthost's last reply, if there was one.
        remote_mta: the host that gave it.
        meaning: what it means, in the report's language.
        steps: what the sender can do, in the report's language.
    """

    address: str
    status: str
    orcpt: str | None = None
    reply: Reply | None = None
    remote_mta: str | None = None
    meaning: str = ""
    steps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DsnRequest:
    """One report about one message.

    Attributes:
        reporting_mta: this relay's host name.
        from_address: an address that the smarthost allows.
        to_address: the original's reverse-path.
        message_id: of the report; brackets are added where they lack.
        now: the report's Date.
        arrived_at: when the original was accepted.
        original_header: its header block.
        original_body: its other half, as `relay.message.headers.split` cut it, when the sender
            asked for the whole message (RET=FULL); None returns the header only.
        envid: as on the envelope, its xtext still encoded.
        will_retry_until: for a delay, the end of the message's lifetime.
    """

    reporting_mta: str
    language: Language
    from_address: str
    to_address: str
    message_id: str
    now: datetime
    arrived_at: datetime
    recipients: tuple[DsnRecipient, ...]
    original_header: bytes
    original_body: bytes | None = None
    envid: str | None = None
    will_retry_until: datetime | None = None
