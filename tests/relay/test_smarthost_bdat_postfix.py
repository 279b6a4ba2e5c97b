"""Small messages by BDAT to a real Postfix."""

from collections.abc import AsyncIterator
from pathlib import Path

from fakes.certificates import Authority
from fakes.delivery_rig import with_login
from fakes.peers import needs
from fakes.postfix import Postfix

from relay.config.model import Smarthost, TlsMode
from relay.envelope import Recipient
from relay.smarthost.connect import Connection, connect
from relay.smarthost.transaction import transact
from relay.smarthost.wire import Outgoing

pytestmark = needs("postfix", "saslpasswd2", "sasl-plain")

MESSAGES = (
    *(b"Subject: first\r\n\r\n.\r\n", b"Subject: second\r\n\r\n..\r\n"),
    b"Subject: dots\r\n\r\n.\r\n..two\r\n.three\r\n\r\n.\r\n",
    b"Subject: no end of line\r\n\r\nend",
    b"Subject: commands\r\n\r\n.\r\nRSET\r\nMAIL FROM:<evil@b.nl>\r\n",
    b"Subject: as large as it may be\r\n\r\n"
    + b"." * 70
    + b"\r\n"
    + b".Hello, hello.\r\n" * 15_000,
)


async def given(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def test_each_message_arrives_byte_for_byte(authority: Authority, tmp_path: Path) -> None:
    with Postfix(authority.issue()) as postfix:
        entry = Smarthost(
            name="postfix",
            host=postfix.host,
            port=postfix.port,
            tls=TlsMode.STARTTLS,
            ca_file=authority.ca_file,
            **with_login(tmp_path / "secret"),
        )
        connection = await connect(entry, "relay.test")
        assert isinstance(connection, Connection)
        said = []
        for content in MESSAGES:
            outgoing = Outgoing(
                *("info@b.nl", (Recipient("klant@example.net"),), len(content)),
                *(False, False, None, None),
            )
            transcript = await transact(connection, outgoing, given(content))
            assert transcript.dot is not None
            assert transcript.dot.positive
            said.append(transcript.by_bdat)
        await connection.exchange.quit()
        assert said == [False, False, True, True, True, True]
        arrived = postfix.wait_for(len(MESSAGES))
    bodies = sorted(copy.content.partition(b"\r\n\r\n")[2] for copy in arrived)
    sent = [content.partition(b"\r\n\r\n")[2] for content in MESSAGES]
    assert bodies == sorted(each.removesuffix(b"\r\n") + b"\r\n" for each in sent)
