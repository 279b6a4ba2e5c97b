"""Small messages over a connection that has shown what it is worth: by BDAT, in one round trip."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from fakes.delivery_rig import rig_smarthost
from fakes.script import Action, Behaviour, Script, when
from fakes.smarthost import Smarthost

from relay.delivery.outcome import Server, judge_transcript
from relay.envelope import Recipient
from relay.smarthost import bdat
from relay.smarthost.connect import Connection, connect
from relay.smarthost.transaction import transact
from relay.smarthost.transcript import Transcript
from relay.smarthost.wire import Outgoing
from relay.spool.model import Outcome


class Warm:
    """A connection that has carried as much as it takes to go on by BDAT."""

    def __init__(self, fake: Smarthost, connection: Connection) -> None:
        self.fake, self.connection = fake, connection

    async def send(
        self, *pieces: bytes, to: tuple[str, ...] = ("c@d.nl",), size_bytes: int = 10
    ) -> Transcript:
        names = tuple(map(Recipient, to))
        outgoing = Outgoing("a@b.nl", names, size_bytes, False, False, None, None)
        return await transact(self.connection, outgoing, given(*pieces))

    @property
    def last(self) -> str:
        """The last command that the server got."""
        return self.fake.sessions[0].commands[-1]


async def given(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


@asynccontextmanager
async def warm(
    script: Script | None = None, *offered: str, seconds: float = 1e9
) -> AsyncIterator[Warm]:
    capabilities = offered or ("PIPELINING", "CHUNKING")
    with (
        pytest.MonkeyPatch.context() as patch,
        Smarthost(Behaviour(capabilities=capabilities)) as fake,
    ):
        patch.setattr(bdat, "_WARM_SECONDS", seconds)  # a busy machine is not an idle connection
        connection = await connect(rig_smarthost(fake), "relay.test")
        assert isinstance(connection, Connection)
        it = Warm(fake, connection)
        for _ in range(2):
            await it.send(b"first\r\n")
        assert not any(got.chunked for got in fake.accepted)
        fake.behaviour.script = script or {}
        try:
            yield it
        finally:
            connection.exchange.abort("end of the test")


@pytest.mark.parametrize(
    "content",
    [
        b"A: b\r\n\r\n.dot\r\n..two\r\n.\r\nend\r\n",
        b"",
        b"no end of line",
        b".\r\n",
        b"\r\n.\r\nRSET\r\nMAIL FROM:<evil@b.nl>\r\n",
    ],
)
async def test_what_arrives_is_the_same_by_bdat_as_by_data(content: bytes) -> None:
    async with warm() as chunking, warm(None, "PIPELINING") as plain:
        for it in (chunking, plain):
            transcript = await it.send(content[:5], content[5:], to=("c@d.nl", "e@f.nl"))
            assert transcript.dot is not None
        (by_bdat, by_data) = chunking.fake.accepted[-1], plain.fake.accepted[-1]
        assert (by_bdat.chunked, by_data.chunked) == (True, False)
        assert by_bdat.content == by_data.content
        assert by_bdat.recipients == by_data.recipients
        assert "evil" not in " ".join(chunking.fake.sessions[0].commands)


async def test_it_is_one_round_trip() -> None:
    """The server keeps all its replies back until it has the message."""
    whole = threading.Event()
    async with warm({"MAIL": Action(wait_for=whole)}) as it:
        before = len(it.fake.sessions[0].received)
        sending = asyncio.create_task(it.send(b"x\r\n"))
        await asyncio.to_thread(it.fake.wait_until, lambda: it.last.startswith("MAIL"))
        assert it.fake.sessions[0].received[before:].endswith(b"BDAT 3 LAST\r\nx\r\n")
        whole.set()
        assert (await sending).dot is not None


async def test_a_large_message_goes_by_data_and_an_idle_connection_too() -> None:
    large = b"Hello, hello.\r\n" * (bdat.MOST_BYTES // 15 + 1)
    async with warm() as it:
        await it.send(large[:1000], large[1000:])
        await it.send(large[:100_000])
        assert [got.chunked for got in it.fake.accepted[2:]] == [False, True]
        assert it.fake.accepted[2].content == large
    async with warm(seconds=0) as it:
        await it.send(b"x\r\n")
        assert not it.fake.accepted[2].chunked


async def test_chunking_without_pipelining_is_of_no_use() -> None:
    async with warm(None, "CHUNKING") as it:
        await it.send(b"x\r\n")
        assert not it.fake.accepted[2].chunked


async def test_some_recipients_are_refused() -> None:
    script = {"RCPT": when({"weg@": "550 5.1.1 no", "vol@": "452 4.2.2 full"})}
    async with warm(script) as it:
        transcript = await it.send(b"x\r\n", to=("een@d.nl", "weg@d.nl", "vol@d.nl"))
        fates = judge_transcript(transcript, 3, Server()).fates
        assert [each.outcome for each in fates] == [
            *(Outcome.DELIVERED, Outcome.FAILED, Outcome.DEFERRED)
        ]
        assert [path.address for path in it.fake.accepted[-1].recipients] == ["een@d.nl"]
        assert it.fake.accepted[-1].chunked
        assert it.connection.exchange.usable
        assert it.last.startswith("BDAT")  # nothing to reset


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "BDAT"])
async def test_after_a_refusal_the_connection_takes_the_next_message(verb: str) -> None:
    async with warm({verb: "451 4.3.0 later"}) as it:
        transcript = await it.send(b"x\r\n")
        (fate,) = judge_transcript(transcript, 1, Server()).fates
        assert (fate.outcome, fate.in_doubt) == (Outcome.DEFERRED, False)
        assert it.connection.exchange.usable
        assert (it.last == "RSET") is (verb != "MAIL")
        it.fake.behaviour.script = {}
        await it.send(b"y\r\n")
        assert [got.content for got in it.fake.accepted[2:]] == [b"y\r\n"]


@pytest.mark.parametrize("verb", ["MAIL", "RCPT"])
async def test_taken_after_all_it_is_in_doubt_and_the_connection_cut(verb: str) -> None:
    async with warm({verb: "550 5.1.1 no", "BDAT": "250 2.0.0 queued"}) as it:
        transcript = await it.send(b"x\r\n")
        judgement = judge_transcript(transcript, 1, Server())
        assert judgement.drop
        assert not it.connection.exchange.usable
        assert judgement.fates[0].outcome is Outcome.DEFERRED
        assert judgement.fates[0].in_doubt


@pytest.mark.parametrize(("verb", "phase"), [("MAIL", "mail"), ("RCPT", "rcpt")])
async def test_a_refusal_stands_though_the_connection_ends_before_the_last_reply(
    verb: str, phase: str
) -> None:
    async with warm({verb: "550 5.7.1 no", "BDAT": Action(drop="before")}) as it:
        transcript = await it.send(b"x\r\n")
        assert transcript.broken
        (fate,) = judge_transcript(transcript, 1, Server()).fates
        assert (fate.outcome, fate.phase.value, fate.in_doubt) == (Outcome.FAILED, phase, False)


async def test_only_recipients_who_were_not_refused_are_in_doubt() -> None:
    script = {"RCPT": when({"weg@": "550 5.1.1 no"}), "BDAT": Action(drop="before")}
    async with warm(script) as it:
        transcript = await it.send(b"x\r\n", to=("weg@d.nl", "een@d.nl"))
        fates = judge_transcript(transcript, 2, Server()).fates
        assert [each.outcome for each in fates] == [Outcome.FAILED, Outcome.DEFERRED]
        assert [each.in_doubt for each in fates] == [False, True]


@pytest.mark.parametrize("moment", ["MAIL", "BDAT"])
async def test_cut_off_while_it_is_under_way_it_is_in_doubt(moment: str) -> None:
    never = threading.Event()
    async with warm({moment: Action(wait_for=never)}) as it:
        task = asyncio.create_task(it.send(b"x\r\n"))
        await asyncio.to_thread(it.fake.wait_until, lambda: it.last.startswith(moment))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert it.connection.dot_sent
        assert not it.connection.exchange.usable
        never.set()


async def test_an_error_of_the_body_sends_nothing() -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield b"half\r\n"
        raise OSError("disk")

    async with warm() as it:
        before = bytes(it.fake.sessions[0].received)
        outgoing = Outgoing("a@b.nl", (Recipient("c@d.nl"),), 10, False, False, None, None)
        with pytest.raises(OSError, match="disk"):
            await transact(it.connection, outgoing, failing())
        await asyncio.to_thread(it.fake.wait_until, lambda: bool(it.fake.sessions[0].ended))
        assert bytes(it.fake.sessions[0].received) == before
        assert not it.connection.dot_sent


@pytest.mark.parametrize(
    ("script", "failed"),
    [
        ({"BDAT": "500 5.5.1 what"}, True),
        ({"BDAT": "502 5.5.1 what"}, True),
        ({"BDAT": Action(drop="before")}, True),
        ({"MAIL": Action(drop="before")}, True),
        ({"BDAT": "554 5.7.1 spam"}, False),
        ({"MAIL": "550 5.7.1 no"}, False),
        ({}, False),
    ],
)
async def test_a_server_that_does_not_know_what_it_offers(script: Script, failed: bool) -> None:
    async with warm(script) as it:
        await it.send(b"x\r\n")
        assert it.connection.chunking_failed is failed
