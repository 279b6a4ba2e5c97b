"""Texts as people paste them: the reply in them is found, and its cause."""

import time
import tomllib
from pathlib import Path
from typing import Any

import pytest

from presets.dialogue import phase_told, undecorated
from presets.explain import Phase, Scope, explain, explain_text, old_advice
from presets.paste import passages
from presets.reply import TEXT_LIMIT

PASTES = tomllib.loads((Path(__file__).parent / "data" / "pastes.toml").read_text("utf-8"))["paste"]


def title(paste: dict[str, Any]) -> str:
    return " ".join(paste["text"].split())[:60]


@pytest.mark.parametrize("paste", PASTES, ids=title)
def test_a_pasted_text_is_understood(paste: dict[str, Any]) -> None:
    phase = Phase(paste["phase"]) if "phase" in paste else None
    found = explain(paste["text"], provider=paste.get("ask"), phase=phase)
    assert (found.cause, found.scope) == (paste["cause"], paste["scope"])
    assert found.known is paste.get("known", True)
    assert paste.get("retry", found.retry) == found.retry
    assert paste.get("provider", found.provider) == found.provider
    assert paste.get("meaning", "") in found.meaning
    dutch = explain(paste["text"], provider=paste.get("ask"), phase=phase, language="nl")
    assert paste.get("step", "") in " ".join(dutch.steps)


@pytest.mark.parametrize("paste", PASTES, ids=title)
def test_quoting_it_changes_nothing(paste: dict[str, Any]) -> None:
    lines = paste["text"].strip("\r\n").splitlines()
    # A time before each line of several would make each of them an entry of its own.
    for prefix in ("> ", "> > ", "   ", *(["[09:10:11] "] if len(lines) == 1 else [])):
        quoted = "\r\n".join(prefix + line for line in lines)
        assert explain(quoted, provider=paste.get("ask")).cause == paste["cause"], prefix


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("Foutmelding: 550 5.1.1 User unknown", "550 5.1.1 User unknown"),
        ("smtplib.SMTPDataError: (554, b'5.6.0 wobble')", "554 5.6.0 wobble')"),
        ("220 ready\n250 ok\n550 5.1.1 User unknown\n221 bye", "550 5.1.1 User unknown"),
        ("504 5.5.4 flurble\n535 5.7.8 Authentication failed", "535 5.7.8 Authentication failed"),
        ("550 flurble\nConnection timed out", "550 flurble Connection timed out"),
        ("10:00:01 550 flurble\n10:00:02 Connection timed out", "550 flurble"),
    ],
)
def test_which_reply_is_explained(text: str, chosen: str) -> None:
    assert str(explain_text(text)[1]) == chosen


def test_old_advice_is_told_beside_the_reply() -> None:
    for paste in PASTES:
        if "also" in paste:
            advice = old_advice(paste["text"], language="nl")
            assert advice is not None
            assert advice.cause == paste["also"]
    assert old_advice("535 5.7.8 Username and Password not accepted") is None


@pytest.mark.parametrize(
    ("text", "phase"),
    [
        ("said: 550 no (in reply to RCPT TO command)", Phase.RCPT),
        ("said: 550 no (in reply to end of DATA command)", Phase.DOT),
        ("SMTP error from remote mail server after MAIL FROM:<a@b.example>: 550 no", Phase.MAIL),
        ("SMTP ERROR: Password command failed: 535 no", Phase.AUTH),
        ("SMTP ERROR: RCPT TO command failed: 550 no", Phase.RCPT),
        ("smtplib.SMTPSenderRefused: (550, b'no')", Phase.MAIL),
        ("msmtp: envelope from address a@b.example not accepted by the server", Phase.MAIL),
        ("failed id=7 phase=rcpt reply=550", Phase.RCPT),
        ("550 no", None),
    ],
)
def test_the_phase_is_read_from_the_text(text: str, phase: Phase | None) -> None:
    assert phase_told(text) is phase


def test_a_reply_answers_the_command_above_it() -> None:
    dialogue = (
        "EHLO kassa\n250 ok\nMAIL FROM:<a@b.example>\n501 5.1.3 Invalid address\nQUIT\n221 bye"
    )
    assert [each.phase for each in passages(dialogue) if each.reply.code == 501] == [Phase.MAIL]
    assert explain(dialogue).scope is Scope.SENDER
    assert explain(dialogue.replace("MAIL FROM", "RCPT TO")).scope is Scope.RECIPIENT


def test_the_phase_that_was_asked_for_wins() -> None:
    text = "said: 501 5.1.3 Invalid address (in reply to RCPT TO command)"
    assert explain(text).scope is Scope.RECIPIENT
    assert explain(text, phase=Phase.MAIL).scope is Scope.SENDER


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("2026-03-03 10:14:02,123 ERROR 550 no", "550 no"),
        ("2026-03-03T09:14:02.123Z 550 no", "550 no"),
        ("3-3-2026 10:14:02 550 no", "550 no"),
        ("Tue, Mar  3 10:14:02 550 no", "550 no"),
        ("[10:14:02] [ERROR] 550 no", "550 no"),
        ("<** 550 no", "550 no"),
        ("< 550 no", "550 no"),
        ("SERVER -> CLIENT: 550 no", "550 no"),
        ("reply: b'550 no", "550 no"),
        ("> >  550 no", "550 no"),
        ("<jan@klant.example>: no", "<jan@klant.example>: no"),
        ("* OK IMAP4rev1", "* OK IMAP4rev1"),
        ("Error: 535 5.7.8 no", "Error: 535 5.7.8 no"),
    ],
)
def test_times_and_arrows_are_taken_off(raw: str, text: str) -> None:
    assert undecorated(raw).text == text


def test_utf_16_from_a_pipe_is_read() -> None:
    pasted = "550 5.1.1 User unknown".encode("utf-16").decode("utf-8", "surrogateescape")
    assert explain(pasted).cause == "user-unknown"


BAIT = [
    "550-",
    "550-5.1.1 ",
    "550 5.1.1 said: ",
    "at ....",
    "at a(",
    "<p ",
    "&amp;",
    "> ",
    "\\n",
    "Diagnostic-Code: smtp; 550\nReceived: x\n ",
    "(550, b'",
    "zonder login ",
    "poort 25 zonder ",
    "a@b; ",
    "MAIL FROM:<",
    "10:10 ",
    "zet firewall ",
    "1.2.3.",
    "\x1b[31m",
    "é\u0308",
]


@pytest.mark.parametrize("bait", BAIT)
def test_a_hostile_text_takes_no_time(bait: str) -> None:
    explain("550 5.1.1 User unknown")  # the knowledge is read once
    for text in ((bait * 200_000)[:200_000], (f"{bait}\n" * 100_000)[:200_000]):
        start = time.process_time()
        found, reply = explain_text(text)
        old_advice(text)
        assert time.process_time() - start < 2
        assert found.steps
        assert len(reply.text) <= TEXT_LIMIT
        assert str(reply).isprintable()
