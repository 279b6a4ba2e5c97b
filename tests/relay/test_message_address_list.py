"""The addresses of a From value, as the sender policy must see them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.message.address_list import addresses, with_address


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (b"jan@x.nl", ["jan@x.nl"]),
        (b"<jan@x.nl>", ["jan@x.nl"]),
        (b"Jan de Boer <jan@x.nl>", ["jan@x.nl"]),
        (b'"Boer, Jan" <jan@x.nl>', ["jan@x.nl"]),
        (b'"baas@bank.nl" <jan@x.nl>', ["jan@x.nl"]),
        (b"baas@bank.nl <jan@x.nl>", ["jan@x.nl"]),
        (b"jan@x.nl (Jan (de) Boer, x@y.nl)", ["jan@x.nl"]),
        (b"(a) jan (b) @ (c) x.nl", ["jan@x.nl"]),
        (b"jan@x.nl, piet@y.nl", ["jan@x.nl", "piet@y.nl"]),
        (b"jan@x.nl,\r\n\t<piet@y.nl>", ["jan@x.nl", "piet@y.nl"]),
        (b"Team: jan@x.nl, Piet <piet@y.nl>;, c@z.nl", ["jan@x.nl", "piet@y.nl", "c@z.nl"]),
        (b"undisclosed-recipients:;", []),
        (b"<@hop.nl,@b.nl:jan@x.nl>", ["jan@x.nl"]),
        (b"<jan@x.nl> <piet@y.nl>", ["jan@x.nl", "piet@y.nl"]),
        (b"<jan@x.nl, piet@y.nl>", ["jan@x.nl", "piet@y.nl"]),
        (b'"jan de"@x.nl', ['"jan de"@x.nl']),
        (b'"a\\"b"@x.nl', ['"a\\"b"@x.nl']),
        (b"jan@[IPv6:::1]", ["jan@[IPv6:::1]"]),
        (b"=?utf-8?q?Bakkerij_Jans=C3=A9n?= <jan@x.nl>", ["jan@x.nl"]),
        (b"a@=?utf-8?q?evil.com?=", ["a@=?utf-8?q?evil.com?="]),
        ("José <josé@x.nl>".encode(), ["josé@x.nl"]),
        (b"jos\xe9@x.nl", ["jos\ufffd@x.nl"]),
        (b"Jan <jan@x.nl", ["jan@x.nl"]),
        (b'"Jan <jan@x.nl>', ["jan@x.nl"]),
        (b'"Jan <jan@x.nl> piet@y.nl', ["jan@x.nl"]),
        (b'piet@y.nl, "Jan <jan@x.nl>', ["piet@y.nl", "jan@x.nl"]),
        (b"(Jan <jan@x.nl>", ["jan@x.nl"]),
        (b"[Jan <jan@x.nl> piet@y.nl", ["jan@x.nl"]),
        (b"Jan", []),
        (b"", []),
        (b"<>", []),
        (b",,;:", []),
    ],
)
def test_addresses(value: bytes, found: list[str]) -> None:
    assert addresses(value) == found


@pytest.mark.parametrize(
    ("value", "changed"),
    [
        (b"jan@x.nl", b"n@isp.nl"),
        (b"<jan@x.nl>", b"n@isp.nl"),
        (b"Jan de Boer <jan@x.nl>", b"Jan de Boer <n@isp.nl>"),
        (b"J. de Boer <jan@x.nl>", b"J. de Boer <n@isp.nl>"),
        (b'"Boer, \\"Jan\\""  <jan@x.nl>', b'"Boer, \\"Jan\\"" <n@isp.nl>'),
        (b"=?utf-8?q?Jans=C3=A9n?= <jan@x.nl>", b"=?utf-8?q?Jans=C3=A9n?= <n@isp.nl>"),
        (b"Bakkerij Jans\xe9n <jan@x.nl>", b"Bakkerij Jans\xe9n <n@isp.nl>"),
        (b"jan@x.nl (Bakkerij)", b"n@isp.nl (Bakkerij)"),
        (b"jan@x.nl <jan@x.nl>", b'"jan@x.nl" <n@isp.nl>'),
        (b'x"y\\ <jan@x.nl>', b'"xy" <n@isp.nl>'),
        (b"a\\b <jan@x.nl>", b'"ab" <n@isp.nl>'),
        (b"Jan <jan@x.nl>, Piet <piet@y.nl>", b"Jan <n@isp.nl>"),
        (b"Team: Jan <jan@x.nl>;", b"Jan <n@isp.nl>"),
        (b"Jan\r\n\tBoer <jan@x.nl>", b"Jan Boer <n@isp.nl>"),
        (b"nobody", b"n@isp.nl"),
        (b"", b"n@isp.nl"),
    ],
)
def test_other_address_under_the_same_name(value: bytes, changed: bytes) -> None:
    assert with_address(value, "n@isp.nl") == changed


@given(
    st.one_of(
        st.binary(max_size=80),
        st.text(st.sampled_from('ab@.<>"\\ ,;:()[]\r\n\t=?é'), max_size=60).map(str.encode),
    )
)
def test_changed_value_holds_that_one_address(value: bytes) -> None:
    addresses(value)
    changed = with_address(value, "n@isp.nl")
    assert addresses(changed) == ["n@isp.nl"]
    assert b"\r" not in changed
    assert b"\n" not in changed


def test_hostile_values_are_read_in_one_pass() -> None:
    assert addresses(b'"a\\' * 100_000 + b"<jan@x.nl>") == ["jan@x.nl"]
    assert addresses(b"(" * 100_000 + b"jan@x.nl") == ["jan@x.nl"]
    assert addresses(b"(" * 50_000 + b")" * 50_000 + b"jan@x.nl") == ["jan@x.nl"]
