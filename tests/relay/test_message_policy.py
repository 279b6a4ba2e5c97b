"""As whom a message leaves: keep, rewrite, force."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.config.model import PolicyKind, SenderPolicy
from relay.message import headers
from relay.message.address_list import addresses
from relay.message.policy import Change, Rewritten, apply, matches

OURS = "mijnbakkerij@ziggo.nl"
ALLOWED = ("*@mijnbakkerij.nl", OURS)
KEEP = SenderPolicy(PolicyKind.KEEP, OURS)
REWRITE = SenderPolicy(PolicyKind.REWRITE, OURS)
FORCE = SenderPolicy(PolicyKind.FORCE, OURS)
INVOICE = (
    b"Received: from kassa\r\n\tby relay; now\r\n"
    b'From: "Bakkerij, Mijn"\r\n <info@mijnbakkerij.nl>\r\n'
    b"To: jan@voorbeeld.nl\r\n"
    b"Subject:  Factuur \r\n"
)


@pytest.mark.parametrize(
    ("pattern", "address", "covered"),
    [
        ("*", "jan@x.nl", True),
        ("*@x.nl", "jan@x.nl", True),
        ("*@X.nl", "Jan@x.NL", True),
        ("*@x.nl", "jan@sub.x.nl", False),
        ("*@*.x.nl", "jan@sub.x.nl", True),
        ("*@x.nl", "jan@x.nl.evil.com", False),
        ("*@x.nl", "jan@x-nl", False),
        ("jan@x.nl", "JAN@x.nl", True),
        ("jan@x.nl", "jjan@x.nl", False),
        ("info*@x.nl", "info-nl@x.nl", True),
        ("a@[10.0.0.1]", "a@[10.0.0.1]", True),
        ("a@[10.0.0.1]", "a@1", False),
        ("?an@x.nl", "jan@x.nl", False),
        ("", "jan@x.nl", False),
    ],
)
def test_pattern(pattern: str, address: str, covered: bool) -> None:
    assert matches(pattern, address) is covered


def test_force_on_an_invoice() -> None:
    changed = apply(INVOICE, "info@mijnbakkerij.nl", FORCE, ())
    assert changed == Rewritten(
        b"Received: from kassa\r\n\tby relay; now\r\n"
        b'From: "Bakkerij, Mijn" <mijnbakkerij@ziggo.nl>\r\n'
        b'Reply-To: "Bakkerij, Mijn"\r\n <info@mijnbakkerij.nl>\r\n'
        b'X-Original-From: "Bakkerij, Mijn"\r\n <info@mijnbakkerij.nl>\r\n'
        b"To: jan@voorbeeld.nl\r\n"
        b"Subject:  Factuur \r\n",
        OURS,
        (Change.REVERSE_PATH, Change.FROM, Change.REPLY_TO),
    )


def test_existing_reply_to_is_kept() -> None:
    header = INVOICE + b"Reply-to: boekhouding@mijnbakkerij.nl\r\n"
    changed = apply(header, None, FORCE, ()).header
    (reply_to,) = headers.named(changed, b"Reply-To")
    assert reply_to.raw == b"Reply-to: boekhouding@mijnbakkerij.nl\r\n"


@pytest.mark.parametrize("policy", [KEEP, REWRITE, SenderPolicy(PolicyKind.FORCE, None)])
def test_nothing_changes(policy: SenderPolicy) -> None:
    untouched = apply(INVOICE, "info@mijnbakkerij.nl", policy, ALLOWED)
    assert untouched == Rewritten(INVOICE, "info@mijnbakkerij.nl")


@pytest.mark.parametrize(
    ("author", "sender", "changes"),
    [
        (b"info@mijnbakkerij.nl", "info@mijnbakkerij.nl", ()),
        (b"INFO@MijnBakkerij.NL", "x@mijnbakkerij.nl", ()),
        (b"info@mijnbakkerij.nl", "scan@kassa.local", (Change.REVERSE_PATH,)),
        (b"scan@kassa.local", "info@mijnbakkerij.nl", (Change.FROM, Change.REPLY_TO)),
        (b"scan@kassa.local", None, (Change.FROM, Change.REPLY_TO)),
        (b"a@mijnbakkerij.nl, b@evil.com", None, (Change.FROM, Change.REPLY_TO)),
        (b"a@mijnbakkerij.nl <b@evil.com>", None, (Change.FROM, Change.REPLY_TO)),
        (b"b@evil.com (a@mijnbakkerij.nl)", None, (Change.FROM, Change.REPLY_TO)),
        (b"Kassa", None, (Change.FROM,)),
        (b"", None, (Change.FROM,)),
    ],
)
def test_rewrite_changes_only_what_is_not_allowed(
    author: bytes, sender: str | None, changes: tuple[Change, ...]
) -> None:
    header = b"From: " + author + b"\r\nTo: x@y.nl\r\n"
    changed = apply(header, sender, REWRITE, ALLOWED)
    assert changed.changes == changes
    assert changed.reverse_path == (OURS if Change.REVERSE_PATH in changes else sender)


def test_null_reverse_path_stays_null() -> None:
    assert apply(INVOICE, None, FORCE, ()).reverse_path is None


def test_every_from_is_replaced_and_kept_in_sight() -> None:
    header = b"From: info@mijnbakkerij.nl\r\nTo: x@y.nl\r\nFROM: b@evil.com\r\n"
    changed = apply(header, None, REWRITE, ALLOWED).header
    assert changed == (
        b"From: mijnbakkerij@ziggo.nl\r\n"
        b"Reply-To: info@mijnbakkerij.nl\r\n"
        b"X-Original-From: info@mijnbakkerij.nl\r\n"
        b"X-Original-From: b@evil.com\r\n"
        b"To: x@y.nl\r\n"
    )


def test_missing_from_is_added() -> None:
    changed = apply(b"To: x@y.nl\r\n", None, FORCE, ())
    assert changed.header == b"From: mijnbakkerij@ziggo.nl\r\nTo: x@y.nl\r\n"


@pytest.mark.parametrize(
    ("policy", "author", "sender", "left", "change"),
    [
        (FORCE, b"a@mijnbakkerij.nl", b"pc@kassa.local", [], Change.SENDER_REMOVED),
        (FORCE, b"a@mijnbakkerij.nl", OURS.encode(), [OURS.encode()], None),
        (REWRITE, b"a@mijnbakkerij.nl", b"b@mijnbakkerij.nl", [b"b@mijnbakkerij.nl"], None),
        (REWRITE, b"a@mijnbakkerij.nl", b"pc@kassa.local", [], Change.SENDER_REMOVED),
        (
            REWRITE,
            b"a@mijnbakkerij.nl, b@mijnbakkerij.nl",
            b"pc@kassa.local",
            [OURS.encode()],
            Change.SENDER_REPLACED,
        ),
    ],
)
def test_sender_field(
    policy: SenderPolicy, author: bytes, sender: bytes, left: list[bytes], change: Change | None
) -> None:
    header = b"From: " + author + b"\r\nSender: " + sender + b"\r\n"
    changed = apply(header, OURS, policy, ALLOWED)
    assert [field.value for field in headers.named(changed.header, b"Sender")] == left
    assert (change in changed.changes) is (change is not None)


TOUCHED = {b"from", b"sender", b"reply-to", b"x-original-from"}
FIELDS = st.lists(
    st.one_of(
        st.sampled_from(
            [
                b"From: Jan <jan@evil.com>\r\n",
                b"from : a@mijnbakkerij.nl,\r\n b@c.nl\r\n",
                b"Sender: jan@evil.com\r\n",
                b"Reply-To: r@x.nl\r\n",
                b"To: \xe9 <x@y.nl>\r\n\t(b)\r\n",
                b"Subject :  =?utf-8?q?x?= \r\n",
                b"X-Bare: \n From: q@r.nl\r\n",
            ]
        ),
        st.binary(max_size=30).map(lambda value: b"From: " + value.replace(b"\r\n", b"") + b"\r\n"),
    ),
    max_size=8,
).map(b"".join)


@given(
    FIELDS,
    st.sampled_from([KEEP, REWRITE, FORCE]),
    st.sampled_from([None, "a@mijnbakkerij.nl", "x@evil.com"]),
)
def test_other_fields_stay_and_a_second_time_changes_nothing(
    header: bytes, policy: SenderPolicy, reverse_path: str | None
) -> None:
    once = apply(header, reverse_path, policy, ALLOWED)

    def others(block: bytes) -> list[bytes]:
        return [f.raw for f in headers.fields(block) if f.name.lower() not in TOUCHED]

    assert others(once.header) == others(header)
    assert headers.named(once.header, b"Reply-To")[:0] == []
    again = apply(once.header, once.reverse_path, policy, ALLOWED)
    assert again == Rewritten(once.header, once.reverse_path)
    if policy is not KEEP:
        shown = [a for f in headers.named(once.header, b"From") for a in addresses(f.value)]
        assert shown
        assert all(any(matches(pattern, a) for pattern in ALLOWED) for a in shown)
