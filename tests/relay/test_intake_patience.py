"""How long, and how often, a session may try the relay's patience."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from fakes.listening import MESSAGE, CheckedClient, Listening, client
from fakes.raw_client import stuffed

from relay.access.limits import RateWindow
from relay.config.model import Listener
from relay.intake.context import Patience

MAIL = "MAIL FROM:<info@mijnbakkerij.nl>"
TIMEOUT = "421 4.4.2 waited too long"


def test_twenty_errors_end_the_session(tmp_path: Path) -> None:
    with Listening(tmp_path, client()) as listening, listening.greeted() as peer:
        peer.mail()
        for _ in range(19):
            assert peer.command("XYZZY").startswith("500 5.5.1")
        assert peer.message(MESSAGE).startswith("250")
        assert peer.command("XYZZY").startswith("500 5.5.1")
        assert peer.reply() == "421 4.7.0 too many errors, closing"
        assert peer.rest() == b""
        assert len(listening.messages()) == 1


def test_long_lines_are_errors_too(tmp_path: Path) -> None:
    with Listening(tmp_path, client()) as listening, listening.greeted() as peer:
        for _ in range(20):
            peer.send(b"x" * 5000 + b"\r\n")
        for _ in range(20):
            assert peer.reply() == "500 5.5.2 the command is too long"
        assert peer.reply() == "421 4.7.0 too many errors, closing"
        assert peer.rest() == b""


def test_our_own_trouble_is_no_error_of_the_client(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Listening(tmp_path, client()) as listening, listening.greeted() as peer:
        monkeypatch.setattr(listening.spool, "free_bytes", lambda: -1)
        for _ in range(30):
            assert peer.command(MAIL).startswith("452 4.3.1")
        monkeypatch.undo()
        peer.mail()


@pytest.mark.parametrize("command", ["NOOP", "RSET", "VRFY jan", "EHLO kassa", "HELP"])
def test_a_hundred_commands_without_a_message_end_the_session(tmp_path: Path, command: str) -> None:
    with Listening(tmp_path, client()) as listening, listening.greeted() as peer:
        for _ in range(99):  # EHLO was the first
            assert peer.command(command)[:1] == "2"
        assert peer.command(command) == "421 4.7.0 too many errors, closing"
        assert peer.rest() == b""


def test_a_message_begins_the_count_of_commands_anew(tmp_path: Path) -> None:
    with Listening(tmp_path, client()) as listening, listening.greeted() as peer:
        for _ in range(3):
            for _ in range(60):
                assert peer.command("NOOP") == "250 2.0.0 ok"
            peer.mail()
            assert peer.message(MESSAGE).startswith("250")


def test_recipients_are_no_idle_commands(tmp_path: Path) -> None:
    listener = Listener("127.0.0.1", 0, max_recipients=1000)
    with Listening(tmp_path, client(), listener=listener) as listening, listening.greeted() as peer:
        assert peer.command(MAIL).startswith("250")
        peer.send(b"".join(b"RCPT TO:<r%d@example.net>\r\n" % at for at in range(1030)))
        replies = [peer.reply()[:9] for _ in range(1030)]
        assert replies == ["250 2.1.5"] * 1000 + ["452 4.5.3"] * 30
        assert peer.message(MESSAGE).startswith("250")
        peer.mail("info@mijnbakkerij.nl", *(f"r{at}@example.net" for at in range(1000, 1030)))
        assert peer.message(MESSAGE).startswith("250")
        first, second = listening.messages()
        assert [len(first.recipients), len(second.recipients)] == [1000, 30]


# --- Time ---

QUICK = Patience(command_seconds=0.5, data_idle_seconds=0.5, closing_seconds=0.3)


@pytest.mark.parametrize("said", [b"", b"NOO", b"NOOP\r\n", b"MAIL FROM:<a@example.nl>\r\n"])
def test_a_client_that_falls_silent_is_told_so(tmp_path: Path, said: bytes) -> None:
    with Listening(tmp_path, client(), patience=QUICK) as listening, listening.greeted() as peer:
        peer.send(said)
        if said.endswith(b"\n"):
            assert peer.reply().startswith("250")
        assert peer.reply() == TIMEOUT
        assert peer.rest() == b""
        listening.until(lambda: listening.connections == 0)


def test_a_client_that_never_speaks_is_told_so(tmp_path: Path) -> None:
    with Listening(tmp_path, client(), patience=QUICK) as listening, listening.connect() as peer:
        assert peer.reply().startswith("220")
        assert peer.reply() == TIMEOUT
        assert peer.rest() == b""


def test_patience_is_short_when_most_connections_are_taken(tmp_path: Path) -> None:
    patience = Patience(command_seconds=300, overload_seconds=0.5)
    listener = Listener("127.0.0.1", 0, max_connections=1)
    with (
        Listening(tmp_path, client(), listener=listener, patience=patience) as listening,
        listening.greeted() as peer,
    ):
        assert peer.reply() == TIMEOUT


def begin_data(peer: CheckedClient) -> None:
    peer.mail()
    assert peer.command("DATA").startswith("354")


def test_silence_in_a_message_ends_it_and_nothing_is_stored(tmp_path: Path) -> None:
    with Listening(tmp_path, client(), patience=QUICK) as listening, listening.greeted() as peer:
        begin_data(peer)
        peer.send(MESSAGE + b"\r\n.")
        assert peer.reply() == TIMEOUT
        assert peer.rest() == b""
        listening.until(lambda: listening.connections == 0)
        assert listening.messages() == ()


def test_a_message_that_only_drips_is_cut_off(tmp_path: Path) -> None:
    patience = Patience(least_bytes_per_second=1e6, slow_start_seconds=0.3, data_idle_seconds=5)
    with Listening(tmp_path, client(), patience=patience) as listening, listening.greeted() as peer:
        begin_data(peer)
        began = listening.call(lambda: listening._loop.time())
        peer.send(b"x")
        listening.until(lambda: listening._loop.time() > began + 0.4)
        peer.send(b"x")
        assert peer.reply() == "421 4.4.2 too slow"
        assert peer.rest() == b""
        assert listening.messages() == ()


def test_a_slow_but_steady_message_is_taken(tmp_path: Path) -> None:
    patience = Patience(least_bytes_per_second=100, slow_start_seconds=0.5, data_idle_seconds=0.6)
    with Listening(tmp_path, client(), patience=patience) as listening, listening.greeted() as peer:
        begin_data(peer)
        # Longer in all than the silence that is allowed.
        for _ in range(5):
            began = listening.call(lambda: listening._loop.time())
            peer.send(b"x" * 200 + b"\r\n")
            listening.until(lambda began=began: listening._loop.time() > began + 0.2)
        peer.send(b".\r\n")
        assert peer.reply().startswith("250")


def test_the_time_that_the_disk_takes_does_not_count_against_the_client(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Listening(tmp_path, client(), patience=QUICK) as listening, listening.greeted() as peer:
        accept = listening.spool.queue.accept

        async def slow(*arguments: Any, **keys: Any) -> None:
            await asyncio.sleep(2 * QUICK.data_idle_seconds)
            await accept(*arguments, **keys)

        monkeypatch.setattr(listening.spool.queue, "accept", slow)
        peer.mail()
        assert peer.message(MESSAGE).startswith("250")
        assert peer.command("NOOP").startswith("250")


def test_a_client_that_reads_nothing_is_cut_off(tmp_path: Path) -> None:
    patience = Patience(command_seconds=0.5, closing_seconds=0.2, commands_without_message=10**9)
    with Listening(tmp_path, client(), patience=patience) as listening, listening.connect() as peer:
        peer._socket.settimeout(0.5)
        # Far more than all buffers between the two hold of commands and replies.
        with pytest.raises(OSError, match=r"timed out|reset|pipe"):
            peer.send(b"HELP\r\n" * 10_000_000)
        listening.until(lambda: listening.connections == 0)


# --- Messages a minute ---


def test_a_client_over_its_rate_waits_and_is_then_refused(tmp_path: Path) -> None:
    with (
        Listening(tmp_path, client(messages_per_minute=600)) as listening,
        listening.greeted() as peer,
    ):
        # The burst of a minute is free, then each message waits its turn, at most 30 seconds.
        listening.intake.door.rates = RateWindow(longest_delay_seconds=0.35)
        for _ in range(600):
            listening.intake.door.rates.delay(listening.config.clients[0], listening.now)
        began = listening.call(listening._loop.time)
        for seconds in (0.1, 0.2, 0.3):
            peer.mail()
            assert listening.call(listening._loop.time) - began >= seconds
            assert peer.command("RSET").startswith("250")
        reply = peer.command(MAIL)
        assert reply == "450 4.7.1 127.0.0.1 sends more than 600 messages a minute"
        # A MAIL that is refused for another reason does not count.
        assert peer.command("MAIL FROM:<x>").startswith("501")
        listening.later(60)
        peer.mail()
        assert peer.message(MESSAGE).startswith("250")


def test_a_client_may_leave_while_it_is_made_to_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Listening(tmp_path, client(messages_per_minute=1)) as listening:
        door, delays = listening.intake.door, []
        door.rates = RateWindow(longest_delay_seconds=60)
        delay = door.delay

        def noted(*arguments: Any) -> float | None:
            delays.append(delay(*arguments))
            return delays[-1]

        monkeypatch.setattr(door, "delay", noted)
        with listening.greeted() as peer:
            for _ in range(2):
                peer.send(MAIL.encode() + b"\r\nRSET\r\n")
            listening.until(lambda: len(delays) == 2)
            peer.reset()
            listening.until(lambda: listening.connections == 0)
        assert delays == [0, 60]


def test_stuffed_messages_are_not_counted_as_errors(tmp_path: Path) -> None:
    with Listening(tmp_path, client()) as listening, listening.greeted() as peer:
        begin_data(peer)
        peer.send(stuffed(b"XYZZY\r\n" * 100))
        assert peer.reply().startswith("250")
