"""Connections and messages a minute of each client."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.access.limits import ConnectionCount, RateWindow
from relay.config.model import Client

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def test_connections_are_limited_by_client_and_in_all() -> None:
    kassa, scanner = Client("kassa", (), max_connections=2), Client("scanner", ())
    count = ConnectionCount(total_limit=3)
    assert [count.enter(kassa) for _ in range(3)] == [True, True, False]
    assert count.enter(scanner)
    assert not count.enter(scanner)  # the total
    assert count.total == 3
    count.leave(kassa)
    assert count.enter(scanner)
    assert not count.enter(kassa)
    count.leave(scanner)
    count.leave(scanner)
    count.leave(kassa)
    assert count.total == 0
    assert count.enter(kassa)


def test_a_client_without_a_rate_is_never_delayed() -> None:
    window = RateWindow()
    assert {window.delay(Client("a", ()), NOW) for _ in range(1000)} == {0.0}


def test_a_minute_s_number_at_once_then_one_an_interval() -> None:
    kassa = Client("kassa", (), messages_per_minute=6)
    window = RateWindow(longest_delay_seconds=30)
    assert [window.delay(kassa, NOW) for _ in range(6)] == [0.0] * 6
    assert [window.delay(kassa, NOW) for _ in range(3)] == [10.0, 20.0, 30.0]
    # Beyond the longest delay a message is the caller's to refuse, and does not count.
    assert [window.delay(kassa, NOW) for _ in range(5)] == [40.0] * 5
    assert window.delay(kassa, NOW + seconds(10)) == 30.0


def test_silence_gives_the_burst_back() -> None:
    kassa = Client("kassa", (), messages_per_minute=2)
    window = RateWindow()
    assert [window.delay(kassa, NOW) for _ in range(3)] == [0.0, 0.0, 30.0]
    later = NOW + seconds(90)
    assert [window.delay(kassa, later) for _ in range(3)] == [0.0, 0.0, 30.0]


def test_clients_do_not_share_their_rate() -> None:
    one, other = (Client(name, (), messages_per_minute=1) for name in ("one", "other"))
    window = RateWindow()
    assert window.delay(one, NOW) == window.delay(other, NOW) == 0.0
    assert window.delay(one, NOW) > 30
    window.keep(frozenset({"other"}))
    assert window.delay(one, NOW) == 0.0
    assert window.delay(other, NOW) > 30


def test_a_clock_set_back_starts_the_count_again() -> None:
    kassa = Client("kassa", (), messages_per_minute=1)
    window = RateWindow()
    window.delay(kassa, NOW)
    earlier = NOW - timedelta(days=1)
    assert window.delay(kassa, earlier) == 0.0
    assert window.delay(kassa, earlier) == 60.0


@given(st.lists(st.floats(0, 50), max_size=60), st.integers(1, 30))
def test_in_no_minute_more_than_twice_the_number_gets_through(gaps: list[float], rate: int) -> None:
    kassa = Client("kassa", (), messages_per_minute=rate)
    window = RateWindow()
    now, sent = NOW, []
    for gap in gaps:
        now += seconds(gap)
        delay = window.delay(kassa, now)
        if delay <= 30:
            sent.append(now + seconds(delay))
    for start in sent:
        inside = [at for at in sent if start <= at < start + timedelta(minutes=1)]
        assert len(inside) <= 2 * rate
    # In the long run the rate itself: a burst of one minute's number on top.
    if sent:
        span = (max(sent) - min(sent)).total_seconds()
        assert len(sent) <= rate + span * rate / 60 + 1e-6 * len(sent) + 1


@pytest.mark.parametrize("limit", [1, 7, 1000])
def test_the_first_message_is_never_delayed(limit: int) -> None:
    assert RateWindow().delay(Client("a", (), messages_per_minute=limit), NOW) == 0.0
