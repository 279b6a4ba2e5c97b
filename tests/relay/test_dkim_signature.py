"""The DKIM-Signature that the relay writes, verified by Mail::DKIM with the key from DNS."""

import base64
import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from dkim.canonicalization import Relaxed
from fakes.mail_dkim import publish, verdicts
from fakes.nameserver import NameServer
from fakes.peers import needs
from hypothesis import given
from hypothesis import strategies as st

from relay.config.model import Dkim, PolicyKind, SecretRef, SenderPolicy
from relay.message import headers
from relay.message.dkim import BodyHash, Signer, author_domain, key_for, sign
from relay.message.dkim_record import new_key, record_of
from relay.message.policy import apply
from relay.smarthost.wire import DotStuffer

AT = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
KEY, _ = new_key()
SIGNER = Signer("bakkerij.nl", "relay", KEY)
HEADER = (
    b"Received: from kassa by relay.test; Mon, 02 Nov 2026 10:00:00 +0100\r\n"
    b"From: De Bakkerij <info@bakkerij.nl>\r\n"
    b"To: klant@example.net\r\n"
    b"Subject: Factuur 1\r\n"
    b"Date: Mon, 02 Nov 2026 10:00:00 +0100\r\n"
    b"Message-ID: <1@bakkerij.nl>\r\n"
    b"MIME-Version: 1.0\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n"
    b"Content-Transfer-Encoding: 8bit\r\n"
)


@pytest.fixture(scope="module")
def server() -> Iterator[NameServer]:
    with NameServer() as running:
        record = record_of("bakkerij.nl", "relay", KEY)
        publish(running, record.name, record.value)
        yield running


def hash_of(body: bytes, *cuts: int) -> bytes:
    body_hash = BodyHash()
    for start, end in zip((0, *cuts), (*cuts, len(body)), strict=True):
        body_hash.feed(body[start:end])
    return body_hash.digest()


def on_the_wire(message: bytes) -> bytes:
    """As the server has it after the final dot: a last line gets its end."""
    stuffer = DotStuffer()
    stuffer.feed(message)
    return message + stuffer.end().removesuffix(b".\r\n")


def signed(header: bytes, body: bytes, separator: bytes = b"\r\n") -> bytes:
    return on_the_wire(sign(header, hash_of(body), SIGNER, AT) + header + separator + body)


def tags(message: bytes) -> dict[str, str]:
    field = headers.first(headers.split(message)[0], b"DKIM-Signature")
    assert field is not None
    pairs = (part.split("=", 1) for part in field.value.decode().split(";"))
    return {name.strip(): re.sub(r"\s", "", value) for name, value in pairs}


def edited(old: bytes, new: bytes) -> bytes:
    assert HEADER.count(old) == 1
    return HEADER.replace(old, new)


MESSAGES = {
    "plain": (HEADER, b"Hallo.\r\n"),
    "folded": (
        edited(
            b"Subject: Factuur 1\r\n", b"Subject: een\r\n\tlang  \t onderwerp\r\n   in delen \r\n"
        ),
        b"Hallo.\r\n",
    ),
    "duplicates": (
        edited(b"Subject: Factuur 1\r\n", b"Subject: een\r\nto: b@c.nl\r\nSUBJECT: twee\r\n"),
        b"Hallo.\r\n",
    ),
    "two From": (edited(b"To:", b"From: <baas@bakkerij.nl>\r\nTo:"), b"Hallo.\r\n"),
    "empty value": (edited(b"Subject: Factuur 1", b"Subject:"), b"Hallo.\r\n"),
    "no To, no Subject": (
        HEADER.replace(b"To: klant@example.net\r\n", b"").replace(b"Subject: Factuur 1\r\n", b""),
        b"Hallo.\r\n",
    ),
    "8-bit header": (edited(b"Factuur", "Facturé €".encode()), "Één café.\r\n".encode()),
    "Latin-1": (edited(b"Factuur", b"Factur\xe9"), b"Caf\xe9 \xa0 \x80\r\n"),
    "trailing blank lines": (HEADER, b"Hallo.\r\n\r\n \t\r\n\r\n"),
    "only blank lines": (HEADER, b"\r\n\r\n"),
    "empty body": (HEADER, b""),
    "blanks at line ends": (HEADER, b"een \t \r\n  twee\t\tdrie \r\n"),
    "no final CRLF": (HEADER, b"Hallo. \t"),
    "one blank": (HEADER, b" "),
    "dots": (HEADER, b".\r\n..\r\n.x\r\n"),
    "long lines": (HEADER, b"x" * 5000 + b" " * 3000 + b"y" * 70_000 + b"\r\n"),
    "a long Subject": (edited(b"Factuur 1", b"woord " * 300), b"Hallo.\r\n"),
    "signed before": (
        b"DKIM-Signature: v=1; a=rsa-sha256; d=elders.nl; s=x; h=from; bh=AAAA; b=BBBB\r\n"
        + HEADER,
        b"Hallo.\r\n",
    ),
    "resent and listed": (
        b"Resent-From: a@b.nl\r\nList-Unsubscribe: <https://bakkerij.nl/>\r\n" + HEADER,
        b"Hallo.\r\n",
    ),
}


@needs("mail-dkim")
@pytest.mark.parametrize("name", MESSAGES)
def test_another_verifier_agrees(server: NameServer, name: str) -> None:
    verdict = verdicts(signed(*MESSAGES[name]), server)[0]
    assert (verdict.result, verdict.domain) == ("pass", "bakkerij.nl"), verdict.detail


@needs("mail-dkim")
def test_without_an_empty_line_nor_any_body(server: NameServer) -> None:
    assert verdicts(signed(HEADER, b"", b""), server)[0].result == "pass"


@needs("mail-dkim")
@pytest.mark.parametrize(
    "change",
    [
        lambda message: b"From: baas@bakkerij.nl\r\n" + message,
        lambda message: b"Subject: Betaal dit\r\n" + message,
        lambda message: b"Reply-To: dief@example.org\r\n" + message,
        lambda message: b"Content-Type: text/html\r\n" + message,
        lambda message: message.replace(b"Factuur 1", b"Factuur 2"),
        lambda message: message.replace(b"Hallo.", b"Hallo!"),
        lambda message: message + b"Meer.\r\n",
    ],
    ids=["From", "Subject", "Reply-To", "Content-Type", "changed", "body", "appended"],
)
def test_nothing_can_be_changed_or_added(server: NameServer, change: object) -> None:
    assert callable(change)
    assert verdicts(change(signed(*MESSAGES["plain"])), server)[0].result == "fail"


@needs("mail-dkim")
def test_what_servers_on_the_way_do_is_borne(server: NameServer) -> None:
    message = signed(*MESSAGES["folded"])
    message = b"Received: by mail.example.net\r\nReturn-Path: <x@y>\r\n" + message
    message = message.replace(b"Hallo.\r\n", b"Hallo. \r\n\r\n")
    assert verdicts(message, server)[0].result == "pass"


@needs("mail-dkim")
def test_after_the_sender_policy(server: NameServer) -> None:
    header = edited(b"info@bakkerij.nl", b"kassa@winkel.local")
    policy = SenderPolicy(PolicyKind.REWRITE, "info@bakkerij.nl")
    rewritten = apply(header, "kassa@winkel.local", policy, ("*@bakkerij.nl",)).header
    assert author_domain(rewritten) == "bakkerij.nl"
    assert verdicts(signed(rewritten, b"Hallo.\r\n"), server)[0].result == "pass"


def test_the_tags() -> None:
    found = tags(signed(*MESSAGES["plain"]))
    assert found["a"] == "rsa-sha256"
    assert found["c"] == "relaxed/relaxed"
    assert (found["d"], found["s"], found["t"]) == ("bakkerij.nl", "relay", "1793610000")
    assert found["bh"] == base64.b64encode(hashlib.sha256(b"Hallo.\r\n").digest()).decode()
    assert not {"l", "x"} & found.keys()
    names = found["h"].split(":")
    assert {name: names.count(name) for name in ("from", "to", "cc", "subject", "date")} == {
        "from": 2,
        "to": 2,
        "cc": 1,
        "subject": 2,
        "date": 2,
    }
    assert not {"received", "return-path", "bcc", "dkim-signature"} & set(names)


def test_every_line_is_short_and_long_names_are_no_exception() -> None:
    long = Signer(f"{'a' * 63}.{'b' * 63}.nl", "s" * 63, KEY)
    field = sign(HEADER, hash_of(b""), long, AT)
    assert all(len(line) <= 78 for line in field.split(b"\r\n"))
    assert field.endswith(b"\r\n")
    assert len(list(headers.fields(field))) == 1


PIECES = st.lists(st.sampled_from([b"a", b" ", b"\t", b"\r\n", b"  ", b"\r\n\r\n", b"b c"])).map(
    b"".join
)


@given(body=PIECES, data=st.data())
def test_the_hash_does_not_depend_on_the_cuts(body: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=5)))
    whole = body if not body or body.endswith(b"\r\n") else body + b"\r\n"
    expected = Relaxed.canonicalize_body(whole) if whole else b""
    assert hash_of(body, *cuts) == hashlib.sha256(expected).digest()


@given(body=st.binary(max_size=60), cut=st.integers(0, 60))
def test_any_bytes_can_be_hashed_in_any_pieces(body: bytes, cut: int) -> None:
    assert hash_of(body, min(cut, len(body))) == hash_of(body)


@pytest.mark.parametrize(
    ("value", "domain"),
    [
        ("info@Bakkerij.NL", "bakkerij.nl"),
        ('"a@b.nl" <info@bakkerij.nl>', "bakkerij.nl"),
        ("a@een.nl, b@twee.nl", "een.nl"),
        ("info@bücher.example", "xn--bcher-kva.example"),
        ("kassa", None),
        ("", None),
    ],
)
def test_the_domain_of_the_author(value: str, domain: str | None) -> None:
    assert author_domain(b"To: x@y.nl\r\nFrom: " + value.encode() + b"\r\n") == domain


def test_no_author_no_domain() -> None:
    assert author_domain(b"Subject: x\r\n") is None


@pytest.mark.parametrize(
    ("domain", "found"),
    [
        ("bakkerij.nl", "bakkerij.nl"),
        ("post.bakkerij.nl", "post.bakkerij.nl"),
        ("a.post.bakkerij.nl", "post.bakkerij.nl"),
        ("winkel.bakkerij.nl", "bakkerij.nl"),
        ("nepbakkerij.nl", None),
        ("nl", None),
        (None, None),
    ],
)
def test_the_key_of_the_domain_or_the_nearest_above(domain: str | None, found: str | None) -> None:
    keys = [Dkim(each, "s", SecretRef("env", "K")) for each in ("bakkerij.nl", "post.bakkerij.nl")]
    entry = key_for(domain, keys)
    assert (entry.domain if entry else None) == found
