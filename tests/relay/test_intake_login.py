"""AUTH for programs that insist on a login: anything is accepted, and nothing of it is kept."""

import base64
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.listening import MESSAGE, CheckedClient, Listening, client

from relay.monitor.log_writer import LogWriter

CANARY = "kanarie-Zx81-geheim"


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


NAME, PASSWORD, PLAIN = b64("bakker"), b64(CANARY), b64(f"\0bakker\0{CANARY}")
SECRETS = (CANARY, PASSWORD, PLAIN, b64(f"bakker {CANARY}"))


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[Listening]:
    with Listening(tmp_path, client(any_login=True)) as listening:
        yield listening


DIALOGS = {
    "PLAIN with an initial response": [f"AUTH PLAIN {PLAIN}"],
    "PLAIN with a challenge": ["AUTH PLAIN", PLAIN],
    "PLAIN with an empty initial response": ["AUTH PLAIN ="],
    "plain in small letters": [f"auth plain {PLAIN}"],
    "LOGIN": ["AUTH LOGIN", NAME, PASSWORD],
    "LOGIN with the name at once": [f"AUTH LOGIN {NAME}", PASSWORD],
    "CRAM-MD5": ["AUTH CRAM-MD5", b64(f"bakker {CANARY}")],
}


@pytest.mark.parametrize("name", DIALOGS)
def test_any_login_is_right(listening: Listening, name: str) -> None:
    with listening.greeted() as peer:
        *others, last = DIALOGS[name]
        for line in others:
            assert peer.command(line).startswith("334 ")
        assert peer.command(last) == "235 2.7.0 logged in"
        peer.mail()
        assert peer.message(MESSAGE).startswith("250")


@pytest.mark.parametrize("name", ["PLAIN with a challenge", "LOGIN", "CRAM-MD5"])
def test_a_login_may_be_cancelled_at_each_challenge(listening: Listening, name: str) -> None:
    with listening.greeted() as peer:
        lines = DIALOGS[name]
        for answered in range(1, len(lines)):
            for line in lines[:answered]:
                assert peer.command(line).startswith("334 ")
            assert peer.command("*") == "501 5.7.0 login cancelled"
        assert peer.command(f"AUTH PLAIN {PLAIN}").startswith("235")


def test_what_is_no_base64_is_refused(listening: Listening) -> None:
    with listening.greeted() as peer:
        for wrong in ("AUTH PLAIN %%%%", "AUTH PLAIN a"):
            assert peer.command(wrong) == "501 5.5.2 not valid base64"
        assert peer.command("AUTH GSSAPI").startswith("504 5.5.4")


def test_a_client_that_leaves_at_a_challenge_disturbs_nobody(listening: Listening) -> None:
    with listening.greeted() as peer:
        peer.command("AUTH LOGIN")
    listening.until(lambda: listening.connections == 0)
    with listening.greeted() as peer:
        assert peer.command(f"AUTH PLAIN {PLAIN}").startswith("235")


def test_an_answer_without_end_ends_the_session(listening: Listening) -> None:
    with listening.greeted() as peer:
        assert peer.command("AUTH LOGIN").startswith("334")
        peer.send(b"x" * 200_000)
        assert peer.reply() == "500 5.5.2 the command is too long"
        assert peer.reply() == "421 4.7.0 too many errors, closing"
        assert peer.rest() == b""


def every_login(peer: CheckedClient) -> None:
    """All ways to say the password, right and wrong, known and unknown."""
    for dialog in DIALOGS.values():
        for line in dialog:
            peer.command(line)
        peer.command("EHLO kassa")
    peer.command(f"AUTH GSSAPI {PLAIN}")
    peer.command(f"AUTH PLAIN {PLAIN}%")
    peer.mail()
    assert peer.message(MESSAGE).startswith("250")


@pytest.mark.parametrize("any_login", [True, False])
def test_the_password_is_in_no_log_and_not_on_the_disk(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, any_login: bool
) -> None:
    caplog.set_level(logging.DEBUG)
    with (tmp_path / "log").open("w+") as stream:
        writer = LogWriter(stream, logging.DEBUG)
        try:
            with Listening(tmp_path, client(any_login=any_login)) as listening:
                for _ in range(2):
                    with listening.greeted() as peer:
                        every_login(peer)
                stored = listening.stored_bytes()
                assert b"mijnbakkerij" in stored
        finally:
            writer.close()
        stream.seek(0)
        log = stream.read() + caplog.text
    assert '"accepted"' in log
    if any_login:
        assert '"login"' in log
    for secret in SECRETS:
        assert secret not in log
        assert secret.encode() not in stored


def test_the_log_says_that_a_login_was_not_checked(
    listening: Listening, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with listening.greeted() as peer:
        peer.command(f"AUTH PLAIN {PLAIN}")
    (record,) = [each for each in caplog.records if each.msg == "login"]
    assert record.__dict__["fields"] == {
        "client": "kassa",
        "address": "127.0.0.1",
        "mechanism": "PLAIN",
        "checked": False,
    }
