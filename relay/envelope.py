"""The envelope of one message: who sent it, who must get it, and what the client asked for.

The bytes of the message travel beside the envelope, never inside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Origin(StrEnum):
    """Why a recipient is on the envelope."""

    RCPT = "rcpt"
    """The client named it in RCPT TO."""
    BCC = "bcc"
    """The relay's own configuration added it."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """One forward-path, with the delivery reports that were asked for (RFC 3461 section 4).

    Attributes:
        address: ``local-part@domain`` as the client wrote it, without brackets or source route.
        notify: None when NOTIFY was not given, else ``{"NEVER"}`` or a subset of
            ``{"SUCCESS", "FAILURE", "DELAY"}``.
        orcpt: the ORCPT value as it was given, ``rfc822;...`` with its xtext still encoded.
        origin: named by the client, or added as a copy.
    """

    address: str
    notify: frozenset[str] | None = None
    orcpt: str | None = None
    origin: Origin = Origin.RCPT


@dataclass(frozen=True, slots=True)
class Envelope:
    """What MAIL and RCPT said (RFC 5321 section 3.3).

    Attributes:
        reverse_path: the sender's address; None is the null reverse-path ``<>``.
        recipients: in the order of the RCPT commands.
        ret: how much of the message a failure report returns (RFC 3461 section 4.3).
        envid: the ENVID value as it was given, its xtext still encoded.
        body_8bit: BODY=8BITMIME was declared.
        smtputf8: SMTPUTF8 was declared, so that addresses and headers may hold UTF-8.
        declared_size_bytes: the SIZE that MAIL announced; the real size may differ.
    """

    reverse_path: str | None
    recipients: tuple[Recipient, ...]
    ret: Literal["FULL", "HDRS"] | None = None
    envid: str | None = None
    body_8bit: bool = False
    smtputf8: bool = False
    declared_size_bytes: int | None = None
