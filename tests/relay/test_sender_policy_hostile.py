"""The sender policy over headers as odd programs and odd people write them."""

import pytest

from relay.config.model import PolicyKind, SenderPolicy
from relay.message import headers
from relay.message.address_list import addresses
from relay.message.policy import Change, apply

OURS = "bakker@ziggo.nl"
FORCE = SenderPolicy(PolicyKind.FORCE, OURS)
REWRITE = SenderPolicy(PolicyKind.REWRITE, OURS)
ALLOWED = ("*@mijnbakkerij.nl",)


def shown(header: bytes, name: bytes) -> list[bytes]:
    return [field.value for field in headers.named(header, name)]


def authors(header: bytes) -> list[str]:
    return [each for value in shown(header, b"From") for each in addresses(value)]


@pytest.mark.parametrize("policy", [FORCE, REWRITE])
@pytest.mark.parametrize(
    ("author", "left", "answers_to"),
    [
        # A group, empty or not: nobody in it may stay.
        (b"Undisclosed:;", b"bakker@ziggo.nl", None),
        (b"Kantoor: a@x.nl, b@x.nl;", b"bakker@ziggo.nl", ["a@x.nl", "b@x.nl"]),
        # Encoded words are a name, whatever they would decode to.
        (
            b"=?utf-8?q?info=40mijnbakkerij.nl?= <b@evil.com>",
            b"=?utf-8?q?info=40mijnbakkerij.nl?= <bakker@ziggo.nl>",
            ["b@evil.com"],
        ),
        # One encoded word that holds the whole address is no address.
        (b"=?utf-8?q?info=40mijnbakkerij.nl?=", b"bakker@ziggo.nl", None),
        (b"=?utf-8?b?PGFAbWlqbmJha2tlcmlqLm5sPg==?=", b"bakker@ziggo.nl", None),
        # Folded in the middle, with comments everywhere.
        (
            b'"Bakkerij,\r\n\tMijn"\r\n (kassa) <(x)b@evil.com\r\n (y)>',
            b'"Bakkerij, Mijn" <bakker@ziggo.nl>',
            ["b@evil.com"],
        ),
        (b"b@evil.com (info@mijnbakkerij.nl)", b"bakker@ziggo.nl (info@mijnbakkerij.nl)", None),
        # A name that is an address of the office, a quote that never ends, a route.
        (b"info@mijnbakkerij.nl <b@evil.com>", b'"info@mijnbakkerij.nl" <bakker@ziggo.nl>', None),
        (b'"a@mijnbakkerij.nl <b@evil.com>', None, None),
        (b"<@mijnbakkerij.nl:b@evil.com>", b"bakker@ziggo.nl", ["b@evil.com"]),
        (b"b@evil.com, a@mijnbakkerij.nl", b"bakker@ziggo.nl", None),
        # Raw UTF-8 (RFC 6532), and bytes that are no text at all.
        ("Zoë <zoë@bücher.example>".encode(), "Zoë <bakker@ziggo.nl>".encode(), None),
        (b"\xff\xfe <b@evil.com>", b"\xff\xfe <bakker@ziggo.nl>", ["b@evil.com"]),
        (b"", b"bakker@ziggo.nl", None),
        (b"Kassa 3", b"bakker@ziggo.nl", None),
        (b"@", b"bakker@ziggo.nl", None),
    ],
)
def test_no_author_but_ours_is_left(
    policy: SenderPolicy, author: bytes, left: bytes | None, answers_to: list[str] | None
) -> None:
    header = b"To: x@y.nl\r\nFrom: " + author + b"\r\nSubject: s\r\n"
    changed = apply(header, "b@evil.com", policy, ALLOWED)
    assert authors(changed.header) == [OURS]
    assert left is None or shown(changed.header, b"From") == [left]
    assert changed.reverse_path == OURS
    # The original stands there byte for byte, folding included.
    assert b"\r\nX-Original-From: " + author + b"\r\n" in changed.header
    if answers_to is not None:
        assert [a for v in shown(changed.header, b"Reply-To") for a in addresses(v)] == answers_to
    assert headers.split(changed.header + b"\r\nbody")[0] == changed.header
    assert changed.header.endswith(b"\r\nSubject: s\r\n")


def test_of_several_from_fields_the_first_readable_one_gets_the_answers() -> None:
    header = b"From: Kassa\r\nTo: x@y.nl\r\nfrom : Jan <jan@evil.com>\r\nFROM: c@d.nl\r\n"
    changed = apply(header, None, FORCE, ())
    assert changed.header == (
        b"From: Jan <bakker@ziggo.nl>\r\n"
        b"Reply-To: Jan <jan@evil.com>\r\n"
        b"X-Original-From: Kassa\r\n"
        b"X-Original-From: Jan <jan@evil.com>\r\n"
        b"X-Original-From: c@d.nl\r\n"
        b"To: x@y.nl\r\n"
    )


@pytest.mark.parametrize("empty", [b"", b" ", b"\r\n ", b"geen-adres", b"Niemand:;", b"<>"])
def test_a_reply_to_that_leads_nowhere_gives_way(empty: bytes) -> None:
    header = b"From: a@b.nl\r\nReply-To:" + empty + b"\r\nTo: x@y.nl\r\n"
    changed = apply(header, "a@b.nl", FORCE, ())
    assert shown(changed.header, b"Reply-To") == [b"a@b.nl"]
    assert Change.REPLY_TO in changed.changes


def test_fields_that_others_wrote_stay() -> None:
    theirs = (
        b"X-Original-From: iemand@elders.nl\r\n"
        b"Reply-To: =?utf-8?q?Boekhouding?= <boek@mijnbakkerij.nl>\r\n"
        b"Resent-From: a@evil.com\r\n"
        b"Resent-Sender: b@evil.com\r\n"
        b"Resent-Reply-To: c@evil.com\r\n"
        b"Errors-To: d@evil.com\r\n"
        b"X-From: e@evil.com\r\n"
    )
    changed = apply(b"From: a@b.nl\r\n" + theirs, "a@b.nl", FORCE, ())
    assert changed.header == b"From: bakker@ziggo.nl\r\nX-Original-From: a@b.nl\r\n" + theirs
    assert Change.REPLY_TO not in changed.changes


@pytest.mark.parametrize(
    "senders",
    [
        b"Sender: pc@kassa.local\r\n",
        b"Sender: bakker@ziggo.nl\r\nSender: pc@kassa.local\r\n",
        b"Sender: rommel\r\n",
        b"sender :\r\n",
    ],
)
def test_a_sender_that_the_account_may_not_be_goes(senders: bytes) -> None:
    changed = apply(senders + b"From: a@b.nl\r\n", None, FORCE, ())
    assert shown(changed.header, b"Sender") == []


def test_a_null_reverse_path_stays_null_and_the_from_is_rewritten() -> None:
    changed = apply(b"From: a@b.nl\r\n", None, REWRITE, ALLOWED)
    assert changed.reverse_path is None
    assert authors(changed.header) == [OURS]


@pytest.mark.parametrize("address", ["bakker@ziggo.nl", "Bakker@ZIGGO.nl"])
def test_the_address_to_send_as_is_allowed_unsaid(address: str) -> None:
    header = b"From: Bakker <" + address.encode() + b">\r\n"
    for policy in (REWRITE, FORCE):
        changed = apply(header, address, policy, ALLOWED)
        assert (changed.header, changed.reverse_path, changed.changes) == (header, address, ())


def test_an_internationalised_sender_is_rewritten_in_the_envelope_too() -> None:
    changed = apply("From: zoë@bücher.example\r\n".encode(), "zoë@bücher.example", REWRITE, ALLOWED)
    assert changed.reverse_path == OURS
    assert shown(changed.header, b"Reply-To") == ["zoë@bücher.example".encode()]
    same = apply(
        "From: zoë@bücher.example\r\n".encode(),
        "zoë@bücher.example",
        REWRITE,
        ("*@BÜCHER.example",),
    )
    assert same.changes == ()


def test_a_long_hostile_name_makes_no_second_field() -> None:
    name = b'"' + b"x" * 5000 + b"\x00\x0bBcc: y@z.nl" + b'"'
    changed = apply(b"From: " + name + b" <b@evil.com>\r\n", None, FORCE, ())
    (author,) = headers.named(changed.header, b"From")
    assert all(len(line) < 998 for line in author.raw.split(b"\r\n"))
    assert headers.named(changed.header, b"Bcc") == []
    assert authors(changed.header) == [OURS]
