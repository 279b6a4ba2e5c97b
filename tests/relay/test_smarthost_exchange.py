"""Commands and replies on one connection: paired, or the connection is given up."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from fakes.delivery_rig import rig_smarthost
from fakes.script import Action, Behaviour, Script
from fakes.smarthost import Smarthost

from presets.reply import Reply
from relay.envelope import Recipient
from relay.smarthost.connect import Connection, Timeouts, connect
from relay.smarthost.exchange import Exchange, ExchangeLost
from relay.smarthost.transaction import transact
from relay.smarthost.transcript import Transcript
from relay.smarthost.wire import Outgoing

QUICK = Timeouts(dial=2, greeting=2, command=2, mail=2, data=2, block=0.3, dot=0.3)


@asynccontextmanager
async def dialog(script: Script | None = None, *capabilities: str) -> AsyncIterator["Dialog"]:
    found = capabilities or ("PIPELINING", "SIZE 1000000", "8BITMIME", "DSN", "SMTPUTF8")
    with Smarthost(Behaviour(script=script or {}, capabilities=found)) as fake:
        connection = await connect(rig_smarthost(fake), "relay.test", QUICK)
        assert isinstance(connection, Connection)
        try:
            yield Dialog(fake, connection)
        finally:
            connection.exchange.abort("end of the test")


class Dialog:
    def __init__(self, fake: Smarthost, connection: Connection) -> None:
        self.fake, self.connection = fake, connection
        self.exchange: Exchange = connection.exchange

    async def transact(
        self, body: bytes | AsyncIterator[bytes] = b"x\r\n", *recipients: str
    ) -> Transcript:
        outgoing = Outgoing(
            "a@b.nl", tuple(map(Recipient, recipients or ("c@d.nl",))), 3, False, False, None, None
        )
        pieces = once(body) if isinstance(body, bytes) else body
        return await transact(self.connection, outgoing, pieces, QUICK)

    async def ended(self) -> bytes:
        """Everything that the server got, once the connection is over."""
        (session,) = self.fake.sessions
        await asyncio.to_thread(self.fake.wait_until, lambda: bool(session.ended))
        return bytes(session.received)


async def once(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def test_a_command_gets_its_reply() -> None:
    async with dialog() as it:
        assert await it.exchange.command(b"NOOP", 2) == Reply(250, "2.0.0", "ok")
        assert it.exchange.usable


async def test_two_replies_in_one_segment_end_the_connection() -> None:
    async with dialog({"NOOP": Action(reply=b"250 a\r\n250 b\r\n")}) as it:
        assert (await it.exchange.command(b"NOOP", 2)).text == "a"
        assert not it.exchange.usable
        with pytest.raises(ExchangeLost):
            it.exchange.write(b"NOOP\r\n", replies=1)


async def test_two_replies_to_data_send_no_body_and_deliver_nothing() -> None:
    async with dialog({"DATA": Action(reply=b"354 go\r\n250 ok\r\n")}) as it:
        transcript = await it.transact()
        assert transcript.dot is None
        assert transcript.broken
        assert not transcript.in_doubt
        assert b"\r\n.\r\n" not in await it.ended()


@pytest.mark.parametrize("verb", ["MAIL", "RCPT"])
async def test_an_extra_reply_in_the_envelope_never_becomes_the_dots(verb: str) -> None:
    async with dialog({verb: Action(reply=b"250 a\r\n250 b\r\n")}) as it:
        transcript = await it.transact()
        assert transcript.dot is None
        assert b"\r\n.\r\n" not in await it.ended()


@pytest.mark.parametrize("half", [b"2", b"250", b"250 queu", b"250-queued\r\n"])
async def test_half_a_reply_behind_354_never_becomes_the_dots(half: bytes) -> None:
    async with dialog({"DATA": Action(reply=b"354 go\r\n" + half)}) as it:
        transcript = await it.transact()
        assert transcript.out_of_step
        assert not transcript.in_doubt
        assert b"\r\n.\r\n" not in await it.ended()
        assert not it.connection.dot_sent


@pytest.mark.parametrize("rest", [b"554 5.7.1 spam\r\n", b"55", b"450-x\r\n"])
async def test_a_second_word_to_the_message_leaves_it_in_doubt(rest: bytes) -> None:
    async with dialog({"DOT": Action(reply=b"250 2.0.0 queued\r\n" + rest)}) as it:
        transcript = await it.transact()
        assert transcript.dot is None
        assert transcript.in_doubt
        assert not it.exchange.usable


async def test_half_a_reply_to_nothing_ends_the_connection_before_the_next_command() -> None:
    async with dialog({"NOOP": Action(reply=b"250 a\r\n250 ")}) as it:
        assert (await it.exchange.command(b"NOOP", 2)).text == "a"
        assert not it.exchange.usable
        with pytest.raises(ExchangeLost, match="half a reply"):
            await it.exchange.command(b"RSET", 2)
        assert b"RSET" not in await it.ended()


async def test_an_unasked_421_is_the_parting_reply() -> None:
    async with dialog({"NOOP": Action(reply=b"250 ok\r\n421 4.4.2 idle\r\n", drop="after")}) as it:
        await it.exchange.command(b"NOOP", 2)
        assert it.exchange.parting_reply == Reply(421, "4.4.2", "idle")
        assert not it.exchange.usable


async def test_a_reply_after_its_time_is_never_taken() -> None:
    late = threading.Event()
    async with dialog({"NOOP": Action(wait_for=late)}) as it:
        with pytest.raises(ExchangeLost, match="no reply within"):
            await it.exchange.command(b"NOOP", 0.05)
        late.set()
        with pytest.raises(ExchangeLost):
            await it.exchange.command(b"RSET", 2)
        assert b"RSET" not in await it.ended()


async def test_a_reply_byte_by_byte() -> None:
    async with dialog({"NOOP": Action(reply="250-one\n250 two", byte_by_byte=True)}) as it:
        assert (await it.exchange.command(b"NOOP", 2)).text == "one two"


@pytest.mark.parametrize(
    "raw", [b"2500 hi\r\n", b"hello\r\n", b"250-a\r\n550 b\r\n", b"\xff\x00\r\n"]
)
async def test_what_is_no_reply_ends_the_connection(raw: bytes) -> None:
    async with dialog({"NOOP": Action(reply=raw)}) as it:
        with pytest.raises(ExchangeLost):
            await it.exchange.command(b"NOOP", 2)
        assert not it.exchange.usable


async def test_an_endless_reply_ends_the_connection() -> None:
    async with dialog({"NOOP": Action(reply=b"250-" + b"x" * 2_000_000)}) as it:
        with pytest.raises(ExchangeLost, match="without end"):
            await it.exchange.command(b"NOOP", 5)


async def test_a_cancelled_wait_leaves_the_connection_unusable() -> None:
    late = threading.Event()
    async with dialog({"NOOP": Action(wait_for=late)}) as it:
        task = asyncio.create_task(it.exchange.command(b"NOOP", 5))
        await asyncio.to_thread(it.fake.wait_until, lambda: "NOOP" in it.fake.sessions[0].verbs)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not it.exchange.usable
        late.set()


async def test_a_stall_in_mid_body_never_sends_the_final_dot() -> None:
    resume = threading.Event()
    async with dialog({"BODY": Action(wait_for=resume)}) as it:
        transcript = await it.transact(once(*[b"x" * 70 + b"\r\n"] * 200_000))
        assert transcript.broken == "the server takes no more bytes"
        assert not transcript.in_doubt
        # What still waited to be sent is thrown away, not flushed once the server reads again.
        assert it.exchange._transport.get_write_buffer_size() == 0
        resume.set()
        received = await it.ended()
        assert b"\r\n.\r\n" not in received
        assert it.fake.received == []


async def test_an_error_in_the_body_never_sends_the_final_dot() -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield b"half\r\n"
        raise OSError("disk")

    async with dialog() as it:
        with pytest.raises(OSError, match="disk"):
            await it.transact(failing())
        assert b"\r\n.\r\n" not in await it.ended()
        assert it.connection.dot_sent is False


async def test_cancelled_after_the_dot_the_connection_tells_so() -> None:
    late = threading.Event()
    async with dialog({"DOT": Action(wait_for=late)}) as it:
        task = asyncio.create_task(it.transact())
        await asyncio.to_thread(it.fake.wait_until, lambda: bool(it.fake.received))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert it.connection.dot_sent
        late.set()


@pytest.mark.parametrize("drop", [Action(drop="before"), Action(drop="before", reset=True)])
async def test_a_drop_after_the_dot_is_in_doubt(drop: Action) -> None:
    async with dialog({"DOT": drop}) as it:
        transcript = await it.transact()
        assert transcript.in_doubt
        assert not it.exchange.usable


async def test_silence_after_the_dot_is_in_doubt() -> None:
    late = threading.Event()
    async with dialog({"DOT": Action(wait_for=late)}) as it:
        assert (await it.transact()).in_doubt
        late.set()


@pytest.mark.parametrize("verb", ["DATA", "DOT"])
async def test_a_refusal_stands_though_the_server_leaves_after_it(verb: str) -> None:
    async with dialog({verb: Action(reply="554 5.7.1 spam", drop="after")}) as it:
        transcript = await it.transact()
        assert transcript.broken is None
        assert (transcript.dot or transcript.data) == Reply(554, "5.7.1", "spam")


async def test_a_refusal_in_mid_body_is_the_parting_reply() -> None:
    script = {"BODY": Action(after_bytes=1, drop="never")}
    async with dialog(script) as it:

        async def interrupted() -> AsyncIterator[bytes]:
            yield b"x\r\n"
            it.exchange.data_received(b"552 5.3.4 too big\r\n")
            yield b"y\r\n"

        transcript = await it.transact(interrupted())
        assert transcript.parting == Reply(552, "5.3.4", "too big")
        assert not transcript.in_doubt
        assert b"\r\n.\r\n" not in await it.ended()


async def test_quit_parts_politely_and_closes() -> None:
    async with dialog() as it:
        await it.exchange.quit()
        assert (await it.ended()).endswith(b"QUIT\r\n")
        assert not it.exchange.usable
