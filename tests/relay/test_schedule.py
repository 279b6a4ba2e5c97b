"""When the next attempt is due."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


def test_one_that_is_refused_for_now_is_tried_each_hour() -> None:
    delays = [account_delay(n, for_now=True) for n in (1, 2, 3, 9)]
    assert delays == [15 * MINUTE, 60 * MINUTE, 60 * MINUTE, 60 * MINUTE]
