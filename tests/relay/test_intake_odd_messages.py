"""Odd messages are passed on as they are: nothing in a body is looked at, and none costs much."""

import hashlib
import re
import time
from collections.abc import Iterator

import pytest
from fakes.listening import Listening, client
from fakes.odd_messages import ODD_MESSAGES
from fakes.raw_client import stuffed

CPU_SECONDS = 0.5
"""Under 0.1 on a quiet machine; here only what is of another order shall fail."""


@pytest.fixture(scope="module")
def listening(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    with Listening(tmp_path_factory.mktemp("odd"), client()) as listening:
        yield listening


def expected(content: bytes) -> bytes:
    """What must stand at the end of what is stored: lone line ends repaired, and no more."""
    if content and not content.endswith(b"\r\n"):
        content += b"\r\n"  # the one before the final dot
    return re.sub(rb"\r(?!\n)", b" ", re.sub(rb"(?<!\r)\n", b"\r\n", content))


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_there_are_fifty_one() -> None:
    assert len(ODD_MESSAGES) == 51


@pytest.mark.parametrize("name", ODD_MESSAGES)
def test_it_is_taken_whole_and_at_little_cost(listening: Listening, name: str) -> None:
    content = ODD_MESSAGES[name]
    sent = stuffed(content) if content else b".\r\n"
    before = len(listening.messages())
    with listening.greeted() as peer:
        peer.mail()
        assert peer.command("DATA").startswith("354")
        used: float = listening.call(time.thread_time)
        peer.send(sent)
        assert peer.reply().startswith("250 2.0.0")
        used = listening.call(time.thread_time) - used
        assert peer.command("VRFY x").startswith("252")
    assert used < CPU_SECONDS
    messages = listening.messages()
    assert len(messages) == before + 1
    stored = listening.body(messages[-1].id)
    wanted = expected(content)
    # Fields may stand in front of it, never anything within or behind.
    assert digest(stored[len(stored) - len(wanted) :]) == digest(wanted)
    added = stored[: len(stored) - len(wanted)]
    assert re.fullmatch(rb"(?:[A-Za-z-]+: [ -~]*\r\n(?:[ \t][ -~]*\r\n)*)*(?:\r\n)?", added)
