"""Replies out of a byte stream: however it is cut, the same replies, or none at all."""

import contextlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from presets.reply import Reply
from relay.smarthost.reply_parser import REPLY_BYTES, MalformedReply, ReplyParser

WHOLE = [
    (b"250 2.1.0 ok\r\n", [Reply(250, "2.1.0", "ok")]),
    (b"250\r\n", [Reply(250, None, "")]),
    (b"250 ok\n", [Reply(250, None, "ok")]),
    (b"250-one\r\n250-two\r\n250 three\r\n", [Reply(250, None, "one two three")]),
    (b"550-5.1.1 no\r\n550 5.1.1 such user\r\n", [Reply(550, "5.1.1", "no such user")]),
    (b"250 a\r\n354 b\r\n", [Reply(250, None, "a"), Reply(354, None, "b")]),
    (b"850 odd\r\n", [Reply(850, None, "odd")]),
    (b"250 caf\xe9 \x1b[31m\x00\r\n", [Reply(250, None, "café \ufffd[31m\ufffd")]),
]


@pytest.mark.parametrize(("data", "replies"), WHOLE)
def test_whole_replies(data: bytes, replies: list[Reply]) -> None:
    assert ReplyParser().feed(data) == replies


@pytest.mark.parametrize(("data", "replies"), WHOLE)
def test_byte_by_byte(data: bytes, replies: list[Reply]) -> None:
    parser = ReplyParser()
    found = [reply for byte in data for reply in parser.feed(bytes([byte]))]
    assert found == replies
    assert not parser.pending


def test_trailing_bytes_wait_for_their_rest() -> None:
    parser = ReplyParser()
    assert parser.feed(b"250 a\r\n354 go") == [Reply(250, None, "a")]
    assert parser.pending
    assert parser.feed(b" on\r\n") == [Reply(354, None, "go on")]


@pytest.mark.parametrize(
    "data",
    [
        b"2500 hi\r\n",
        b"99\r\n",
        b"25\r\n",
        b"\r\n",
        b"hello\r\n",
        b"-50 x\r\n",
        b" 250 x\r\n",
        b"250_x\r\n",
        b"250\tx\r\n",
        "٢٥٠ x\r\n".encode(),
        b"250-a\r\n550 b\r\n",
        b"250-a\r\nEHLO\r\n",
        b"HTTP/1.1 400 Bad Request\r\n",
    ],
)
def test_what_is_no_reply_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedReply):
        ReplyParser().feed(data)


def test_a_line_without_end_is_refused() -> None:
    parser = ReplyParser()
    parser.feed(b"250 " + b"x" * (REPLY_BYTES - 4))
    with pytest.raises(MalformedReply):
        parser.feed(b"x")


def test_a_long_line_is_a_reply_like_any_other() -> None:
    (reply,) = ReplyParser().feed(b"250 2.0.0 " + b"x" * 30_000 + b"\r\n")
    assert (reply.code, reply.enhanced) == (250, "2.0.0")
    assert len(reply.text) <= 1024


def test_a_reply_without_end_is_refused() -> None:
    parser, line = ReplyParser(), b"250-" + b"x" * 94 + b"\r\n"
    for _ in range(REPLY_BYTES // len(line)):
        assert parser.feed(line) == []
    with pytest.raises(MalformedReply):
        parser.feed(line)


def test_a_long_reply_keeps_a_bounded_printable_text() -> None:
    (reply,) = ReplyParser().feed(b"550 " + b"<b>\x1b" * 2000 + b"\r\n")
    assert len(reply.text) <= 1000
    assert reply.text.isprintable()


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_whatever_comes_is_replies_or_malformed(pieces: list[bytes]) -> None:
    parser = ReplyParser()
    with contextlib.suppress(MalformedReply):
        for piece in pieces:
            assert all(reply.text.isprintable() for reply in parser.feed(piece))


_FRAGMENTS = [b"250", b"354", b"550", b"99", b"2500", b"-", b" ", b"\r\n", b"\n", b"\r", b"ok"]
_STREAM = st.lists(st.sampled_from(_FRAGMENTS) | st.binary(max_size=3), max_size=30).map(b"".join)


def read(pieces: list[bytes]) -> tuple[list[Reply], bool]:
    """The replies that were whole before the first byte that is none, and whether one came."""
    parser, found = ReplyParser(), list[Reply]()
    try:
        for piece in pieces:
            found += parser.feed(piece)
    except MalformedReply:
        return found, True
    return found, False


@given(_STREAM, st.lists(st.integers(0, 120), max_size=12))
def test_however_it_is_cut_it_is_as_good_or_as_bad(stream: bytes, cuts: list[int]) -> None:
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    pieces = [stream[start:end] for start, end in itertools.pairwise(places)]
    by_byte, by_byte_malformed = read([bytes([each]) for each in stream])
    found, malformed = read(pieces)
    assert malformed is by_byte_malformed
    # A segment that goes wrong takes what was whole in it along: that is in doubt, never invented.
    assert found == by_byte[: len(found)]
    assert malformed or found == by_byte


_LINE = st.tuples(st.integers(100, 999), st.text(st.characters(codec="ascii"), max_size=20))


@given(st.lists(_LINE, max_size=5), st.lists(st.integers(0, 200)))
def test_the_cuts_of_the_stream_change_nothing(
    lines: list[tuple[int, str]], cuts: list[int]
) -> None:
    texts = [(code, text.replace("\n", "").replace("\r", "")) for code, text in lines]
    data = b"".join(f"{code} {text}\r\n".encode() for code, text in texts)
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    parser = ReplyParser()
    found = []
    for start, end in itertools.pairwise(places):
        found += parser.feed(data[start:end])
    assert found == ReplyParser().feed(data)
    assert [reply.code for reply in found] == [code for code, _ in texts]
