"""Delivery status reports, read back with the email package (RFC 3464)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import cast

import pytest

from presets.reply import Reply
from relay.message import headers
from relay.message.dsn import (
    DsnRecipient,
    DsnRequest,
    delay,
    failure,
    is_own_dsn,
    relayed,
)

ORIGINAL = (
    b"Received: from kassa\r\n\tby relay; x\r\n"
    b"From: info@mijnbakkerij.nl\r\n"
    b"To: jan@voorbeeld.nl\r\n"
    b"Subject: =?utf-8?q?Factuur_=E2=82=AC_12?=\r\n"
    b"Message-ID: <factuur-12@kassa>\r\n"
)
BODY = b"\r\nBeste Jan,\r\n--=_niet de grens\r\n.\r\n"
JAN = DsnRecipient(
    address="jan@voorbeeld.nl",
    status="5.1.1",
    orcpt="rfc822;jan+2Bx@voorbeeld.nl",
    reply=Reply(550, "5.1.1", "User unknown"),
    remote_mta="smtp.ziggo.nl",
    meaning="Dit adres bestaat niet.",
    steps=("Controleer het adres.", "Bel de klant."),
)
REQUEST = DsnRequest(
    reporting_mta="relay.mijnbakkerij.nl",
    language="nl",
    from_address="mijnbakkerij@ziggo.nl",
    to_address="info@mijnbakkerij.nl",
    message_id="dsn-1@relay.mijnbakkerij.nl",
    now=datetime(2026, 11, 21, 19, 0, tzinfo=UTC),
    arrived_at=datetime(2026, 11, 21, 18, 5, 9, tzinfo=UTC),
    recipients=(JAN,),
    original_header=ORIGINAL,
    envid="QQ+2B1",
)


def parse(report: bytes) -> EmailMessage:
    return cast(EmailMessage, message_from_bytes(report, policy=policy.default))


def parts(report: bytes) -> tuple[EmailMessage, EmailMessage, EmailMessage]:
    message = parse(report)
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    assert not message.defects
    text, status, original = cast(list[EmailMessage], message.get_payload())
    assert text.get_content_type() == "text/plain"
    assert status.get_content_type() == "message/delivery-status"
    return text, status, original


def status_blocks(report: bytes) -> list[list[tuple[str, str]]]:
    _, status, _ = parts(report)
    return [list(block.items()) for block in cast(list[EmailMessage], status.get_payload())]


def test_header_of_a_failure() -> None:
    message = parse(failure(REQUEST))
    assert dict(message.items()) == {
        "From": "Mailrelay <mijnbakkerij@ziggo.nl>",
        "To": "info@mijnbakkerij.nl",
        "Subject": "Uw bericht is niet bezorgd: jan@voorbeeld.nl",
        "Date": "Sat, 21 Nov 2026 19:00:00 +0000",
        "Message-ID": "<dsn-1@relay.mijnbakkerij.nl>",
        "Auto-Submitted": "auto-replied",
        "X-Relay-DSN": "failure",
        "MIME-Version": "1.0",
        "Content-Type": message["Content-Type"],
        "In-Reply-To": "<factuur-12@kassa>",
        "References": "<factuur-12@kassa>",
    }


def test_status_of_a_failure() -> None:
    assert status_blocks(failure(REQUEST)) == [
        [
            ("Reporting-MTA", "dns; relay.mijnbakkerij.nl"),
            ("Original-Envelope-Id", "QQ+1"),
            ("Arrival-Date", "Sat, 21 Nov 2026 18:05:09 +0000"),
        ],
        [
            ("Original-Recipient", "rfc822; jan+x@voorbeeld.nl"),
            ("Final-Recipient", "rfc822; jan@voorbeeld.nl"),
            ("Action", "failed"),
            ("Status", "5.1.1"),
            ("Remote-MTA", "dns; smtp.ziggo.nl"),
            ("Diagnostic-Code", "smtp; 550 5.1.1 User unknown"),
        ],
    ]


def test_text_in_dutch() -> None:
    text, _, _ = parts(failure(REQUEST))
    assert text.get_content().splitlines() == [
        "Dit bericht komt van de mailserver relay.mijnbakkerij.nl.",
        "",
        "Onderwerp: Factuur € 12",
        "Ontvangen: 2026-11-21 18:05 UTC",
        "",
        "Uw bericht is NIET bezorgd aan:",
        "",
        "  jan@voorbeeld.nl",
        "    smtp.ziggo.nl antwoordde:",
        "    550 5.1.1 User unknown",
        "    Wat dit betekent: Dit adres bestaat niet.",
        "    Wat u kunt doen:",
        "    - Controleer het adres.",
        "    - Bel de klant.",
        "",
        "De server probeert het niet opnieuw. Stuur het bericht na herstel nog eens.",
        "De kopregels van uw bericht staan in de bijlage.",
    ]


def test_text_in_english() -> None:
    text, _, _ = parts(failure(replace(REQUEST, language="en", original_body=BODY)))
    content = text.get_content().replace("\r\n", "\n")
    assert "Your message was NOT delivered to:\n" in content
    assert "smtp.ziggo.nl replied:\n" in content
    assert content.endswith("Your message is attached.\n")


def test_delay_says_until_when() -> None:
    until = datetime(2026, 11, 26, 18, 5, 9, tzinfo=UTC)
    piet = DsnRecipient("piet@voorbeeld.nl", "4.4.1")
    report = delay(replace(REQUEST, recipients=(JAN, piet), will_retry_until=until))
    text, _, _ = parts(report)
    assert "de server blijft het proberen tot 2026-11-26 18:05 UTC." in text.get_content()
    assert parse(report)["Subject"] == "Uw bericht wacht nog op bezorging"
    assert status_blocks(report)[2] == [
        ("Final-Recipient", "rfc822; piet@voorbeeld.nl"),
        ("Action", "delayed"),
        ("Status", "4.4.1"),
        ("Will-Retry-Until", "Thu, 26 Nov 2026 18:05:09 +0000"),
    ]


def test_relayed() -> None:
    report = relayed(replace(REQUEST, recipients=(DsnRecipient("a@b.nl", "2.0.0"),)))
    assert status_blocks(report)[1] == [
        ("Final-Recipient", "rfc822; a@b.nl"),
        ("Action", "relayed"),
        ("Status", "2.0.0"),
    ]
    assert parse(report)["X-Relay-DSN"] == "relayed"


def test_header_alone_is_returned_by_default() -> None:
    _, _, original = parts(failure(REQUEST))
    assert original.get_content_type() == "text/rfc822-headers"
    assert original["Content-Transfer-Encoding"] == "7bit"
    assert original.get_payload(decode=True) == ORIGINAL


def test_whole_message_is_returned_on_request() -> None:
    report = failure(replace(REQUEST, original_body=BODY))
    _, _, original = parts(report)
    assert original.get_content_type() == "message/rfc822"
    assert b"\r\n\r\n" + ORIGINAL + BODY + b"\r\n--=_" in report


@pytest.mark.parametrize(
    "body",
    [
        b"\r\n" + b"x" * 70 + b"\r\n" * 60_000,
        b"\r\nJos\xe9\r\n",
        b"\r\n" + b"x" * 999 + b"\r\n",
        b"\r\nnul\x00\r\n",
        b"\r\nbare \n\r\n",
        b"\r\nbare \r\r\n",
    ],
    ids=["large", "8-bit", "long line", "nul", "bare lf", "bare cr"],
)
def test_what_cannot_travel_whole_returns_its_header(body: bytes) -> None:
    _, _, original = parts(failure(replace(REQUEST, original_body=body)))
    assert original.get_content_type() == "text/rfc822-headers"


def test_header_in_8_bit_is_encoded() -> None:
    header = ORIGINAL + b"X-Name: Jos\xe9 \n \r " + b"x" * 1200 + b" \r\n"
    report = failure(replace(REQUEST, original_header=header))
    _, _, original = parts(report)
    assert report.isascii()
    assert original["Content-Transfer-Encoding"] == "quoted-printable"
    assert original.get_payload(decode=True) == header


def test_huge_header_is_returned_up_to_the_limit() -> None:
    header = ORIGINAL + b"X-Filler: " + b"x" * 60 + b"\r\n"
    report = failure(replace(REQUEST, original_header=header + b"X: y\r\n" * 200_000))
    assert 90_000 < len(report) < 110_000


def test_non_ascii_addresses() -> None:
    jose = DsnRecipient("josé@voorbeeld.nl", "5.6.7", orcpt="utf-8;jos\\x{E9}@voorbeeld.nl")
    report = failure(replace(REQUEST, to_address="zoë@bakkerij.nl", recipients=(jose,)))
    assert report.isascii()
    assert str(parse(report)["To"]) == '"zoë@bakkerij.nl":;'
    assert parse(report)["Subject"] == "Uw bericht is niet bezorgd: josé@voorbeeld.nl"
    assert status_blocks(report)[1][:2] == [
        ("Original-Recipient", r"utf-8; jos\x{E9}@voorbeeld.nl"),
        ("Final-Recipient", r"utf-8; jos\x{E9}@voorbeeld.nl"),
    ]


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("info@mijnbakkerij.nl", "<info@mijnbakkerij.nl>"),
        ('"jan de boer"@x.nl', '<"jan de boer"@x.nl>'),
        ("scan@[10.0.0.1]", "<scan@[10.0.0.1]>"),
    ],
)
def test_ascii_senders_are_shown_as_they_are(address: str, shown: str) -> None:
    header, _ = headers.split(failure(replace(REQUEST, to_address=address)))
    (field,) = headers.named(header, b"To")
    assert field.value == shown.encode()


@pytest.mark.parametrize(("given", "shown"), [("5.7.60", "5.7.60"), ("", "5.0.0"), ("x", "5.0.0")])
def test_status_is_always_a_status(given: str, shown: str) -> None:
    report = failure(replace(REQUEST, recipients=(DsnRecipient("a@b.nl", given),)))
    assert ("Status", shown) in status_blocks(report)[1]


@pytest.mark.parametrize("build", [failure, delay, relayed])
def test_own_report_is_recognised(build: object) -> None:
    assert callable(build)
    header, _ = headers.split(build(REQUEST))
    assert is_own_dsn(header)


def test_other_mail_is_not_ours() -> None:
    assert not is_own_dsn(ORIGINAL)
    assert not is_own_dsn(b"Auto-Submitted: auto-replied\r\n")
    assert not is_own_dsn(b"X-Relay-DSN: failure\r\n")
    assert not is_own_dsn(b"X-Relay-DSN: failure\r\nAuto-Submitted: no\r\n")
