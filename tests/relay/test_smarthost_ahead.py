"""The next envelope along with the end of a message: a round trip less, and nothing mixed up."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.delivery_rig import Rig, rig_smarthost
from fakes.script import Action, Behaviour, Script, nth_time
from fakes.smarthost import Smarthost

from relay.delivery.outcome import Judgement, Server, judge_transcript
from relay.envelope import Recipient
from relay.smarthost import ahead
from relay.smarthost.connect import Connection, Timeouts, connect
from relay.smarthost.transaction import transact
from relay.smarthost.transcript import Transcript
from relay.smarthost.wire import Outgoing
from relay.spool.model import Outcome, State

QUICK = Timeouts(*[20] * 7)
FIRST = Outgoing("first@b.nl", (Recipient("c@d.nl"),), 10, False, False, None, None)
SECOND = replace(FIRST, reverse_path="second@b.nl")
THIRD = replace(FIRST, reverse_path="third@b.nl")


class Far:
    """A connection to a server far away that has carried two messages."""

    def __init__(self, fake: Smarthost, connection: Connection) -> None:
        self.fake, self.connection = fake, connection

    async def send(
        self, outgoing: Outgoing, then: Outgoing | None = None, timeouts: Timeouts = QUICK
    ) -> Transcript:
        async def body() -> AsyncIterator[bytes]:
            yield f"of {outgoing.reverse_path}\r\n".encode()

        async def following() -> Outgoing | None:
            return then

        return await transact(self.connection, outgoing, body(), timeouts, following)

    @property
    def commands(self) -> list[str]:
        return self.fake.sessions[0].commands

    @property
    def senders(self) -> list[str]:
        """Whose messages were taken, but for the first two."""
        return [got.sender.address for got in self.fake.accepted[2:]]


@asynccontextmanager
async def far(script: Script | None = None, *offered: str) -> AsyncIterator[Far]:
    with (
        pytest.MonkeyPatch.context() as patch,
        Smarthost(Behaviour(capabilities=offered or ("PIPELINING",))) as fake,
    ):
        patch.setattr(ahead, "_WORTH_SECONDS", 0.0)  # as if it were far away
        connection = await connect(rig_smarthost(fake), "relay.test")
        assert isinstance(connection, Connection)
        it = Far(fake, connection)
        for _ in range(2):
            await it.send(FIRST, THIRD)
            assert connection.begun is None  # the server is still on trial
        fake.behaviour.script = script or {}
        try:
            yield it
        finally:
            connection.exchange.abort("end of the test")


def judged(transcript: Transcript) -> Judgement:
    return judge_transcript(transcript, 1, Server())


async def test_the_next_envelope_is_there_before_the_reply_to_the_message() -> None:
    taken = threading.Event()
    async with far({"DOT": Action(wait_for=taken)}) as it:
        sending = asyncio.create_task(it.send(FIRST, SECOND))
        session = it.fake.sessions[0]
        end = b"of first@b.nl\r\n.\r\nMAIL FROM:<second@b.nl>\r\nRCPT TO:<c@d.nl>\r\nDATA\r\n"
        await asyncio.to_thread(it.fake.wait_until, lambda: session.received.endswith(end))
        assert not sending.done()
        taken.set()
        assert (await sending).dot is not None
        assert it.connection.begun == SECOND
        assert it.connection.exchange.usable
        assert judged(await it.send(SECOND)).fates[0].outcome is Outcome.DELIVERED
        assert it.senders == ["first@b.nl", "second@b.nl"]
        assert [got.content for got in it.fake.accepted[2:]] == [
            b"of first@b.nl\r\n",
            b"of second@b.nl\r\n",
        ]
        assert it.connection.exchange.usable


@pytest.mark.parametrize("offered", [("SIZE",), ("PIPELINING", "CHUNKING")])
async def test_not_without_pipelining_nor_where_bdat_does_more(offered: tuple[str, ...]) -> None:
    async with far(None, *offered) as it:
        await it.send(FIRST, SECOND)
        assert it.connection.begun is None


async def test_not_to_a_server_near_by(monkeypatch: pytest.MonkeyPatch) -> None:
    async with far() as it:
        monkeypatch.setattr(ahead, "_WORTH_SECONDS", 1000.0)
        await it.send(FIRST, SECOND)
        assert it.connection.begun is None


async def test_the_refusal_of_a_message_is_not_that_of_the_next() -> None:
    async with far({"DOT": nth_time({3: "550 5.7.1 spam"})}) as it:
        first = judged(await it.send(FIRST, SECOND))
        second = judged(await it.send(SECOND))
        assert [each.fates[0].outcome for each in (first, second)] == [
            *(Outcome.FAILED, Outcome.DELIVERED)
        ]
        assert it.senders == ["second@b.nl"]


async def test_the_refusal_of_the_next_envelope_is_its_own() -> None:
    async with far({"MAIL": nth_time({4: "550 5.1.8 no such sender"})}) as it:
        assert judged(await it.send(FIRST, SECOND)).fates[0].outcome is Outcome.DELIVERED
        assert judged(await it.send(SECOND)).fates[0].outcome is Outcome.FAILED
        assert it.connection.exchange.usable
        assert judged(await it.send(THIRD)).fates[0].outcome is Outcome.DELIVERED


async def test_two_replies_to_a_message_refuse_nothing_that_comes_next() -> None:
    twice = Action(reply=b"250 2.0.0 taken\r\n550 5.7.1 spam\r\n")
    async with far({"DOT": nth_time({3: twice})}) as it:
        await it.send(FIRST, SECOND)
        judgement = judged(await it.send(SECOND))
        assert judgement.fates[0].outcome is Outcome.DEFERRED
        assert judgement.drop
        assert it.senders == ["first@b.nl"]


async def test_what_was_begun_and_does_not_come_is_cut_off() -> None:
    async with far() as it:
        await it.send(FIRST, SECOND)
        transcript = await it.send(THIRD)
        assert transcript.never_began
        assert not transcript.ahead_failed
        assert not it.connection.exchange.usable
        await asyncio.to_thread(it.fake.wait_until, lambda: bool(it.fake.sessions[0].ended))
        assert it.senders == ["first@b.nl"]


async def test_no_quit_goes_into_a_message_that_was_begun() -> None:
    async with far() as it:
        await it.send(FIRST, SECOND)
        await it.connection.exchange.quit()
        await asyncio.to_thread(it.fake.wait_until, lambda: bool(it.fake.sessions[0].ended))
        assert b"QUIT" not in it.fake.sessions[0].received
        assert it.senders == ["first@b.nl"]


@pytest.mark.parametrize(
    ("answer", "failed"),
    [
        ("503 5.5.1 bad sequence of commands", True),
        ("500 5.5.1 what", True),
        (Action(wait_for=threading.Event()), True),  # it has thrown away what came along
        (Action(drop="before"), False),
        ("421 4.3.2 that is enough for today", False),
    ],
)
async def test_a_server_that_takes_nothing_ahead(answer: str | Action, failed: bool) -> None:
    """The next message never began: it goes over another connection, and counts no attempt."""
    async with far({"MAIL": nth_time({4: answer})}) as it:
        await it.send(FIRST, SECOND)
        transcript = await it.send(SECOND, None, replace(QUICK, mail=0.5))
        assert transcript.never_began
        assert transcript.ahead_failed is it.connection.ahead_failed is failed
        assert it.senders == ["first@b.nl"]


async def test_lost_with_the_reply_the_message_is_in_doubt_and_the_next_is_not() -> None:
    async with far({"DOT": nth_time({3: Action(drop="before")})}) as it:
        assert judged(await it.send(FIRST, SECOND)).fates[0].in_doubt
        assert (await it.send(SECOND)).never_began


# --- The lane ---


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[Outgoing]:
    """What was begun ahead; however near the server is, the next message is waited for."""
    monkeypatch.setattr(ahead, "_WORTH_SECONDS", 0.0)
    monkeypatch.setattr(ahead, "patience_seconds", lambda connection: 20.0)
    every: list[Outgoing] = []
    real = ahead.lines_ahead

    async def noted(connection: Connection, following: ahead.Following | None) -> tuple[bytes, int]:
        lines = await real(connection, following)
        if connection.begun is not None:
            every.append(connection.begun)
        return lines

    monkeypatch.setattr(ahead, "lines_ahead", noted)
    return every


def plain(script: Script | None = None) -> Behaviour:
    return Behaviour(capabilities=("PIPELINING",), script=script or {})


async def stock(rig: Rig, number: int) -> list[int]:
    """Messages that wait, all of them before the first attempt."""
    await rig.dispatcher.stop(0)
    messages = [await rig.accept("a@b.nl", [f"k{n}@example.net"]) for n in range(number)]
    await rig.start()
    return messages


async def test_a_lane_sends_all_of_it_once_over_one_connection(
    tmp_path: Path, begun: list[Outgoing]
) -> None:
    with Smarthost(plain()) as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            messages = await stock(rig, 8)
            await rig.event("delivered", 8)
            assert [await rig.states(each) for each in messages] == [[State.DELIVERED]] * 8
        assert len(fake.sessions) == 1
        assert sorted(got.recipients[0].address for got in fake.received) == [
            f"k{number}@example.net" for number in range(8)
        ]
        assert len(begun) >= 3


async def test_a_server_that_drops_it_gets_the_mail_all_the_same(
    tmp_path: Path, begun: list[Outgoing]
) -> None:
    with Smarthost(plain({"MAIL": nth_time({5: "503 5.5.1 out of sequence"})})) as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            messages = await stock(rig, 8)
            await rig.event("delivered", 8)
            views = [await rig.show(each) for each in messages]
            assert [len(view.attempts) for view in views] == [1] * 8
        assert len(fake.received) == 8
        assert len(begun) == 1  # not once more within the hour


async def test_a_pause_between_cuts_the_next_message_off_and_keeps_it(
    tmp_path: Path, begun: list[Outgoing]
) -> None:
    """The reply to a message closes the lane, while the envelope of the next has left."""
    refused = "550 5.4.5 Daily user sending limit exceeded"
    with Smarthost(plain({"DOT": nth_time({4: refused})})) as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            messages = await stock(rig, 6)
            await rig.event("deferred")
            while any(view.leased for view in await rig.waiting()):
                await rig.settled()
            states = [(await rig.states(each))[0] for each in messages]
            assert sorted(states) == [State.DELIVERED] * 3 + [State.QUEUED] * 3
            assert len(begun) == 1
            waiting = await rig.waiting()
            assert not any(view.in_doubt for view in waiting)
        assert b"QUIT" not in fake.sessions[0].received
