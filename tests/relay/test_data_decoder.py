"""The DATA reader's decoder: one end, one content, however the bytes are cut into segments."""

import itertools
import re

import pytest
from fakes.smuggling import SMUGGLING
from hypothesis import given
from hypothesis import strategies as st

from relay.intake.data_decoder import DataDecoder

END = b"\r\n.\r\n"


def reference(stream: bytes) -> tuple[bytes, bytes, int, int] | None:
    """Message, what follows it, bare LFs and bare CRs, as RFC 5321 section 4.5.2 tells it.

    Plain and slow: the whole stream at once. None while the end has not come.
    """
    message, end, rest = (b"\r\n" + stream).partition(END)
    if not end:
        return None
    lines = re.split(rb"\r\n", message)[1:]
    lines = [line.removeprefix(b".") for line in lines]
    content = b"".join(line + b"\r\n" for line in lines)
    pairs = content.replace(b"\r\n", b"")
    bare_lf, bare_cr = pairs.count(b"\n"), pairs.count(b"\r")
    content = re.sub(rb"(?<!\r)\n", b"\r\n", content)
    return re.sub(rb"\r(?!\n)", b" ", content), rest, bare_lf, bare_cr


def decoded(segments: list[bytes]) -> tuple[bytes, bytes, int, int] | None:
    """The same by the decoder, fed with these segments."""
    decoder, message = DataDecoder(), b""
    for at, segment in enumerate(segments):
        message += decoder.feed(segment)
        if decoder.finished:
            rest = decoder.rest + b"".join(segments[at + 1 :])
            return message, rest, decoder.bare_lf, decoder.bare_cr
    return None


# Mostly the bytes that matter, so that every near miss of the end comes up.
STREAMS = st.lists(
    st.sampled_from([b"\r", b"\n", b".", b"\r\n", END, b"\r\n.", b"x", b"\x00", b"\xff"]),
    max_size=40,
).map(b"".join)


@given(STREAMS, st.lists(st.integers(0, 120)))
def test_the_message_is_the_same_however_it_is_cut(stream: bytes, cuts: list[int]) -> None:
    places = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    segments = [stream[a:b] for a, b in itertools.pairwise(places)]
    assert decoded(segments) == reference(stream)


@given(STREAMS)
def test_the_message_is_the_same_byte_by_byte(stream: bytes) -> None:
    segments = [stream[at : at + 1] for at in range(len(stream))]
    assert decoded(segments) == reference(stream)


@given(STREAMS)
def test_no_bare_line_end_and_no_end_of_data_remains_but_for_repaired_ones(stream: bytes) -> None:
    found = decoded([stream + END])
    assert found is not None
    message = found[0]
    without_pairs = message.replace(b"\r\n", b"")
    assert b"\n" not in without_pairs
    assert b"\r" not in without_pairs
    assert message == b"" or message.endswith(b"\r\n")


@given(st.binary(max_size=300))
def test_what_a_careful_client_sends_comes_back_byte_for_byte(content: bytes) -> None:
    content = re.sub(rb"[\r\n]+", b"\r\n", content) + b"\r\n"
    sent = re.sub(rb"(?m)^\.", b"..", content) + b".\r\n"
    assert decoded([sent]) == (content, b"", 0, 0)


BEFORE, INNER = b"Subject: een\r\n\r\nHallo", b"MAIL FROM:<dief@example.org>\r\n"


def test_the_table_has_all_forms() -> None:
    assert len(SMUGGLING) == 26
    assert len({ending for ending, _ in SMUGGLING.values()}) == 26


@pytest.mark.parametrize("form", SMUGGLING)
def test_a_smuggled_ending_stays_inside_the_one_message_at_every_cut(form: str) -> None:
    ending, kept = SMUGGLING[form]
    stream = BEFORE + ending + INNER + b".\r\n"
    expected = BEFORE + kept + INNER
    for cut in range(len(stream) + 1):
        found = decoded([stream[:cut], stream[cut:]])
        assert found is not None, cut
        message, rest, _, _ = found
        assert (message, rest) == (expected, b""), cut


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (b".\r\n", b""),
        (b"\r\n.\r\n", b"\r\n"),
        (b"..\r\n.\r\n", b".\r\n"),
        (b".x\r\n.\r\n", b"x\r\n"),
        (b"x\r\n...\r\n.\r\n", b"x\r\n..\r\n"),
        (b"x\r\n.\r\n", b"x\r\n"),
    ],
)
def test_dots_at_the_start_of_a_line(sent: bytes, message: bytes) -> None:
    assert decoded([sent]) == (message, b"", 0, 0)


def test_what_follows_the_end_is_given_back_untouched() -> None:
    assert decoded([b"x\r\n.\r\nQUIT\n\r"]) == (b"x\r\n", b"QUIT\n\r", 0, 0)


def test_repairs_are_counted_once_across_segments() -> None:
    decoder = DataDecoder()
    message = b"".join(map(decoder.feed, [b"a\n", b"\nb\r", b"c\r", b"\nd\r", b"\r", b"\n.\r\n"]))
    assert decoder.finished
    assert message == b"a\r\n\r\nb c\r\nd \r\n"
    assert (decoder.bare_lf, decoder.bare_cr) == (2, 2)


def test_an_endless_line_is_not_kept() -> None:
    decoder = DataDecoder()
    given_back = sum(len(decoder.feed(b"x" * 65_536)) for _ in range(100))
    assert given_back == 100 * 65_536
