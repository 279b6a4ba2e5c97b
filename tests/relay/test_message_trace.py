"""The Received field that is added, and those that are counted."""

from __future__ import annotations

from datetime import UTC, datetime
from email import message_from_bytes, policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.message import headers
from relay.message.trace import Arrival, hops, own_hops, protocol_name, received

AT = datetime(2026, 11, 21, 18, 5, 9, tzinfo=UTC)


def arrival(helo: str = "kassa", address: str = "192.168.1.20") -> Arrival:
    return Arrival(helo, address, "relay.mijnbakkerij.nl", "ESMTP", "8f3a", AT)


def test_received() -> None:
    assert received(arrival()) == (
        b"Received: from kassa ([192.168.1.20]) by relay.mijnbakkerij.nl with ESMTP id\r\n"
        b" 8f3a; Sat, 21 Nov 2026 18:05:09 +0000\r\n"
    )


@pytest.mark.parametrize(
    ("helo", "address", "shown"),
    [
        ("", "10.0.0.1", b"from [10.0.0.1] ([10.0.0.1]) by "),
        ("[10.0.0.9]", "10.0.0.1", b"from [10.0.0.9] ([10.0.0.1]) by "),
        ("pc", "2001:db8::1", b"from pc ([IPv6:2001:db8::1]) by "),
        ("pc", "fe80::1%eth0", b"from pc ([IPv6:fe80::1]) by "),
        ("pc", "::ffff:10.0.0.1", b"from pc ([10.0.0.1]) by "),
        ("pc van jan", "10.0.0.1", b"from pc?van?jan ([10.0.0.1]) by "),
        ("x\r\nBcc: y", "10.0.0.1", b"from x??Bcc:?y ([10.0.0.1]) by "),
        ("jos\xe9(x", "10.0.0.1", b"from jos??x ([10.0.0.1]) by "),
        ("pc", "no address)", b"from pc ([no?address?]) by "),
    ],
)
def test_names_are_made_harmless(helo: str, address: str, shown: bytes) -> None:
    (field,) = headers.fields(received(arrival(helo, address)))
    assert field.value.startswith(shown)


@given(st.text(max_size=300), st.text(max_size=60), st.text(max_size=80))
def test_any_names_make_one_short_ascii_field(helo: str, address: str, hostname: str) -> None:
    built = received(Arrival(helo, address, hostname, "ESMTPS", "id", AT))
    assert len(list(headers.fields(built))) == 1
    for line in built.removesuffix(b"\r\n").split(b"\r\n"):
        assert line.isascii()
        assert line.decode().isprintable()
        assert len(line) <= 160
    parsed = message_from_bytes(built + b"\r\n", policy=policy.default)
    assert parsed.keys() == ["Received"]


def test_lines_stay_under_78() -> None:
    longest = Arrival("h" * 300, "2001:db8:1:2:3:4:5:6", "r" * 50 + ".nl", "ESMTPSA", "i" * 40, AT)
    assert max(len(line) for line in received(longest).split(b"\r\n")) < 80


@pytest.mark.parametrize(
    ("extended", "tls", "login", "smtputf8", "name"),
    [
        (False, False, False, False, "SMTP"),
        (True, False, False, False, "ESMTP"),
        (True, True, False, False, "ESMTPS"),
        (True, False, True, False, "ESMTPA"),
        (True, True, True, False, "ESMTPSA"),
        (True, True, True, True, "UTF8SMTPSA"),
    ],
)
def test_protocol_name(extended: bool, tls: bool, login: bool, smtputf8: bool, name: str) -> None:
    assert protocol_name(extended=extended, tls=tls, login=login, smtputf8=smtputf8) == name


def test_hops_are_counted() -> None:
    header = (
        received(arrival())
        + b"received: from a by RELAY.mijnbakkerij.nl with SMTP; x\r\n"
        + b"Received: from relay.mijnbakkerij.nl\r\n\tby relay.mijnbakkerij.nl.evil.com; x\r\n"
        + b"Received: from x by notrelay.mijnbakkerij.nl; x\r\n"
        + b"Received: by\r\n\trelay.mijnbakkerij.nl; x\r\n"
        + b"X-Received: by relay.mijnbakkerij.nl; x\r\n"
    )
    assert hops(header) == 5
    assert own_hops(header, "relay.mijnbakkerij.nl") == 3


@given(st.binary(max_size=200))
def test_counting_never_raises(header: bytes) -> None:
    assert own_hops(header, "relay.nl") <= hops(header)
