"""The transparency of dots (RFC 5321 section 4.5.2), wherever the message is cut."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.smarthost.wire import DotStuffer


def stuffed(pieces: list[bytes]) -> bytes:
    stuffer = DotStuffer()
    return b"".join(map(stuffer.feed, pieces)) + stuffer.end()


def reference(message: bytes) -> bytes:
    lines = re.split(rb"(?<=\r\n)", message)
    body = b"".join(b"." + line if line.startswith(b".") else line for line in lines)
    return body + (b".\r\n" if message.endswith(b"\r\n") or not message else b"\r\n.\r\n")


MESSAGES = [
    b"",
    b".",
    b".\r\n",
    b"..\r\n.\r\n",
    b"a\r\n.b\r\n..c\r\n.\r\n",
    b"a\r\n\r\n.\r\n\r\n",
    b"no end",
    b"\r\n.",
    b"a.b\r\n c.\r\n",
]


@pytest.mark.parametrize("message", MESSAGES)
def test_at_each_cut(message: bytes) -> None:
    expected = reference(message)
    for first in range(len(message) + 1):
        for second in range(first, len(message) + 1):
            pieces = [message[:first], message[first:second], message[second:]]
            assert stuffed(pieces) == expected


@given(st.lists(st.text(".\r\nx", max_size=12).map(str.encode), max_size=8))
def test_as_the_reference_does(pieces: list[bytes]) -> None:
    # Nothing with a bare CR or LF reaches the wire (design, invariant 5).
    whole = re.sub(rb"\r(?!\n)|(?<!\r)\n", b"", b"".join(pieces))
    wire = stuffed([whole[at : at + 3] for at in range(0, len(whole), 3)])
    assert wire == reference(whole)
    assert wire.find(b"\r\n.\r\n") in (-1, len(wire) - 5)
