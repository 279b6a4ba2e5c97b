"""After a time-out the final dot never leaves, whatever waits in our buffers (O4).

A server that gets it takes a message that we send again.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from fakes.certificates import Authority
from fakes.delivery_rig import rig_smarthost
from fakes.script import Action, Behaviour
from fakes.smarthost import Smarthost

from relay.config.model import TlsMode
from relay.envelope import Recipient
from relay.smarthost.connect import Connection, Timeouts, connect
from relay.smarthost.transaction import transact
from relay.smarthost.wire import Outgoing

IMPATIENT = Timeouts(dial=5, greeting=5, command=5, mail=5, data=5, block=0.3, dot=0.3)
LINE = b".Hello, hello, hello.\r\n"
ENVELOPE = b"MAIL FROM:<a@b.nl>\r\nRCPT TO:<c@d.nl>\r\nDATA\r\n"
OUTGOING = Outgoing("a@b.nl", (Recipient("c@d.nl"),), 3, False, False, None, None)


def loop_of(name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    if name == "uvloop":
        made: Any = pytest.importorskip("uvloop").new_event_loop
        return made  # type: ignore[no-any-return]
    return asyncio.new_event_loop


async def body(lines: int) -> AsyncIterator[bytes]:
    for _ in range(lines // 1000):
        yield LINE * 1000


def on(tls: str, authority: Authority, fake: Smarthost) -> Any:
    fake.behaviour.tls = "implicit" if tls == "TLS" else "none"
    fake.behaviour.context = authority.issue().server_context()
    mode = TlsMode.IMPLICIT if tls == "TLS" else TlsMode.NONE
    return rig_smarthost(fake, tls=mode, ca_file=authority.ca_file)


def received(fake: Smarthost) -> bytes:
    """All that the server got behind the envelope, once it has read to the end."""
    (session,) = fake.sessions
    fake.wait_until(lambda: bool(session.ended))
    assert ENVELOPE in session.received
    return bytes(session.received).split(ENVELOPE)[1]


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("tls", ["plain", "TLS"])
def test_a_server_that_stalls_in_mid_body_gets_no_dot_when_it_goes_on(
    loop: str, tls: str, authority: Authority
) -> None:
    goes_on = threading.Event()
    behaviour = Behaviour({"BODY": Action(wait_for=goes_on)}, capabilities=("PIPELINING",))
    with Smarthost(behaviour) as fake:
        entry = on(tls, authority, fake)

        async def send() -> None:
            connection = await connect(entry, "relay.test", IMPATIENT)
            assert isinstance(connection, Connection)
            transcript = await transact(connection, OUTGOING, body(800_000), IMPATIENT)
            assert transcript.broken == "the server takes no more bytes"
            assert not transcript.in_doubt
            goes_on.set()
            # The loop goes on too, and would flush what it still has.
            await asyncio.to_thread(received, fake)

        with asyncio.Runner(loop_factory=loop_of(loop)) as runner:
            runner.run(send())
        got = received(fake)
        whole = b"." + LINE
        assert got
        assert got == (whole * (len(got) // len(whole) + 1))[: len(got)]
        assert b"\r\n.\r\n" not in got
        assert fake.received == []


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("tls", ["plain", "TLS"])
@pytest.mark.parametrize("end", ["time-out", "cancelled"])
def test_a_dot_that_still_waits_in_our_buffer_is_dropped(
    loop: str, tls: str, end: str, authority: Authority
) -> None:
    """All of the message, its end too, is written, but the server takes only a part in time."""
    goes_on = threading.Event()
    behaviour = Behaviour({"BODY": Action(wait_for=goes_on)}, capabilities=("PIPELINING",))
    with Smarthost(behaviour) as fake:
        entry = on(tls, authority, fake)

        async def send() -> None:
            connection = await connect(entry, "relay.test", IMPATIENT)
            assert isinstance(connection, Connection)
            connection.exchange._transport.set_write_buffer_limits(high=10**9)
            patient = Timeouts() if end == "cancelled" else IMPATIENT
            task = asyncio.create_task(transact(connection, OUTGOING, body(800_000), patient))
            if end == "cancelled":
                while not connection.dot_sent:
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                assert connection.dot_sent
            else:
                assert (await task).in_doubt
            goes_on.set()
            await asyncio.to_thread(received, fake)

        with asyncio.Runner(loop_factory=loop_of(loop)) as runner:
            runner.run(send())
        assert b"\r\n.\r\n" not in received(fake)
        assert fake.received == []
