"""When the next attempt is due."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.delivery.pacing import Pacer
from relay.delivery.schedule import account_delay, message_delay, smarthost_delay

MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("delay", "minutes"),
    [(message_delay, [1, 2, 5, 10, 20, 40, 60, 60, 60]), (smarthost_delay, [1, 2, 5, 10, 10, 10])],
)
def test_the_steps(delay: object, minutes: list[int]) -> None:
    assert callable(delay)
    assert [delay(n, 0.5) / MINUTE for n in range(1, len(minutes) + 1)] == minutes


@given(st.integers(-5, 10_000), st.floats(0, 1))
def test_each_delay_is_within_a_tenth(tries: int, chance: float) -> None:
    middle = message_delay(tries, 0.5)
    assert abs(message_delay(tries, chance) - middle) <= middle / 10 + timedelta(microseconds=1)
    assert MINUTE * 0.9 <= message_delay(tries, chance) <= MINUTE * 66


def test_a_refused_login_is_tried_twice_more_and_then_no_more() -> None:
    assert [account_delay(n) for n in (1, 2, 3, 4)] == [15 * MINUTE, 60 * MINUTE, None, None]


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 2, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.mark.parametrize("limit", [1, 2, 5, 9, 10, 30, 100, 1000])
def test_no_sixty_seconds_see_more_than_the_limit(limit: int) -> None:
    clock, sent = Clock(), []
    pacer = Pacer(clock)
    for _ in range(3 * limit + 5):
        clock.now += pacer.wait("isp", limit)
        assert not pacer.wait("isp", limit)
        pacer.take("isp", limit)
        sent.append(clock.now)
    for at in sent:
        assert sum(at <= other < at + MINUTE for other in sent) <= limit
    # Nor is much of it wasted.
    assert (sent[-1] - sent[0]) <= MINUTE * (3 * limit + 5) / limit * 1.45


def test_what_did_not_leave_is_given_back() -> None:
    clock = Clock()
    pacer = Pacer(clock)
    pacer.take("isp", 1)
    assert pacer.wait("isp", 1) >= MINUTE
    pacer.take("isp", 1, -1)
    assert not pacer.wait("isp", 1)


def test_accounts_do_not_wait_for_each_other_and_without_a_limit_nobody_waits() -> None:
    pacer = Pacer(Clock())
    pacer.take("isp", 1)
    assert not pacer.wait("other", 1)
    assert not pacer.wait("isp", None)
