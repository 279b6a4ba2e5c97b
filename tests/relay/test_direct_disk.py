"""Direct mode while the disk refuses: no 5yz without its record, no 250 without its report."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from fakes.direct_relay import DirectRelay, plain_smarthost
from fakes.listening import MESSAGE, RECIPIENT
from fakes.script import Action, Behaviour, when
from fakes.smarthost import Smarthost

from relay.monitor import mail_log
from relay.spool.errors import SpoolBusy
from relay.spool.model import State

GONE = "weg@example.net"


def refusing() -> Smarthost:
    return Smarthost(Behaviour(script={"RCPT": when({GONE: "550 5.1.1 mailbox unknown"})}))


def failing_first(relay: DirectRelay, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The spool's `method` raises SpoolBusy the first time."""
    works = getattr(relay.spool.queue, method)
    calls: list[object] = []

    async def busy_once(*arguments: Any, **keys: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 1:
            raise SpoolBusy("busy")
        return await works(*arguments, **keys)

    monkeypatch.setattr(relay.spool.queue, method, busy_once)


def test_a_refusal_that_cannot_be_recorded_promises_nothing_and_is_reported_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        refusing() as fake,
        DirectRelay(tmp_path, plain_smarthost(fake)) as relay,
        relay.greeted() as peer,
    ):
        failing_first(relay, "settle", monkeypatch)
        peer.mail("info@mijnbakkerij.nl", GONE)
        assert peer.message(MESSAGE) == "452 4.3.2 the disk is too busy, try again"
        relay.event("failed")
        assert len(relay.events.named("dsn")) == 1


def test_a_delivery_that_cannot_be_recorded_is_still_in_the_queue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        refusing() as fake,
        DirectRelay(tmp_path, plain_smarthost(fake)) as relay,
        relay.greeted() as peer,
    ):
        failing_first(relay, "settle", monkeypatch)
        peer.mail()
        assert " queued; relay queue show " in peer.message(MESSAGE)
        relay.event("delivered")
        assert len(fake.accepted) == 1


def test_a_report_that_is_owed_and_cannot_be_stored_means_no_250(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with refusing() as fake, DirectRelay(tmp_path, plain_smarthost(fake)) as relay:
        settle = relay.spool.queue.settle
        sessions = relay.listeners._sessions

        async def leaving(settlement: Any) -> bool:
            settled = await settle(settlement)
            peer.half_close()  # too late to take the refusal back, and nobody may hear it
            while not all(each.left for each in sessions):
                await asyncio.sleep(0.002)
            return settled

        with relay.greeted() as peer:
            peer.mail("info@mijnbakkerij.nl", GONE)
            assert peer.command("DATA").startswith("354")
            monkeypatch.setattr(relay.spool.queue, "settle", leaving)
            accept = relay.spool.queue.accept

            async def busy(message: Any, body: Any, **keys: Any) -> None:
                if message.is_dsn:
                    raise SpoolBusy("busy")
                await accept(message, body, **keys)

            monkeypatch.setattr(relay.spool.queue, "accept", busy)
            peer.send(MESSAGE + b".\r\n")
            assert peer.reply() == "452 4.3.2 the disk is too busy, try again"
        assert [each.recipients[0].address for each in relay.finished(State.FAILED)] == [GONE]


def test_a_session_that_fails_leaves_nobody_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object) -> None:
        raise RuntimeError("no log")

    gate = threading.Event()
    slow = Behaviour(script={"RCPT": when({GONE: Action("550 5.1.1 no", wait_for=gate)})})
    with (
        Smarthost(slow) as fake,
        DirectRelay(tmp_path, plain_smarthost(fake)) as relay,
        relay.greeted() as peer,
    ):
        peer.mail("info@mijnbakkerij.nl", GONE)
        monkeypatch.setattr(mail_log, "accepted", broken)
        assert peer.message(MESSAGE).startswith("451 4.3.0 ")
        assert relay.waiting == 0
        gate.set()
        relay.event("dsn")


def test_a_message_that_could_not_be_stored_leaves_nobody_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        refusing() as fake,
        DirectRelay(tmp_path, plain_smarthost(fake)) as relay,
        relay.greeted() as peer,
    ):
        failing_first(relay, "accept", monkeypatch)
        peer.mail()
        assert peer.message(MESSAGE).startswith("452 4.3.2 ")
        assert relay.waiting == 0
        peer.mail()
        assert f" accepted by {fake.host}: " in peer.message(MESSAGE)
        assert [each.recipients[0].address for each in fake.accepted] == [RECIPIENT]
