"""Date, From and Message-ID for programs that forget them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.envelope import Envelope, Recipient
from relay.message import headers
from relay.message.repair import Repair, Repaired, RepairKind, repair

NOW = datetime(2026, 11, 21, 18, 5, 9, tzinfo=UTC)
DATE = b"Date: Sat, 21 Nov 2026 18:05:09 +0000\r\n"
FROM = b"From: info@mijnbakkerij.nl\r\n"
ID = b"Message-ID: <abc@relay.nl>\r\n"


def repaired(message: bytes, reverse_path: str | None = "info@mijnbakkerij.nl") -> Repaired:
    envelope = Envelope(reverse_path, (Recipient("jan@voorbeeld.nl"),))
    return repair(
        headers.split(message),
        envelope=envelope,
        now=NOW,
        hostname="relay.nl",
        message_id="<abc@relay.nl>",
    )


@pytest.mark.parametrize(
    ("message", "prepend"),
    [
        (DATE + FROM + ID + b"\r\nbody", b""),
        (b"DATE:\r\nfrom : x\r\nmessage-id: y\r\n\r\n", b""),
        (b"Subject: x\r\n\r\nDate: in the body\r\n", DATE + FROM + ID),
        (FROM + DATE + b"\r\n", ID),
        (ID + FROM + b"\r\n", DATE),
        (b"\r\nbody", DATE + FROM + ID),
        (b"", DATE + FROM + ID),
        (b"Dear all\r\nbody", DATE + FROM + ID + b"\r\n"),
    ],
)
def test_only_what_is_missing_is_added(message: bytes, prepend: bytes) -> None:
    assert repaired(message).prepend == prepend


def test_each_repair_has_a_receipt() -> None:
    assert repaired(b"Dear all\r\n").repairs == (
        Repair(RepairKind.ADDED_DATE, "Sat, 21 Nov 2026 18:05:09 +0000"),
        Repair(RepairKind.ADDED_FROM, "info@mijnbakkerij.nl"),
        Repair(RepairKind.ADDED_MESSAGE_ID, "<abc@relay.nl>"),
        Repair(RepairKind.BLANK_LINE_INSERTED),
    )


def test_a_bounce_without_author_comes_from_postmaster() -> None:
    assert b"From: postmaster@relay.nl\r\n" in repaired(b"Subject: x\r\n", None).prepend


@given(st.binary(max_size=120))
def test_result_has_a_proper_header_and_the_message_as_it_was(message: bytes) -> None:
    whole = repaired(message).prepend + message
    header, _ = headers.split(whole)
    names = [field.name.lower() for field in headers.fields(header)]
    assert {b"date", b"from", b"message-id"} <= set(names)
    assert repaired(whole) == Repaired(b"", ())
