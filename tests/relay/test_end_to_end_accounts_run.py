"""Two hundred invoices through Microsoft 365, at the pace that Microsoft allows."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.certificates import Authority
from fakes.hurried_relay import HurriedRelay
from fakes.invoice import body, invoice, pdf
from fakes.microsoft365 import Microsoft365
from fakes.scaled_time import ScaledClock

ACCOUNT = "facturen@mijnbakkerij.example"
PASSWORD = "CANARY-zuurdesem-42"
RUN = 200
MINUTE = 60.0


def invoices(count: int, pdf_bytes: int = 45_000) -> dict[str, bytes]:
    """By recipient; a PDF of 45 kB makes a message of some 60 kB."""
    return {
        f"klant{number}@example.net": invoice(
            f"Mijn Bakkerij <{ACCOUNT}>",
            [f"klant{number}@example.net"],
            number=number,
            attached=pdf(pdf_bytes, seed=number),
        )
        for number in range(count)
    }


@pytest.fixture
def clock() -> ScaledClock:
    return ScaledClock(MINUTE)


@pytest.fixture
def microsoft(authority: Authority, clock: ScaledClock) -> Iterator[Microsoft365]:
    context = authority.issue().server_context()
    with Microsoft365(context, clock, passwords={ACCOUNT: PASSWORD}) as fake:
        yield fake


def add_microsoft(
    relay: HurriedRelay, microsoft: Microsoft365, authority: Authority, more: str
) -> None:
    relay.add_smarthost(
        microsoft.port,
        authority.ca_file,
        preset="microsoft365",
        username=ACCOUNT,
        password=PASSWORD,
        more=more,
    )


@pytest.fixture
def relay(tmp_path: Path, clock: ScaledClock) -> HurriedRelay:
    return HurriedRelay(tmp_path, clock)


def test_two_hundred_invoices_keep_to_the_limits_of_microsoft_365(
    relay: HurriedRelay, microsoft: Microsoft365, authority: Authority
) -> None:
    # So slow that 30 a minute need all three connections; of itself the relay uses two.
    microsoft.seconds_per_message = 4.0
    add_microsoft(relay, microsoft, authority, "max_connections = 3")
    sent = invoices(RUN)
    with relay:
        for recipient, content in sent.items():
            relay.send(ACCOUNT, [recipient], content)
        microsoft.wait_until(lambda: len(microsoft.messages) >= RUN, 40)
        relay.wait_until(lambda: relay.queue() == [])
        assert relay.log_events("failed") == relay.log_events("dsn") == []
        assert relay.log_events("alert") == []
        status = relay.run("status")
    assert status.code == 0, status
    arrived = microsoft.messages
    assert sorted(message.recipients[0] for message in arrived) == sorted(sent)
    assert len(arrived) == len(microsoft.received) == RUN
    for message in arrived:
        assert message.account == message.sender == ACCOUNT
        assert body(message.content) == body(sent[message.recipients[0]])
    assert microsoft.refused_logins == []
    assert microsoft.violations == []
    assert microsoft.most_connections == 3
    # As fast as it may, too: 200 at 30 a minute, and a little slack.
    minutes = (arrived[-1].at - arrived[0].at) / MINUTE
    assert 6 < minutes < 12


@pytest.mark.parametrize(
    ("limit", "more", "seconds_per_message"),
    [("connections", "max_connections = 6", 8.0), ("rate", "messages_per_minute = 60", 0.0)],
)
def test_a_limit_that_is_set_too_high_is_learned(
    relay: HurriedRelay,
    microsoft: Microsoft365,
    authority: Authority,
    limit: str,
    more: str,
    seconds_per_message: float,
) -> None:
    microsoft.seconds_per_message = seconds_per_message
    add_microsoft(relay, microsoft, authority, more)
    sent = invoices(120, pdf_bytes=5_000)
    with relay:
        for recipient, content in sent.items():
            relay.send(ACCOUNT, [recipient], content)
        microsoft.wait_until(lambda: len(microsoft.messages) >= len(sent), 40)
        relay.wait_until(lambda: relay.queue() == [])
        assert relay.log_events("failed") == relay.log_events("dsn") == []
        assert relay.log_events("held") == []
    violations, arrived = microsoft.violations, microsoft.messages
    assert sorted(message.recipients[0] for message in arrived) == sorted(sent)
    assert {each.limit for each in violations} == {limit}
    # Each connection may hear of it, and a second lesson may be needed.
    assert len(violations) <= 6
    assert violations[-1].at < arrived[90].at
