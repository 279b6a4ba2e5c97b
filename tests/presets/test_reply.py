"""A reply as it comes from the wire, from a paste, or from somebody hostile."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from presets.reply import TEXT_LIMIT, Reply, sanitise


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("250 OK", Reply(250, None, "OK")),
        ("421", Reply(421, None, "")),
        ("250-a\r\n250 b", Reply(250, None, "a b")),
        ("550-5.1.1 No such\r\n550-5.1.1 user\r\n550 5.1.1 here", Reply(550, "5.1.1", "No such user here")),
        ("550-5.1.1 No such\n550 user", Reply(550, "5.1.1", "No such user")),
        ("535: 5.7.8 Error", Reply(535, "5.7.8", "Error")),
        ("550 #5.1.0 Address rejected", Reply(550, "5.1.0", "Address rejected")),
        ("535 5.7.139 Authentication\n  unsuccessful", Reply(535, "5.7.139", "Authentication unsuccessful")),
        ("250 sent\n550 5.1.1 gone", Reply(250, None, "sent 550 5.1.1 gone")),
        ("550 1.2.3.4 is listed", Reply(550, None, "1.2.3.4 is listed")),
        ("550 5.7.1.9 is an address", Reply(550, None, "5.7.1.9 is an address")),
        (b"550 5.1.1 caf\xe9", Reply(550, "5.1.1", "café")),
        ("550-5.7.1 a\r\n550 5.7.26 b", Reply(550, "5.7.1", "a 5.7.26 b")),
    ],
)  # fmt: skip
def test_a_reply_is_parsed(text: str | bytes, expected: Reply) -> None:
    assert Reply.parse(text) == expected


@pytest.mark.parametrize("text", ["", "hello", "192.168.1.1 refused", "4500 x", "600 x", "500.000"])
def test_what_does_not_start_with_a_code_is_no_reply(text: str) -> None:
    assert Reply.parse(text) is None


def test_lines_without_their_code_give_the_same_reply() -> None:
    lines = [b"5.7.8 Username and Password not accepted.", b"5.7.8  see support - gsmtp"]
    assert Reply.of(535, lines) == Reply(
        535, "5.7.8", "Username and Password not accepted. see support - gsmtp"
    )


def test_the_class_of_a_reply_is_that_of_its_basic_code() -> None:
    exchange = Reply(451, "5.7.3", "STARTTLS is required to send mail")
    assert (exchange.positive, exchange.transient, exchange.permanent) == (False, True, False)
    assert Reply(250, None, "").positive
    assert Reply(550, None, "").permanent
    assert not Reply(354, None, "").positive


def test_a_reply_is_written_as_on_the_wire() -> None:
    assert str(Reply(550, "5.1.1", "user unknown")) == "550 5.1.1 user unknown"
    assert str(Reply(421, None, "")) == "421"
    assert str(Reply(0, None, "Kan dit item niet verzenden")) == "Kan dit item niet verzenden"


def test_a_hostile_text_becomes_one_printable_line() -> None:
    hostile = b"ok\x00\x1b[31mred\x07\r\nInjected: header\xff\xfe \xe2\x80\xae\xc2\xa0"
    clean = sanitise(hostile)
    assert clean.isprintable()
    assert clean == "ok\ufffd\ufffd[31mred\ufffd  Injected: headerÿþ \ufffd"


@given(st.text() | st.binary())
@example(b"550 " + b"x" * 100_000)
@example("550 \ud800\udcff\x00")
def test_whatever_comes_is_printable_and_bounded(text: str | bytes) -> None:
    reply = Reply.parse(text)
    if reply is not None:
        assert len(reply.text) <= TEXT_LIMIT
        assert str(reply).isprintable()
        assert str(reply).encode()
        assert Reply.parse(str(reply)) is not None
    assert len(sanitise(text, 7)) <= 7
    assert sanitise(text).isprintable()
    assert Reply.of(550, [text]).text.isprintable()
