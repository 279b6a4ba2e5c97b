"""The benchmark's smarthost counts what came, and demands what its options say."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest
from bench.counted import CountingSmarthost, Offer
from bench.counting_smarthost import Options, Session, Smarthost
from fakes.certificates import Authority
from fakes.raw_client import RawClient

LOGIN = "AUTH PLAIN AGJha2tlcgBnZWhlaW0="
CONTENT = b"Subject: hoi\r\n\r\n.\r\nhallo\r\n"


@contextmanager
def started(offer: Offer, authority: Authority) -> Iterator[CountingSmarthost]:
    with CountingSmarthost(offer, authority.issue()) as smarthost:
        yield smarthost


def greeted(smarthost: CountingSmarthost) -> RawClient:
    client = RawClient("127.0.0.1", smarthost.port)
    assert client.reply().startswith("220")
    return client


def logged_in(smarthost: CountingSmarthost, authority: Authority) -> RawClient:
    client = greeted(smarthost)
    assert client.command("STARTTLS").startswith("220")
    client.start_tls(authority.client_context())
    assert client.command(LOGIN).startswith("235")
    return client


def envelope(client: RawClient, recipients: int = 1) -> None:
    assert client.command("MAIL FROM:<a@example.net>").startswith("250")
    for number in range(recipients):
        assert client.command(f"RCPT TO:<{number}@example.net>").startswith("250")


def test_messages_recipients_and_bytes_are_counted(authority: Authority) -> None:
    with started(Offer(), authority) as smarthost, greeted(smarthost) as client:
        envelope(client, 3)
        assert client.message(CONTENT).startswith("250")
        envelope(client)
        assert client.message(CONTENT).startswith("250")
        report = smarthost.report()
        smarthost.reset()
        afresh = smarthost.report()
    # The dot that stands alone in the message travelled as two.
    counted = {"messages": 2, "recipients": 4, "bytes": 2 * len(CONTENT) + 2, "connections": 1}
    assert counted.items() <= report.items()
    assert report["last"] > 0
    assert (afresh["messages"], afresh["last"], afresh["open"]) == (0, 0, 1)


def test_the_final_dot_is_found_wherever_a_segment_ends(authority: Authority) -> None:
    with started(Offer(), authority) as smarthost, greeted(smarthost) as client:
        envelope(client)
        assert client.command("DATA").startswith("354")
        client.send_byte_by_byte(b"x\r\n..\r\n.x\r\n.\r\n")
        assert client.reply().startswith("250")
        assert client.command("NOOP").startswith("250")
        assert smarthost.report()["messages"] == 1


def test_a_pipelined_group_is_answered_command_by_command(authority: Authority) -> None:
    with started(Offer(), authority) as smarthost, greeted(smarthost) as client:
        client.send(b"EHLO a\r\nMAIL FROM:<a@b.nl>\r\nRCPT TO:<c@d.nl>\r\nDATA\r\n")
        codes = [client.reply()[:3] for _ in range(4)]
        client.send(b"\r\n.\r\nMAIL FROM:<a@b.nl>\r\nQUIT\r\n")
        codes += [client.reply()[:3] for _ in range(3)]
        assert client.rest() == b""
    assert codes == ["250", "250", "250", "354", "250", "250", "221"]


def test_chunks_make_one_message(authority: Authority) -> None:
    with started(Offer(chunking=True), authority) as smarthost, greeted(smarthost) as client:
        assert "CHUNKING" in client.command("EHLO a")
        envelope(client)
        client.send(b"BDAT 5\r\n.\r\n\r\nBDAT 4 LAST\r\nNOOP")
        assert [client.reply()[:3] for _ in range(2)] == ["250", "250"]
        envelope(client)
        client.send(b"BDAT 3\r\nabcBDAT 0 LAST\r\n")
        assert [client.reply()[:3] for _ in range(2)] == ["250", "250"]
        report = smarthost.report()
    assert {"messages": 2, "chunked": 2, "bytes": 12}.items() <= report.items()


def test_chunks_are_refused_where_they_are_not_offered(authority: Authority) -> None:
    with started(Offer(), authority) as smarthost, greeted(smarthost) as client:
        assert "CHUNKING" not in client.command("EHLO a")
        envelope(client)
        assert client.command("BDAT 4 LAST").startswith("503")


def test_mail_needs_tls_and_the_right_login(authority: Authority) -> None:
    with started(Offer(tls=True), authority) as smarthost, greeted(smarthost) as client:
        assert "AUTH" not in client.command("EHLO a")
        assert client.command(LOGIN).startswith("535")
        assert client.command("MAIL FROM:<a@example.net>").startswith("530")
        assert client.command("STARTTLS").startswith("220")
        client.start_tls(authority.client_context())
        assert "STARTTLS" not in client.command("EHLO a")
        assert client.command("AUTH PLAIN AGJha2tlcgBmb3V0").startswith("535")
        assert client.command("MAIL FROM:<a@example.net>").startswith("530")
        assert client.command(LOGIN).startswith("235")
        envelope(client)
        assert client.message(CONTENT).startswith("250")
        report = smarthost.report()
    assert {"messages": 1, "logins": 1}.items() <= report.items()


def test_a_connection_beyond_the_limit_is_refused_and_counted(authority: Authority) -> None:
    offer = Offer(tls=True, max_connections=2)
    with started(offer, authority) as smarthost:
        with logged_in(smarthost, authority), logged_in(smarthost, authority):
            with closing(RawClient("127.0.0.1", smarthost.port)) as third:
                assert third.reply().startswith("421")
                assert third.rest() == b""
            report = smarthost.report()
        assert {"refused_connections": 1, "open": 2, "most_open": 2}.items() <= report.items()


def test_the_next_connection_takes_the_place_of_one_that_ends(authority: Authority) -> None:
    with (
        started(Offer(max_connections=1), authority) as smarthost,
        greeted(smarthost) as first,
        closing(RawClient("127.0.0.1", smarthost.port)) as following,
    ):
        first.send(b"QUIT\r\n")
        assert following.reply().startswith("220")
        report = smarthost.report()
    assert {"connections": 2, "refused_connections": 0, "most_open": 1}.items() <= report.items()


class Network:
    """Stands for transport and event loop: notes what is written, and what is due when."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.due: list[tuple[float, Callable[[], None]]] = []

    def call_later(self, seconds: float, call: Callable[[], None]) -> None:
        self.due.append((seconds, call))

    def write(self, data: bytes) -> None:
        self.written.append(data)


@pytest.fixture
def delayed() -> tuple[Session, Network]:
    network = Network()
    session = Session(Smarthost(Options(delay_seconds=0.02)), network)  # type: ignore[arg-type]
    session.connection_made(network)  # type: ignore[arg-type]
    return session, network


def test_each_reply_is_delayed_from_its_own_command(delayed: tuple[Session, Network]) -> None:
    session, network = delayed
    session.data_received(b"NOOP\r\nMAIL FROM:<a@b.nl>\r\nRC")
    session.data_received(b"PT TO:<c@d.nl>\r\nDATA\r\n")
    # The greeting, two replies together, two replies together: none waits for another.
    assert [seconds for seconds, _ in network.due] == [0.02] * 3
    assert network.written == []


def test_delayed_replies_keep_their_order(delayed: tuple[Session, Network]) -> None:
    session, network = delayed
    session.data_received(b"EHLO a\r\n")
    session.data_received(b"QUARK\r\n")
    for _, call in reversed(network.due):
        call()
    assert [reply[:4] for reply in network.written] == [b"220 ", b"250-", b"503 "]
