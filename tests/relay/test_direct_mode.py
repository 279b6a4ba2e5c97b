"""Direct mode: the client hears the smarthost's own verdict, or that its message is queued."""

import asyncio
import re
import threading
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from fakes.direct_relay import DirectRelay, plain_smarthost
from fakes.listening import MESSAGE, SENDER, CheckedClient
from fakes.raw_client import stuffed
from fakes.script import Action, Behaviour, Command, when
from fakes.smarthost import Smarthost

from relay.config.model import Client, PolicyKind, Route, SenderPolicy
from relay.intake.context import Patience
from relay.intake.door import Admission
from relay.spool.model import State

GONE = "weg@example.net"
NO_SUCH_USER = "550 5.1.1 mailbox unknown"


def smarthost(**script: object) -> Smarthost:
    """One that answers so; DATA is the only way to hand it a message."""
    return Smarthost(Behaviour(script=script))  # type: ignore[arg-type]


def refusing(*refused: str) -> Smarthost:
    """One that knows these recipients not."""
    return smarthost(RCPT=when(dict.fromkeys(refused or (GONE,), NO_SUCH_USER)))


def send(peer: CheckedClient, *recipients: str, sender: str = SENDER, parameters: str = "") -> str:
    """The reply to the final dot."""
    peer.mail(sender, *recipients, parameters=parameters)
    return peer.message(MESSAGE)


def begin(peer: CheckedClient, *recipients: str) -> None:
    """A message up to its final dot, whose reply is not read."""
    peer.mail(SENDER, *recipients)
    assert peer.command("DATA").startswith("354")
    peer.send(stuffed(MESSAGE))


def reports(fake: Smarthost) -> list[bytes]:
    """The delivery reports that went out."""
    return [each.content for each in fake.accepted if b"multipart/report" in each.content]


QUEUED = re.compile(r"250 2\.0\.0 (\S+) queued; relay queue show \1")


# --- Verdicts ---


def test_what_the_smarthost_takes_is_confirmed_in_its_own_words(tmp_path: Path) -> None:
    with (
        smarthost(DOT="250 2.6.0 Ok: queued as 4F7") as fake,
        DirectRelay(tmp_path, plain_smarthost(fake)) as relay,
        relay.greeted() as peer,
    ):
        reply = send(peer, "klant@example.net")
        assert len(fake.accepted) == 1, "before the reply, not after it"
        assert re.fullmatch(
            r"250 2\.0\.0 \S+ accepted by 127\.0\.0\.1: 250 2\.6\.0 Ok: queued as 4F7", reply
        )
        assert relay.messages() == ()
        assert [each.state for each in relay.finished(State.DELIVERED)] == [State.DELIVERED]
        assert relay.waiting == 0


@pytest.mark.parametrize(
    ("language", "meaning"),
    [
        ("en", "The address of the recipient does not exist. Check the address"),
        ("nl", "Het adres van de ontvanger bestaat niet. Controleer het adres"),
    ],
)
def test_a_refused_recipient_is_the_clients_5yz_and_no_report_follows(
    tmp_path: Path, language: str, meaning: str
) -> None:
    with (
        refusing() as fake,
        DirectRelay(tmp_path, plain_smarthost(fake), language=language) as relay,
        relay.greeted() as peer,
    ):
        reply = send(peer, GONE)
        assert reply.startswith(f"550 5.1.1 {GONE}: {meaning}")
        assert reply.endswith(" (127.0.0.1: mailbox unknown)")
        assert len(reply) <= 510
        (failed,) = relay.finished(State.FAILED)
        assert [each.state for each in failed.recipients] == [State.FAILED]
        assert relay.messages() == ()
        assert relay.events.named("dsn") == []
        assert relay.event("failed")["recipients"] == [GONE]
        (refused,) = relay.events.named("refused")
        assert refused["id"] == relay.event("accepted")["id"]
        assert refused["reply"].startswith("550 5.1.1 ")
        # The same session goes on.
        assert send(peer, "klant@example.net").startswith("250 2.0.0 ")
        assert reports(fake) == []


def test_a_refusal_after_the_message_is_for_all_its_recipients(tmp_path: Path) -> None:
    with (
        smarthost(DOT="552 5.3.4 too large, 30 MB at most") as fake,
        DirectRelay(tmp_path, plain_smarthost(fake)) as relay,
        relay.greeted() as peer,
    ):
        reply = send(peer, "een@example.net", "twee@example.net")
        assert reply.startswith(
            "552 5.3.4 een@example.net, twee@example.net: The message is larger"
        )
        assert relay.messages() == ()


def test_refusals_that_differ_are_told_by_the_first_and_by_where_the_others_are(
    tmp_path: Path,
) -> None:
    answers = {"weg@": NO_SUCH_USER, "vol@": "552 5.2.2 mailbox full"}
    with (
        smarthost(RCPT=when(answers)) as fake,
        DirectRelay(tmp_path, plain_smarthost(fake)) as relay,
        relay.greeted() as peer,
    ):
        reply = send(peer, GONE, "vol@example.net")
        assert reply.startswith(f"550 5.1.1 {GONE}: ")
        assert re.search(r"mailbox unknown\); \+1: relay queue show \S+$", reply)


def test_a_hostile_reply_stays_one_line_of_ascii(tmp_path: Path) -> None:
    hostile = "550-5.7.1 geblokkeerd é {id} %s\n" + "\n".join(
        f"550-5.7.1 {'x' * 400}" for _ in range(30)
    )
    with (
        smarthost(RCPT=when({"weg@": hostile + "\n550 5.7.1 end"})) as fake,
        DirectRelay(tmp_path, plain_smarthost(fake)) as relay,
        relay.greeted() as peer,
    ):
        peer.mail(SENDER, GONE)
        reply = peer.message(MESSAGE)
        assert reply.startswith(f"550 5.7.1 {GONE}: ")
        assert len(reply) <= 510
        assert "geblokkeerd e {id} %s x" in reply
        assert peer.command("NOOP") == "250 2.0.0 ok"


@pytest.mark.parametrize(
    ("script", "cause"),
    [
        ({"RCPT": when({"weg": "451 4.2.1 later"})}, "temporary"),
        ({"DOT": "421 4.3.2 closing"}, "the server leaves"),
        ({"CONNECT": "554 5.3.2 not today"}, "no connection"),
        ({"MAIL": "503 5.5.1 confused"}, "confusion"),
    ],
)
def test_what_is_refused_for_now_is_queued_at_once(
    tmp_path: Path, script: dict[str, object], cause: str
) -> None:
    with (
        smarthost(**script) as fake,
        DirectRelay(tmp_path, plain_smarthost(fake)) as relay,
        relay.greeted() as peer,
    ):
        assert QUEUED.fullmatch(send(peer, GONE)), cause
        (waiting,) = relay.messages()
        assert waiting.state is State.QUEUED
        assert relay.waiting == 0


def test_a_lost_reply_to_the_final_dot_is_queued_and_in_doubt(tmp_path: Path) -> None:
    with (
        smarthost(DOT=Action(drop="before")) as fake,
        DirectRelay(tmp_path, plain_smarthost(fake)) as relay,
        relay.greeted() as peer,
    ):
        assert QUEUED.fullmatch(send(peer, "klant@example.net"))
        (waiting,) = relay.messages()
        assert (waiting.state, waiting.in_doubt) == (State.QUEUED, True)


def test_a_sender_that_is_not_allowed_is_held_and_said_so(tmp_path: Path) -> None:
    denied = "554 5.2.252 SendAsDenied; bakker@example.nl not allowed to send as info@example.nl"
    with (
        smarthost(DOT=denied) as fake,
        DirectRelay(tmp_path, plain_smarthost(fake)) as relay,
        relay.greeted() as peer,
    ):
        reply = send(peer, "klant@example.net")
        held = r"250 2\.0\.0 (\S+) held, not sent: The login is good, .* relay queue show \1"
        assert re.fullmatch(held, reply)
        assert [each.state for each in relay.messages()] == [State.HELD]


def test_taken_for_some_and_refused_for_others_is_250_and_a_report(tmp_path: Path) -> None:
    with (
        refusing() as fake,
        DirectRelay(tmp_path, plain_smarthost(fake)) as relay,
        relay.greeted() as peer,
    ):
        reply = send(peer, "klant@example.net", GONE)
        said = rf"250 2\.0\.0 (\S+) sent, but refused for {GONE}; relay queue show \1"
        assert re.fullmatch(said, reply)
        fake.wait_until(lambda: len(reports(fake)) == 1)
        assert GONE.encode() in reports(fake)[0]


def test_refusals_are_no_errors_of_the_client(tmp_path: Path) -> None:
    with (
        refusing() as fake,
        DirectRelay(tmp_path, plain_smarthost(fake)) as relay,
        relay.greeted() as peer,
    ):
        for _ in range(25):
            assert send(peer, GONE).startswith("550 5.1.1")
        assert reports(fake) == []


# --- Several lanes, copies ---

ROUTES = (Route(smarthosts=("b",), recipient="*@b.nl"), Route(smarthosts=("a",)))


def two(tmp_path: Path, a: Smarthost, b: Smarthost, **settings: Any) -> DirectRelay:
    smarthosts = (plain_smarthost(a, "a"), plain_smarthost(b, "b"))
    return DirectRelay(tmp_path, *smarthosts, routes=ROUTES, **settings)


def test_two_smarthosts_that_both_refuse_make_one_5yz(tmp_path: Path) -> None:
    with (
        refusing("een@a.nl") as a,
        refusing("twee@b.nl") as b,
        two(tmp_path, a, b) as relay,
        relay.greeted() as peer,
    ):
        assert send(peer, "een@a.nl", "twee@b.nl").startswith("550 5.1.1 een@a.nl, twee@b.nl: ")
        assert relay.messages() == ()
        assert relay.events.named("dsn") == []


def test_of_two_smarthosts_one_takes_it_and_the_other_refuses(tmp_path: Path) -> None:
    refused, gate = threading.Event(), threading.Event()

    def slowly(command: Command) -> Action:
        refused.wait(10)
        return Action(wait_for=gate)

    with (
        refusing("een@a.nl") as a,
        smarthost(DOT=slowly) as b,
        two(tmp_path, a, b) as relay,
        relay.greeted() as peer,
    ):
        begin(peer, "een@a.nl", "twee@b.nl")
        relay.event("failed")
        refused.set()
        assert relay.events.named("dsn") == [], "it may still come to a 5yz"
        gate.set()
        assert re.match(r"250 2\.0\.0 \S+ sent, but refused for een@a\.nl;", peer.reply())
        assert len(relay.events.named("dsn", kind="report")) == 1
        a.wait_until(lambda: len(reports(a) + reports(b)) == 1)


def test_of_two_smarthosts_one_refuses_and_the_other_is_too_slow(tmp_path: Path) -> None:
    gate = threading.Event()
    with (
        refusing("een@a.nl") as a,
        smarthost(DOT=Action("550 5.7.1 no", wait_for=gate)) as b,
        two(tmp_path, a, b, wait_seconds=0.5) as relay,
        relay.greeted() as peer,
    ):
        assert QUEUED.fullmatch(send(peer, "een@a.nl", "twee@b.nl"))
        assert len(relay.events.named("dsn", kind="report")) == 1
        gate.set()
        relay.event("dsn", count=2)
        a.wait_until(lambda: len(reports(a) + reports(b)) >= 1)


def test_a_copy_that_fails_does_not_make_a_refusal(tmp_path: Path) -> None:
    bcc = SenderPolicy(PolicyKind.KEEP, None, ("archief@example.net",))
    with (
        refusing("archief@example.net") as fake,
        DirectRelay(tmp_path, plain_smarthost(fake), sender=bcc) as relay,
        relay.greeted() as peer,
    ):
        assert " accepted by 127.0.0.1: " in send(peer, "klant@example.net")
        assert relay.events.named("dsn") == []


def test_a_copy_that_arrives_does_not_hide_a_refusal(tmp_path: Path) -> None:
    bcc = SenderPolicy(PolicyKind.KEEP, None, ("archief@example.net",))
    with (
        refusing() as fake,
        DirectRelay(tmp_path, plain_smarthost(fake), sender=bcc) as relay,
        relay.greeted() as peer,
    ):
        assert send(peer, GONE).startswith("550 5.1.1 ")
        assert [each.recipients[0].address for each in fake.accepted] == ["archief@example.net"]


# --- Not waiting in vain ---


def test_a_paused_account_is_answered_at_once(tmp_path: Path) -> None:
    with (
        smarthost(MAIL="535 5.7.8 log in again") as fake,
        DirectRelay(tmp_path, plain_smarthost(fake)) as relay,
        relay.greeted() as peer,
    ):
        assert QUEUED.fullmatch(send(peer, "een@example.net"))
        relay.event("paused")
        sessions = len(fake.sessions)
        assert QUEUED.fullmatch(send(peer, "twee@example.net"))
        assert len(fake.sessions) == sessions


def test_what_exceeds_a_limit_is_answered_at_once(tmp_path: Path) -> None:
    with (
        smarthost() as fake,
        DirectRelay(tmp_path, plain_smarthost(fake, messages_per_minute=1)) as relay,
        relay.greeted() as peer,
    ):
        assert " accepted by " in send(peer, "een@example.net")
        assert QUEUED.fullmatch(send(peer, "twee@example.net"))
        relay.later(61)
        relay.wake()
        fake.wait_for(2)


def test_who_waits_for_a_lane_that_gets_blocked_hears_so(tmp_path: Path) -> None:
    gate = threading.Event()
    with (
        smarthost(MAIL=Action("421 4.7.0 go away", wait_for=gate)) as fake,
        DirectRelay(tmp_path, plain_smarthost(fake, max_connections=1)) as relay,
        relay.greeted() as first,
        relay.greeted() as second,
    ):
        begin(first, "een@example.net")
        relay.until(lambda: relay.waiting == 1)
        begin(second, "twee@example.net")
        relay.until(lambda: relay.waiting == 2)
        gate.set()
        assert QUEUED.fullmatch(first.reply())
        assert QUEUED.fullmatch(second.reply())


def test_mail_that_is_held_on_arrival_does_not_wait(tmp_path: Path) -> None:
    with smarthost() as fake, DirectRelay(tmp_path, plain_smarthost(fake)) as relay:
        learning = Admission(ip_address("192.168.1.40"), Client("learning", ()), learning=True)
        relay.intake.door.find = lambda address, now: learning  # type: ignore[method-assign]
        with relay.greeted() as peer:
            assert " held until 192.168.1.40 is allowed; " in send(peer, "klant@example.net")
        assert relay.waiting == 0
        assert fake.sessions == []


# --- Time-out, departure, the end ---


def slow_refusal(gate: threading.Event) -> Callable[[Command], object]:
    """550 for the recipient that is gone, once the gate is open; reports go through."""
    return when({GONE: Action(NO_SUCH_USER, wait_for=gate)})


def test_too_slow_a_verdict_is_queued_and_its_refusal_reported(tmp_path: Path) -> None:
    gate = threading.Event()
    with (
        smarthost(RCPT=slow_refusal(gate)) as fake,
        DirectRelay(tmp_path, plain_smarthost(fake), wait_seconds=0.2) as relay,
        relay.greeted() as peer,
    ):
        assert QUEUED.fullmatch(send(peer, GONE))
        assert relay.waiting == 0
        gate.set()
        fake.wait_until(lambda: len(reports(fake)) == 1)
        assert len(relay.events.named("dsn")) == 1


@pytest.mark.parametrize("leave", ["close", "reset", "half_close"])
def test_who_leaves_while_waiting_gets_a_report(tmp_path: Path, leave: str) -> None:
    gate = threading.Event()
    with (
        smarthost(RCPT=slow_refusal(gate)) as fake,
        DirectRelay(tmp_path, plain_smarthost(fake)) as relay,
    ):
        peer = relay.greeted()
        begin(peer, GONE)
        relay.until(lambda: relay.waiting == 1)
        getattr(peer, leave)()
        if leave == "half_close":
            assert QUEUED.fullmatch(peer.reply())
        relay.until(lambda: relay.waiting == 0)
        gate.set()
        fake.wait_until(lambda: len(reports(fake)) == 1)
        peer.close()
        relay.until(lambda: relay.connections == 0 and not relay.tasks())


@pytest.mark.parametrize("leave", ["close", "reset"])
def test_who_leaves_while_the_refusal_is_being_recorded_gets_a_report(
    tmp_path: Path, leave: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        refusing() as fake,
        DirectRelay(tmp_path, plain_smarthost(fake)) as relay,
    ):
        settle = relay.spool.queue.settle
        session = relay.listeners._sessions

        async def leaving(settlement: object) -> bool:
            settled = await settle(settlement)  # type: ignore[arg-type]
            getattr(peer, leave)()
            while not all(each.left for each in session):
                await asyncio.sleep(0.002)
            return settled

        monkeypatch.setattr(relay.spool.queue, "settle", leaving)
        peer = relay.greeted()
        begin(peer, GONE)
        relay.event("failed")
        monkeypatch.setattr(relay.spool.queue, "settle", settle)
        fake.wait_until(lambda: len(reports(fake)) == 1)
        assert len(relay.events.named("dsn")) == 1
        assert relay.events.named("refused") == []


def test_the_end_of_the_relay_does_not_wait_for_verdicts(tmp_path: Path) -> None:
    gate = threading.Event()
    with (
        smarthost(RCPT=slow_refusal(gate)) as fake,
        DirectRelay(tmp_path, plain_smarthost(fake)) as relay,
        relay.greeted() as peer,
        relay.greeted() as late,
    ):
        late.mail()
        assert late.command("DATA").startswith("354")
        begin(peer, GONE)
        relay.until(lambda: relay.waiting == 1)
        ended = relay.call(lambda: asyncio.ensure_future(relay.listeners.stop(10)))
        assert QUEUED.fullmatch(peer.reply())
        assert relay.events.named("attempt") == [], "before the smarthost's answer"
        assert peer.reply().startswith("421 4.3.2 ")
        late.send(stuffed(MESSAGE))
        assert QUEUED.fullmatch(late.reply())
        relay.until(ended.done)
        assert GONE in [each.recipients[0].address for each in relay.messages()]
        gate.set()


def test_commands_sent_ahead_are_answered_after_the_verdict(tmp_path: Path) -> None:
    with (
        refusing() as fake,
        DirectRelay(tmp_path, plain_smarthost(fake)) as relay,
        relay.greeted() as peer,
    ):
        begin(peer, GONE)
        peer.send(b"NOOP\r\nQUIT\r\n")
        assert [peer.reply()[:9] for _ in range(3)] == ["550 5.1.1", "250 2.0.0", "221 2.0.0"]


def test_a_client_that_waits_is_not_timed_out_by_the_session(tmp_path: Path) -> None:
    gate = threading.Event()
    patience = Patience(command_seconds=0.2, data_idle_seconds=0.2)
    with (
        smarthost(RCPT=slow_refusal(gate)) as fake,
        DirectRelay(tmp_path, plain_smarthost(fake), patience=patience) as relay,
        relay.greeted() as peer,
    ):
        begin(peer, GONE)
        threading.Timer(0.6, gate.set).start()
        assert peer.reply().startswith("550 5.1.1 ")
