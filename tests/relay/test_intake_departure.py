"""The client leaves: at each point, in each way, and what is stored then."""

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest
from fakes.listening import MESSAGE, CheckedClient, Listening, client
from fakes.raw_client import stuffed

SCRIPT = (
    b"EHLO kassa\r\nMAIL FROM:<info@mijnbakkerij.nl>\r\nRCPT TO:<klant@example.net>\r\nDATA\r\n"
    + stuffed(MESSAGE)
    + b"QUIT\r\n"
)
DOT = SCRIPT.index(b"\r\n.\r\n") + 5
POINTS = {
    "before the greeting is read": 0,
    "in EHLO": 4,
    "after EHLO": 12,
    "in MAIL": 20,
    "after MAIL": SCRIPT.index(b"RCPT"),
    "after RCPT": SCRIPT.index(b"DATA"),
    "after DATA": SCRIPT.index(b"DATA") + 6,
    "in the header": SCRIPT.index(b"Subject"),
    "in the body": DOT - 10,
    "before the dot": DOT - 3,
    "in the dot": DOT - 1,
    "after the dot": DOT,
    "in QUIT": DOT + 2,
}


def fin(peer: CheckedClient) -> None:
    peer.close()


def reset(peer: CheckedClient) -> None:
    peer.reset()


def half_close(peer: CheckedClient) -> None:
    peer.half_close()
    peer.rest()


@pytest.mark.parametrize("leave", [fin, reset, half_close])
def test_what_is_not_complete_is_not_stored(
    tmp_path: Path, leave: object, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert callable(leave)
    with Listening(tmp_path, client()) as listening:
        for name, point in POINTS.items():
            before = len(listening.messages())
            peer = listening.connect()
            peer.send(SCRIPT[:point])
            leave(peer)
            peer.close()
            listening.until(lambda: listening.connections == 0)
            listening.until(lambda: not listening.tasks())
            stored = len(listening.messages()) - before
            assert stored <= 1, name
            if point < DOT:
                assert stored == 0, name
            elif leave is half_close:
                assert stored == 1, name
        with listening.greeted() as peer:
            peer.mail()
            assert peer.message(MESSAGE).startswith("250")
    loud = [each for each in caplog.records if each.levelno >= logging.WARNING]
    assert loud == [], "a client that leaves is no news"


def test_who_closes_his_side_after_sending_everything_gets_all_replies(tmp_path: Path) -> None:
    with Listening(tmp_path, client()) as listening:
        with listening.connect() as peer:
            peer.send(SCRIPT)
            peer.half_close()
            replies = [peer.reply()[:9] for _ in range(7)]
            assert replies == [
                "220 relay",
                "250-relay",
                "250 2.1.0",
                "250 2.1.5",
                "354 end w",
                "250 2.0.0",
                "221 2.0.0",
            ]
            assert peer.rest() == b""
        assert listening.bodies() == [MESSAGE]


def test_a_commit_outlives_its_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Listening(tmp_path, client()) as listening:
        accept = listening.spool.queue.accept
        gone: list[bool] = []

        async def slow(*arguments: Any, **keys: Any) -> None:
            peer.reset()
            while listening.connections:
                await asyncio.sleep(0.002)
            gone.append(True)
            await accept(*arguments, **keys)

        monkeypatch.setattr(listening.spool.queue, "accept", slow)
        peer = listening.greeted()
        peer.mail()
        peer.command("DATA")
        peer.send(stuffed(MESSAGE))
        listening.until(lambda: gone and not listening.tasks())
        assert len(listening.messages()) == 1


def test_the_rows_of_a_large_message_go_with_its_client(tmp_path: Path) -> None:
    with Listening(tmp_path, client()) as listening:
        with listening.greeted() as peer:
            peer.mail()
            peer.command("DATA")
            peer.send(MESSAGE + b"x" * 3_000_000)
            listening.until(lambda: listening.body_rows() > 0)
        listening.until(lambda: listening.body_rows() == 0)
        assert listening.messages() == ()
