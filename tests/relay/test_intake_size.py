"""Too large, too long, round in circles: what the listener refuses by size, and what it keeps."""

import gc
import tracemalloc
from pathlib import Path

import pytest
from fakes.listening import HOSTNAME, MESSAGE, SENDER, CheckedClient, Listening, client
from fakes.raw_client import stuffed

from relay.config.model import Listener

LIMIT = 100_000
TOO_BIG = f"552 5.3.4 the message is larger than {LIMIT} bytes"


def limited(max_message_bytes: int = LIMIT) -> Listener:
    return Listener("127.0.0.1", 0, max_message_bytes=max_message_bytes)


def begin_data(peer: CheckedClient, parameters: str = "") -> None:
    peer.mail(parameters=parameters)
    assert peer.command("DATA").startswith("354")


def of_size(size_bytes: int, line_bytes: int = 100) -> bytes:
    lines = (MESSAGE + (b"x" * (line_bytes - 2) + b"\r\n") * (size_bytes // line_bytes))[
        :size_bytes
    ]
    return lines[:-2] + b"\r\n"


@pytest.mark.parametrize("parameters", ["", " SIZE=10"], ids=["no SIZE", "lying SIZE"])
def test_a_message_over_the_limit_is_refused_at_its_end(tmp_path: Path, parameters: str) -> None:
    with Listening(tmp_path, client(), listener=limited()) as listening:
        with listening.greeted() as peer:
            begin_data(peer, parameters)
            peer.send(stuffed(of_size(LIMIT + 1)))
            assert peer.reply() == TOO_BIG
            begin_data(peer, parameters)
            peer.send(stuffed(of_size(LIMIT)))
            assert peer.reply().startswith("250")
        (stored,) = listening.bodies()
        assert stored == of_size(LIMIT)


def test_a_message_far_over_the_limit_ends_the_session(tmp_path: Path) -> None:
    with Listening(tmp_path, client(), listener=limited()) as listening:
        with listening.greeted() as peer:
            begin_data(peer)
            peer.send(of_size(2 * LIMIT + 2))
            assert peer.reply() == TOO_BIG
            assert peer.reply() == "421 4.7.0 too many errors, closing"
            assert peer.rest() == b""
        assert listening.messages() == ()


def test_what_follows_a_message_does_not_count_as_its_size(tmp_path: Path) -> None:
    with Listening(tmp_path, client(), listener=limited(300)) as listening:
        with listening.greeted() as peer:
            one = b"MAIL FROM:<>\r\nRCPT TO:<a@example.net>\r\nDATA\r\n" + stuffed(MESSAGE)
            peer.send(one * 20)
            replies = [peer.reply()[:3] for _ in range(80)]
            assert replies == ["250", "250", "354", "250"] * 20
        assert len(listening.messages()) == 20


def test_the_limit_is_the_smallest_of_listener_client_and_smarthost(tmp_path: Path) -> None:
    with (
        Listening(tmp_path, client(max_message_bytes=90_000), listener=limited()) as listening,
        listening.connect() as peer,
    ):
        peer.reply()
        assert "250-SIZE 90000" in peer.command("EHLO kassa").splitlines()
        listening.smarthost_size_bytes = 80_000
        assert "250-SIZE 80000" in peer.command("EHLO kassa").splitlines()
        assert peer.command(f"MAIL FROM:<{SENDER}> SIZE=80001").startswith("552 5.3.4 ")


@pytest.mark.parametrize("head", [b"", b"Subject: x\r\n\r\n", b"Subject: "], ids=repr)
def test_an_endless_line_takes_little_memory(tmp_path: Path, head: bytes) -> None:
    limit = 8_000_000
    with Listening(tmp_path, client(), listener=limited(limit)) as listening:
        with listening.greeted() as peer:
            begin_data(peer)
            gc.collect()
            tracemalloc.start()
            try:
                peer.send(head + b"x" * 1000)
                block = b"x" * 100_000
                for _ in range(2 * limit // len(block)):
                    peer.send(block)
                assert peer.reply().startswith(("552 5.3.4", "421"))
                peer.rest()
                _, most_bytes = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
        assert most_bytes < 6_000_000
        assert listening.messages() == ()
        listening.until(lambda: listening.connections == 0)
        listening.until(lambda: not listening.tasks())
        assert listening.body_rows() == 0


def test_a_long_line_is_kept_whole(tmp_path: Path) -> None:
    content = MESSAGE + b"".join(b"x" * size + b"\r\n" for size in (998, 1000, 5000, 100_000))
    with Listening(tmp_path, client()) as listening, listening.greeted() as peer:
        peer.mail()
        assert peer.message(content).startswith("250")
        assert listening.bodies() == [content]


@pytest.mark.parametrize("size_bytes", [999_000, 1_000_001, 1_256_001, 3_333_333])
def test_a_large_message_is_kept_byte_for_byte(tmp_path: Path, size_bytes: int) -> None:
    content = MESSAGE + bytes(range(14, 256)) * (size_bytes // 242) + b"\r\n.\r\n..\r\n"
    with Listening(tmp_path, client()) as listening, listening.greeted() as peer:
        peer.mail()
        assert peer.message(content).startswith("250")
        (message,) = listening.messages()
        assert listening.body(message.id) == content
        # With the Received field in front.
        assert message.bytes > len(content)


def test_a_header_without_end_is_refused(tmp_path: Path) -> None:
    with Listening(tmp_path, client()) as listening, listening.greeted() as peer:
        header = b"".join(b"X-Field-%d: value\r\n" % at for at in range(30_000))
        assert len(header) > 500_000
        peer.mail()
        assert (
            peer.message(header + b"\r\nHallo\r\n") == "552 5.3.4 the message header is too large"
        )
        peer.mail()
        # Just as long, but most of it is the message.
        assert peer.message(b"Subject: x\r\n\r\n" + header).startswith("250")
        assert len(listening.messages()) == 1


@pytest.mark.parametrize(
    "excess",
    [
        b"a:\r\n" * 15_001,
        b"X: a\r\n" + b" b\r\n" * 15_000,
        b"From: " + b"g:a@b;" * 4000 + b"\r\n",
        b"From: a@b\r\nReply-To : a@b\r\nSENDER: a@b\r\n" * 700,
    ],
    ids=["fields", "folded lines", "one author", "many authors"],
)
def test_a_header_that_takes_long_to_read_is_refused(tmp_path: Path, excess: bytes) -> None:
    # Every attempt would read it, on the loop that all mail shares: seconds for a message.
    with Listening(tmp_path, client()) as listening, listening.greeted() as peer:
        peer.mail()
        assert peer.message(excess + MESSAGE) == "552 5.3.4 the message header is too large"
        peer.mail()
        assert peer.message(excess[: len(excess) // 4] + MESSAGE).startswith("250")
        # Recipients in the header may be as many as they like.
        peer.mail()
        assert peer.message(b"To: " + b"a@b.nl,\r\n " * 9000 + b"c@d.nl\r\n" + MESSAGE)[:3] == "250"


# --- Loops ---


def trace(count: int, by: str) -> bytes:
    return b"".join(
        b"Received: from a by %s with ESMTP; now\r\n" % by.encode() for _ in range(count)
    )


@pytest.mark.parametrize(
    ("count", "by", "reply"),
    [
        (50, "mx.example.net", "250 2.0.0"),
        (51, "mx.example.net", "554 5.4.6 mail loop: passed on 51 times"),
        (2, HOSTNAME, "250 2.0.0"),
        (3, HOSTNAME, "554 5.4.6 mail loop: passed on 3 times"),
    ],
)
def test_a_message_that_goes_in_circles_is_refused(
    tmp_path: Path, count: int, by: str, reply: str
) -> None:
    with Listening(tmp_path, client()) as listening, listening.greeted() as peer:
        peer.mail()
        assert peer.message(trace(count, by) + MESSAGE).startswith(reply)
        # Those within the message, of one that was forwarded, count for nothing.
        peer.mail()
        assert peer.message(MESSAGE + trace(60, by)).startswith("250")
