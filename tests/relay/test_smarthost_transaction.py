"""The mail transaction: what goes over the wire, with and without each extension."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from fakes.delivery_rig import rig_smarthost
from fakes.script import Behaviour, Script, when
from fakes.smarthost import Smarthost

from relay.envelope import Recipient
from relay.smarthost.capabilities import Capabilities, parse_capabilities
from relay.smarthost.connect import Connection, connect
from relay.smarthost.transaction import transact
from relay.smarthost.wire import Outgoing, mail_line, rcpt_line

EVERYTHING = Capabilities(True, True, True, True, True, True, 1000)
NOTHING = Capabilities()
RICH = Outgoing("jan@b.nl", (), 1234, True, True, "HDRS", "QQ314159")
PIPELINING = pytest.mark.parametrize(
    "pipelining", [True, False], ids=["pipelining", "step by step"]
)


@asynccontextmanager
async def connected(
    pipelining: bool, script: Script | None = None
) -> AsyncIterator[tuple[Smarthost, Connection]]:
    offered = ("PIPELINING",) if pipelining else ()
    with Smarthost(Behaviour(script=script or {}, capabilities=offered)) as fake:
        connection = await connect(rig_smarthost(fake), "relay.test")
        assert isinstance(connection, Connection)
        try:
            yield fake, connection
        finally:
            await connection.exchange.quit()


async def pieces(*data: bytes) -> AsyncIterator[bytes]:
    for piece in data:
        yield piece


def outgoing(*recipients: str) -> Outgoing:
    return Outgoing("a@b.nl", tuple(map(Recipient, recipients)), 10, False, False, None, None)


@PIPELINING
async def test_a_message_arrives_with_its_envelope(pipelining: bool) -> None:
    async with connected(pipelining) as (fake, connection):
        content = pieces(b"A: b\r\n\r\n.dot\r\n", b"..two\r\n.", b"\r\nend")
        transcript = await transact(connection, outgoing("c@d.nl", "e@f.nl"), content)
        assert transcript.dot is not None
        assert transcript.dot.code == 250
        (got,) = fake.accepted
        assert got.content == b"A: b\r\n\r\n.dot\r\n..two\r\n.\r\nend\r\n"
        assert got.sender.address == "a@b.nl"
        assert [path.address for path in got.recipients] == ["c@d.nl", "e@f.nl"]
        assert fake.sessions[0].pipelined is pipelining


@PIPELINING
async def test_several_transactions_on_one_connection(pipelining: bool) -> None:
    async with connected(pipelining) as (fake, connection):
        for _ in range(3):
            await transact(connection, outgoing("c@d.nl"), pieces(b"x\r\n"))
            assert connection.exchange.usable
        assert len(fake.accepted) == 3
        assert connection.used == 3
        assert "RSET" not in fake.sessions[0].verbs


@PIPELINING
async def test_after_a_refused_recipient_the_others_get_it(pipelining: bool) -> None:
    script = {"RCPT": when({"weg@": "550 5.1.1 no", "vol@": "452 4.2.2 full"})}
    async with connected(pipelining, script) as (fake, connection):
        names = outgoing("een@d.nl", "weg@d.nl", "vol@d.nl", "twee@d.nl")
        transcript = await transact(connection, names, pieces(b"x\r\n"))
        assert [reply.code for reply in transcript.recipients] == [250, 550, 452, 250]
        (got,) = fake.accepted
        assert [path.address for path in got.recipients] == ["een@d.nl", "twee@d.nl"]


@PIPELINING
@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA", "DOT"])
async def test_after_a_refusal_the_connection_takes_the_next_message(
    pipelining: bool, verb: str
) -> None:
    async with connected(pipelining, {verb: "451 4.3.0 later"}) as (fake, connection):
        await transact(connection, outgoing("c@d.nl"), pieces(b"x\r\n"))
        assert connection.exchange.usable
        fake.behaviour.script = {}
        transcript = await transact(connection, outgoing("c@d.nl"), pieces(b"y\r\n"))
        assert transcript.dot is not None
        assert [got.content for got in fake.accepted] == [b"y\r\n"]


@pytest.mark.parametrize("mail", ["250 ok", "553 no"])
async def test_354_without_a_recipient_cuts_the_connection(mail: str) -> None:
    script = {"MAIL": mail, "RCPT": "550 5.1.1 no", "DATA": "354 go"}
    # The fake insists on recipients before it asks the script; this server does not.
    async with raw_server([b"220 x", b"250-x\r\n250 PIPELINING", *wire(script)]) as (port, got):
        connection = await connect(rig_smarthost(_At(port)), "relay.test")
        assert isinstance(connection, Connection)
        transcript = await transact(connection, outgoing("c@d.nl"), pieces(b"x\r\n"))
        assert transcript.dot is None
        assert not connection.exchange.usable
        assert (await got).endswith(b"DATA\r\n")


def wire(script: Script) -> list[bytes]:
    return [b"\r\n".join(str(reply).encode() for reply in script.values())]


class _At(Smarthost):
    """Only the address of a server."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.port = port


@asynccontextmanager
async def raw_server(answers: list[bytes]) -> AsyncIterator[tuple[int, "asyncio.Future[bytes]"]]:
    """Answers each segment with the next of `answers`; the future is what came in all."""
    got: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received = b""
        for answer in answers:
            writer.write(answer + b"\r\n")
            received += (part := await reader.read(65536))
            if not part:
                break
        while part := await reader.read(65536):
            received += part
        writer.close()
        got.set_result(received)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], got
    finally:
        server.close()
        await server.wait_closed()


async def test_five_megabytes_arrive_byte_for_byte() -> None:
    content = b"".join(b"%06d %s\r\n" % (n, b"." * (n % 90)) for n in range(90_000))
    assert len(content) > 5_000_000 - 500_000
    async with connected(True) as (fake, connection):
        parts = [content[at : at + 99_991] for at in range(0, len(content), 99_991)]
        await transact(connection, outgoing("c@d.nl"), pieces(*parts))
        (got,) = fake.accepted
        assert hashlib.sha256(got.content).digest() == hashlib.sha256(content).digest()


@pytest.mark.parametrize(
    ("capabilities", "line"),
    [
        (NOTHING, b"MAIL FROM:<jan@b.nl>"),
        (Capabilities(size=True), b"MAIL FROM:<jan@b.nl> SIZE=1234"),
        (Capabilities(eight_bit=True), b"MAIL FROM:<jan@b.nl> BODY=8BITMIME"),
        (Capabilities(smtputf8=True), b"MAIL FROM:<jan@b.nl> SMTPUTF8"),
        (Capabilities(dsn=True), b"MAIL FROM:<jan@b.nl> RET=HDRS ENVID=QQ314159"),
        (EVERYTHING, b"MAIL FROM:<jan@b.nl> SIZE=1234 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=QQ314159"),
    ],
)  # fmt: skip
def test_mail_has_only_parameters_that_are_offered(capabilities: Capabilities, line: bytes) -> None:
    assert mail_line(RICH, capabilities) == line


def test_mail_has_only_parameters_that_are_wanted() -> None:
    plain = Outgoing(None, (), 5, False, False, None, None)
    assert mail_line(plain, EVERYTHING) == b"MAIL FROM:<> SIZE=5"


@pytest.mark.parametrize(
    ("recipient", "capabilities", "line"),
    [
        (Recipient("a@b.nl"), EVERYTHING, b"RCPT TO:<a@b.nl>"),
        (Recipient("a@b.nl", frozenset({"NEVER"})), EVERYTHING, b"RCPT TO:<a@b.nl> NOTIFY=NEVER"),
        (
            Recipient("a@b.nl", frozenset({"SUCCESS", "DELAY", "FAILURE"}), "rfc822;a+40b.nl"),
            EVERYTHING,
            b"RCPT TO:<a@b.nl> NOTIFY=DELAY,FAILURE,SUCCESS ORCPT=rfc822;a+40b.nl",
        ),
        (Recipient("a@b.nl", frozenset({"NEVER"}), "rfc822;x"), NOTHING, b"RCPT TO:<a@b.nl>"),
        (Recipient("jós@b.nl"), EVERYTHING, "RCPT TO:<jós@b.nl>".encode()),
    ],
)
def test_rcpt_asks_for_reports_where_they_are_offered(
    recipient: Recipient, capabilities: Capabilities, line: bytes
) -> None:
    assert rcpt_line(recipient, capabilities) == line


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["mx.test", "PIPELINING", "size 100", "8bitmime", "Dsn"],
         Capabilities(pipelining=True, size=True, size_bytes=100, eight_bit=True, dsn=True)),
        (["mx.test", "SIZE"], Capabilities(size=True)),
        (["mx.test", "SIZE 0"], Capabilities(size=True)),
        # More than the spool can keep, and more digits than Python reads.
        (["mx.test", "SIZE " + "9" * 20], Capabilities(size=True)),
        (["mx.test", "SIZE " + "9" * 5000], Capabilities(size=True)),
        (["mx.test", "SIZE " + "0" * 5000 + "7"], Capabilities(size=True, size_bytes=7)),
        (["mx.test", "SIZE x", "", "X-ODD y z"], Capabilities(size=True)),
        (["mx.test", "SMTPUTF8", "CHUNKING"], Capabilities(smtputf8=True, chunking=True)),
        ([], Capabilities()),
    ],
)  # fmt: skip
def test_what_ehlo_offers(lines: list[str], expected: Capabilities) -> None:
    assert parse_capabilities(lines) == expected
