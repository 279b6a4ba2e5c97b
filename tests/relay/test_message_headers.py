"""The header block: where it ends, what its fields are, how one is edited."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.message import headers
from relay.message.headers import Field

MESSAGES = st.one_of(
    st.binary(max_size=200),
    st.lists(
        st.sampled_from(
            [
                b"From: a@b\r\n",
                b"\r\n",
                b" x\r\n",
                b"\tx",
                b"Subject",
                b": ",
                b"\r",
                b"\n",
                b"\x00\xe9",
            ]
        ),
        max_size=12,
    ).map(b"".join),
)


@pytest.mark.parametrize(
    ("header", "rest"),
    [
        (b"From: a@b.nl\r\nSubject: x\r\n", b"\r\nbody\r\n"),
        (b"Subject: a\r\n  folded\r\n\tagain\r\nTo: x\r\n", b"\r\nbody\r\n"),
        (b"Subject : old\r\n", b"\r\n"),
        (b"X-Empty:\r\n \r\n", b"\r\n"),
        (b"From: a@b.nl\r\n", b""),
        (b"From: cut off", b""),
        (b"From: a@b.nl\r\n", b"Hello, no empty line\r\n\r\nmore\r\n"),
        (b"", b"\r\nFrom: below the empty line\r\n"),
        (b"", b"Hello: no\xe9 wait\r\n".replace(b"Hello:", b"Hello dear:")),
        (b"", b" From: begins with a blank\r\n"),
        (b"", b"From jan@x.nl Mon Jan  1 10:00:00\r\nTo: y\r\n"),
        (b"", b": no name\r\n"),
        (b"", b""),
        (b"A: bare \n and \r stay\r\n", b"\r\nB\n"),
    ],
)
def test_split(header: bytes, rest: bytes) -> None:
    assert headers.split(header + rest) == (header, rest)


@given(MESSAGES)
def test_halves_are_the_message(message: bytes) -> None:
    header, rest = headers.split(message)
    assert header + rest == message
    assert headers.split(header) == (header, b"")
    assert all(field.name for field in headers.fields(header))


@given(MESSAGES)
def test_fields_are_the_header(header: bytes) -> None:
    found = list(headers.fields(header))
    assert b"".join(field.raw for field in found) == header
    for field in found:
        assert b"\r\n" not in field.value
        assert field.renamed(b"X").startswith(b"X:")


@given(MESSAGES, st.sampled_from([b"From", b"subject", b""]))
def test_editing_touches_only_that_field(header: bytes, name: bytes) -> None:
    others = [f.raw for f in headers.fields(header) if f.name.lower() != name.lower()]
    removed = headers.remove(header, name)
    assert removed == b"".join(others)
    replaced = headers.replace(header, name, b"X-New: 1\r\n")
    before, _, after = replaced.partition(b"X-New: 1\r\n")
    assert before + after == removed


def test_names_ignore_case_and_blanks() -> None:
    header = b"FROM : a@b.nl\r\nfrom: c@d.nl\r\n"
    assert headers.first(header, b"From") == Field(b"FROM", b"FROM : a@b.nl\r\n")
    assert [field.value for field in headers.named(header, b"from")] == [b"a@b.nl", b"c@d.nl"]
    assert headers.first(header, b"To") is None


def test_value_is_unfolded() -> None:
    (field,) = headers.fields(b"Subject:  een\r\n twee\r\n\tdrie \r\n")
    assert field.value == b"een twee\tdrie"


def test_replace_keeps_the_place() -> None:
    header = b"A: 1\r\nB: 2\r\n 3\r\nC: 4\r\nb: 5\r\n"
    assert headers.replace(header, b"B", b"B: new\r\n") == b"A: 1\r\nB: new\r\nC: 4\r\n"
    assert headers.replace(header, b"D", b"D: new\r\n") == b"D: new\r\n" + header


@given(st.binary(max_size=300), st.integers(0, 3000))
def test_own_field_is_one_field_of_short_lines(value: bytes, run: int) -> None:
    built = headers.build(b"X-Test", value + b"w" * run)
    assert len(list(headers.fields(built))) == 1
    assert headers.split(built + b"\r\n") == (built, b"\r\n")
    lines = built.split(b"\r\n")
    assert lines.pop() == b""
    assert all(len(line) <= 998 and line.strip() for line in lines)
    assert not any(byte in built.replace(b"\r\n", b"") for byte in b"\r\n\x00\x7f")


@given(st.lists(st.text(st.sampled_from('ab"\\ @.'), min_size=1, max_size=50), max_size=20))
def test_folding_loses_nothing(words: list[str]) -> None:
    value = " ".join(words).strip().encode()
    built = headers.build(b"From", value)
    (field,) = headers.fields(built)
    assert field.value == value


def test_lines_fold_at_78() -> None:
    built = headers.build(b"Received", b"word " * 60)
    assert max(len(line) for line in built.split(b"\r\n")) <= 78
