"""Our own trouble: the client hears 4yz and keeps its message, and nothing leaks."""

import logging
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fakes.listening import MESSAGE, CheckedClient, Listening, client
from fakes.raw_client import stuffed

from relay.config.model import Spool
from relay.spool.errors import SpoolBusy, SpoolError, SpoolFull

SECRET = "wachtwoord-in-de-fouttekst"
FULL = "452 4.3.1 too little disk space on the relay; free some"
TROUBLE = [
    (SpoolError, "451 4.3.0 trouble in the relay, nothing is lost; report "),
    (SpoolFull, FULL),
    (SpoolBusy, "452 4.3.2 the disk is too busy, try again"),
    (RuntimeError, "451 4.3.0 trouble in the relay, nothing is lost; report "),
    (ConnectionRefusedError, "451 4.3.0 trouble in the relay, nothing is lost; report "),
    (TimeoutError, "451 4.3.0 trouble in the relay, nothing is lost; report "),
]
INNER = b"RSET\r\nMAIL FROM:<dief@example.org>\r\nXYZZY\r\n" * 100
LARGE = MESSAGE + INNER + b"x" * 1_500_000 + b"\r\n" + INNER


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[Listening]:
    with Listening(tmp_path, client()) as listening:
        yield listening


def failing(error: type[Exception]) -> Any:
    async def fails(*arguments: object, **named: object) -> None:
        raise error(SECRET)

    return fails


def sends(peer: CheckedClient, content: bytes, expected: str) -> None:
    """Sends a message that is answered once, and the session is in order afterwards."""
    peer.mail()
    reply = peer.message(content)
    assert reply.startswith(expected)
    assert SECRET not in reply
    assert peer.command("VRFY x").startswith("252")


@pytest.mark.parametrize(("error", "reply"), TROUBLE)
def test_a_commit_that_fails_is_told_and_the_session_goes_on(
    listening: Listening, monkeypatch: pytest.MonkeyPatch, error: type[Exception], reply: str
) -> None:
    with listening.greeted() as peer:
        with monkeypatch.context() as patch:
            patch.setattr(listening.spool.queue, "accept", failing(error))
            sends(peer, MESSAGE, reply)
        assert listening.messages() == ()
        sends(peer, MESSAGE, "250 2.0.0")
        assert listening.bodies() == [MESSAGE]


@pytest.mark.parametrize(("error", "reply"), TROUBLE)
def test_a_row_that_fails_is_told_at_the_end_and_no_line_is_obeyed(
    listening: Listening, monkeypatch: pytest.MonkeyPatch, error: type[Exception], reply: str
) -> None:
    with listening.greeted() as peer:
        with monkeypatch.context() as patch:
            patch.setattr(listening.spool.queue._writer, "run", failing(error))
            sends(peer, LARGE, reply)
        assert listening.messages() == ()
        sends(peer, LARGE, "250 2.0.0")
        assert listening.bodies() == [LARGE]


def test_what_fails_before_data_is_told_instead_of_354(
    listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(message: int) -> None:
        raise RuntimeError(SECRET)

    with listening.greeted() as peer:
        with monkeypatch.context() as patch:
            patch.setattr(listening.spool.queue, "body_writer", fails)
            peer.mail()
            assert peer.command("DATA").startswith("451 4.3.0")
        sends(peer, MESSAGE, "250 2.0.0")


@pytest.mark.parametrize("command", ["MAIL FROM:<a@example.nl>", "RCPT TO:<a@example.nl>"])
def test_any_fault_in_a_command_is_451_and_begins_the_transaction_anew(
    listening: Listening,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    command: str,
) -> None:
    def fails(*arguments: object, **named: object) -> None:
        raise RuntimeError(SECRET)

    with listening.greeted() as peer:
        peer.command("MAIL FROM:<b@example.nl>" if command.startswith("RCPT") else "RSET")
        with monkeypatch.context() as patch:
            patch.setattr("relay.intake.session.parse_mail", fails)
            patch.setattr("relay.intake.session.parse_rcpt", fails)
            reply = peer.command(command)
        assert reply.startswith("451 4.3.0 ")
        assert SECRET not in reply
        # Whoever reads the log finds the fault by the reference that the user was told.
        (fault,) = [each for each in caplog.records if each.levelno == logging.ERROR]
        assert fault.getMessage() == f"session fault {reply.split()[-1]}"
        assert peer.command("RCPT TO:<a@example.nl>").startswith("503 5.5.1")
        sends(peer, MESSAGE, "250 2.0.0")


def test_a_full_disk_is_an_alert(
    listening: Listening, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with listening.greeted() as peer:
        monkeypatch.setattr(listening.spool.queue, "accept", failing(SpoolFull))
        sends(peer, MESSAGE, FULL)
    (alert,) = [each for each in caplog.records if each.msg == "alert"]
    assert alert.__dict__["fields"]["cause"] == "disk-full"


# --- The reserve of free disk space ---


def test_below_the_reserve_nothing_new_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(url="sqlite:", reserve_bytes=1_000_000)
    with Listening(tmp_path, client(), spool=spool) as listening, listening.greeted() as peer:
        free_bytes = 1_000_000
        monkeypatch.setattr(listening.spool, "free_bytes", lambda: free_bytes)
        sends(peer, MESSAGE, "250 2.0.0")
        free_bytes = 999_999
        assert peer.command("MAIL FROM:<a@example.nl>") == FULL
        free_bytes = 1_000_000
        peer.mail()
        assert peer.command("DATA").startswith("354")
        free_bytes = 999_999
        peer.send(stuffed(LARGE))
        assert peer.reply() == FULL
        assert peer.command("NOOP").startswith("250")
        assert len(listening.messages()) == 1
        assert listening.body_rows() == 1
        free_bytes = 2_000_000
        sends(peer, MESSAGE, "250 2.0.0")


def test_ample_room_is_not_asked_for_again_until_a_moment_has_passed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(url="sqlite:", reserve_bytes=1_000_000)
    with Listening(tmp_path, client(), spool=spool) as listening, listening.greeted() as peer:
        now, free_bytes = 1000.0, 1_001_000_000
        monkeypatch.setattr("relay.intake.context.time", SimpleNamespace(monotonic=lambda: now))
        monkeypatch.setattr(listening.spool, "free_bytes", lambda: free_bytes)
        sends(peer, MESSAGE, "250 2.0.0")
        free_bytes, now = 0, 1000.09
        sends(peer, MESSAGE, "250 2.0.0")
        now = 1000.11
        assert peer.command("MAIL FROM:<a@example.nl>") == FULL
        free_bytes = 1_000_999_999  # room, but not ample: asked each time
        peer.mail()
        free_bytes = 0
        assert peer.message(MESSAGE) == FULL


def test_a_disk_that_tells_nothing_is_taken_as_large_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(url="sqlite:", reserve_bytes=10**15)
    with Listening(tmp_path, client(), spool=spool) as listening, listening.greeted() as peer:
        monkeypatch.setattr(listening.spool, "free_bytes", lambda: None)
        sends(peer, MESSAGE, "250 2.0.0")
