"""The dialogs in tests/dialogs, played by a raw client against the listener.

A dialog is a text that a mail administrator can read, one step a line:

    # a comment
    With: any_login            settings of the listener, before the first step
    With: direct               a smarthost stands behind it, whose verdict the client waits for
    Smarthost: RCPT 550 no     what that one answers, or "drops"; before the first step
    C: EHLO kassa              a line of the client; lines in a row leave in one segment
    B: MAIL FROM:<a\\xff@b>\\r\\n   bytes of the client, with escapes, no line ending added
    S: 250 2.0.0 ok            a line of the relay, exactly
    S~ 250 2\\.0\\.0 .* accepted  a line of the relay, by a regular expression
    S closes                   the relay closes the connection
    Stored: 1                  how many messages the spool holds
"""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fakes.certificates import Authority
from fakes.direct_relay import DirectRelay, plain_smarthost
from fakes.listening import CheckedClient, Listening, client
from fakes.script import Action, Behaviour
from fakes.smarthost import Smarthost

from relay.config.model import Listener, TlsMode

DIALOGS = sorted((Path(__file__).parents[1] / "dialogs").glob("*.txt"))


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a dialog."""

    number: int
    kind: str
    text: str


_STEP = re.compile(r"(With:|Smarthost:|C:|B:|S:|S~|S closes|Stored:) ?(.*)")


def steps(text: str) -> Iterator[Step]:
    """The steps of a dialog. Raises ValueError for a line that is none."""
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        found = _STEP.fullmatch(line)
        if found is None:
            raise ValueError(f"line {number} is no step: {line}")
        yield Step(number, found[1], found[2])


def settings(dialog: list[Step], authority: Authority) -> dict[str, Any]:
    """What `Listening` needs for the dialog's With: lines."""
    words = [word for step in dialog if step.kind == "With:" for word in step.text.split()]
    given = dict(word.partition("=")[::2] for word in words)
    certificate = authority.issue() if "starttls" in given else None
    listener = Listener(
        "127.0.0.1",
        0,
        tls=TlsMode.STARTTLS if certificate else TlsMode.NONE,
        certificate=certificate.chain if certificate else None,
        key=certificate.key if certificate else None,
        max_message_bytes=int(given.get("max_message_bytes", 52_428_800)),
        max_recipients=int(given.get("max_recipients", 1000)),
    )
    return {
        "listener": listener,
        "language": given.get("language", "en"),
        "sandbox": "sandbox" in given,
        "client": client(any_login="any_login" in given, require_tls="require_tls" in given),
        "direct": "direct" in given,
    }


def script(dialog: list[Step]) -> dict[str, str | Action]:
    """The behaviour of the smarthost by the dialog's Smarthost: lines."""
    answers = [step.text.partition(" ") for step in dialog if step.kind == "Smarthost:"]
    return {
        verb: Action(drop="before") if answer == "drops" else answer for verb, _, answer in answers
    }


@contextlib.contextmanager
def relay(directory: Path, dialog: list[Step], authority: Authority) -> Iterator[Listening]:
    """The listener that the dialog wants."""
    given = settings(dialog, authority)
    clients = given.pop("client")
    if not given.pop("direct"):
        with Listening(directory, clients, **given) as listening:
            yield listening
        return
    with (
        Smarthost(Behaviour(script=script(dialog))) as smarthost,
        DirectRelay(directory, plain_smarthost(smarthost), clients=(clients,), **given) as direct,
    ):
        yield direct


def play(dialog: list[Step], peer: CheckedClient, listening: Listening) -> None:
    """Each step in order; an AssertionError names the line."""
    waiting = b""
    for step in dialog:
        where = f"line {step.number}: {step.kind} {step.text}"
        if step.kind == "C:":
            waiting += step.text.encode() + b"\r\n"
            continue
        if step.kind == "B:":
            waiting += step.text.encode("latin-1").decode("unicode_escape").encode("latin-1")
            continue
        if waiting:
            peer.send(waiting)
            waiting = b""
        if step.kind == "S:":
            assert peer.line() == step.text, where
        elif step.kind == "S~":
            line = peer.line()
            assert re.fullmatch(step.text, line), f"{where}\ngot {line}"
        elif step.kind == "S closes":
            assert peer.rest() == b"", where
        elif step.kind == "Stored:":
            assert len(listening.messages()) == int(step.text), where
    assert not waiting, "the last step must be the relay's"


@pytest.mark.parametrize("path", DIALOGS, ids=lambda path: path.stem)
def test_dialog(path: Path, tmp_path: Path, authority: Authority) -> None:
    dialog = list(steps(path.read_text(encoding="utf-8")))
    with relay(tmp_path, dialog, authority) as listening:
        with listening.connect() as peer:
            play(dialog, peer, listening)
        listening.until(lambda: listening.connections == 0)


def test_there_are_dialogs_and_each_ends_with_the_relay() -> None:
    assert len(DIALOGS) > 15
    for path in DIALOGS:
        assert list(steps(path.read_text(encoding="utf-8")))[-1].kind in ("S closes", "Stored:")


@pytest.mark.parametrize("line", ["X: what", "S EHLO", "250 ok"])
def test_a_line_that_is_no_step_is_an_error(line: str) -> None:
    with pytest.raises(ValueError, match="line 1"):
        list(steps(line))
