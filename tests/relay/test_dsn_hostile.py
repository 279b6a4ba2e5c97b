"""Nothing foreign begins a line or ends a part of a report."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes

from hypothesis import given
from hypothesis import strategies as st

from presets.reply import Reply, sanitise
from relay.message import headers
from relay.message.dsn import DsnKind, DsnRecipient, DsnRequest, delay, failure, is_own_dsn

TEXTS = st.one_of(
    st.text(max_size=40),
    st.text(st.sampled_from('a@b<>",:;\\ \r\n\t\x00\x85\u2028é\udce9-=?'), max_size=60),
    st.sampled_from(
        [
            "x\r\nBcc: evil@y.nl",
            "\r\n\r\n--=_\r\nContent-Type: text/html\r\n\r\n<b>",
            "=?utf-8?q?=0D=0ABcc:_x?=",
            "=?nosuch?q?x?=",
            "=?utf-8?b?////?= =?utf-8?b?x?=",
            "a" * 3000,
        ]
    ),
)
HEADERS = st.one_of(
    st.binary(max_size=200),
    st.lists(
        st.sampled_from(
            [
                b"Subject: =?utf-8?q?x=0D=0A=0D=0Ay?=\r\n",
                b"Subject: =?x?b?=?=\r\n",
                b"Message-ID: <a@b>\r\n Bcc: <x@y>\r\n",
                b"--=_0: x\r\n",
                b"X: y\r\n\t--=_0--\r\n",
                b"X-Relay-DSN: failure\r\n",
                b"X: \xe9\x00\r\n",
                b"\r\n--=_0--\r\n",
            ]
        ),
        max_size=5,
    ).map(b"".join),
)
RECIPIENTS = st.builds(
    DsnRecipient,
    address=TEXTS,
    status=TEXTS,
    orcpt=st.none() | TEXTS | TEXTS.map(lambda text: "rfc822;" + text),
    reply=st.none() | st.builds(Reply, st.sampled_from([0, 550]), st.none() | TEXTS, TEXTS),
    remote_mta=st.none() | TEXTS,
    meaning=TEXTS,
    steps=st.lists(TEXTS, max_size=2).map(tuple),
)
AT = datetime(2026, 11, 21, 18, 5, 9, tzinfo=UTC)
REQUESTS = st.builds(
    DsnRequest,
    reporting_mta=TEXTS,
    language=st.sampled_from(["nl", "en"]),
    from_address=TEXTS,
    to_address=TEXTS,
    message_id=TEXTS,
    now=st.just(AT),
    arrived_at=st.just(AT),
    recipients=st.lists(RECIPIENTS, min_size=1, max_size=3).map(tuple),
    original_header=HEADERS,
    original_body=st.none() | HEADERS,
    envid=st.none() | TEXTS,
    will_retry_until=st.none() | st.just(AT),
)
NAMES = [
    *["from", "to", "subject", "date", "message-id", "auto-submitted", "x-relay-dsn"],
    *["mime-version", "content-type", "in-reply-to", "references"],
]
STATUS_NAMES = {
    *["reporting-mta", "original-envelope-id", "arrival-date", "original-recipient"],
    *["final-recipient", "action", "status", "remote-mta", "diagnostic-code"],
    "will-retry-until",
}


@given(REQUESTS)
def test_structure_survives_hostile_texts(request: DsnRequest) -> None:
    report = delay(request)
    assert report.isascii()
    assert b"\x00" not in report
    lines = report.split(b"\r\n")
    assert all(len(line) <= 998 for line in lines)
    assert not any(b"\r" in line or b"\n" in line for line in lines)
    header, body = headers.split(report)
    assert body.startswith(b"\r\n")
    names = [field.name.decode().lower() for field in headers.fields(header)]
    assert names[:9] == NAMES[:9]
    assert names[9:] in ([], NAMES[9:])
    assert is_own_dsn(header)

    # The stock policy (compat32) leaves foreign header values alone.
    parts = message_from_bytes(report).get_payload()
    assert isinstance(parts, list)
    types = [part.get_content_type() for part in parts]
    assert types[:2] == ["text/plain", "message/delivery-status"]
    assert types[2:] in (["text/rfc822-headers"], ["message/rfc822"])


@given(REQUESTS)
def test_status_fields_are_ours_alone(request: DsnRequest) -> None:
    parts = message_from_bytes(failure(request)).get_payload()
    assert isinstance(parts, list)
    blocks = parts[1].get_payload()
    assert len(blocks) == 1 + len(request.recipients)
    for block in blocks:
        found = [name.lower() for name, _ in block.items()]
        assert len(found) == len(set(found))
        assert set(found) <= STATUS_NAMES
    assert all(block["Action"] == "failed" for block in blocks[1:])


def lines_about(recipient: DsnRecipient) -> int:
    reply = 1 + bool(sanitise(recipient.remote_mta or "")) if recipient.reply else 0
    steps = 1 + len(recipient.steps) if recipient.steps else 0
    return 1 + reply + bool(recipient.meaning) + steps + 1


@given(REQUESTS)
def test_each_foreign_text_is_one_line(request: DsnRequest) -> None:
    report = failure(replace(request, original_header=b"", original_body=None))
    parts = message_from_bytes(report).get_payload()
    assert isinstance(parts, list)
    text = parts[0].get_payload(decode=True).decode()
    assert len(text.splitlines()) == 8 + sum(map(lines_about, request.recipients))


def test_the_mark_names_the_kind() -> None:
    assert [kind.value for kind in DsnKind] == ["failure", "delay", "relayed"]
