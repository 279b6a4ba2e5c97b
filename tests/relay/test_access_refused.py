"""Refused devices are counted, in bounded memory; a learning window is bounded in time and place."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest

from relay.access.address import peer_address
from relay.access.learning import is_open, may_learn, window_end
from relay.access.refused import Refused, RefusedTally

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


def test_refusals_are_counted_by_address_until_drained() -> None:
    one, other = ip_address("192.168.1.40"), ip_address("fd00::40")
    tally = RefusedTally()
    tally.note(one, NOW)
    tally.note(other, NOW + SECOND)
    tally.note(one, NOW + 2 * SECOND)
    assert tally.drain() == [
        Refused(other, 1, NOW + SECOND, NOW + SECOND),
        Refused(one, 2, NOW, NOW + 2 * SECOND),
    ]
    assert tally.drain() == []
    tally.note(one, NOW + 3 * SECOND)
    assert tally.drain() == [Refused(one, 1, NOW + 3 * SECOND, NOW + 3 * SECOND)]


def test_beyond_the_limit_the_address_refused_longest_ago_is_dropped() -> None:
    tally = RefusedTally()
    device = ip_address("192.168.1.40")
    tally.note(device, NOW)
    for number in range(1, 3000):
        tally.note(ip_address(number), NOW + number * SECOND)
        if number % 500 == 0:
            tally.note(device, NOW + number * SECOND)
    drained = tally.drain()
    assert len(drained) == 1000
    assert next(one.count for one in drained if one.address == device) == 6
    assert ip_address(1) not in {one.address for one in drained}
    assert ip_address(2999) in {one.address for one in drained}


@pytest.mark.parametrize(
    ("address", "learned"),
    [
        ("192.168.1.40", True),
        ("10.0.0.1", True),
        ("172.31.255.255", True),
        ("169.254.1.1", True),
        ("fd00::1", True),
        ("fe80::1%eth0", True),
        ("::ffff:192.168.1.40", True),
        ("127.0.0.1", True),
        ("127.0.0.2", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("8.8.8.8", False),
        ("::ffff:8.8.8.8", False),
        ("172.32.0.0", False),
        ("192.0.2.1", False),
        ("2001:db8::1", False),
        ("0.0.0.0", False),
        ("::", False),
    ],
)
def test_only_machines_in_the_office_are_learned(address: str, learned: bool) -> None:
    assert may_learn(peer_address(address)) is learned


def test_a_window_lasts_two_hours_at_most() -> None:
    assert window_end(NOW, 1) == NOW + MINUTE
    assert window_end(NOW, 120) == NOW + 120 * MINUTE
    for minutes in (0, -1, 121):
        with pytest.raises(ValueError, match="120 minutes"):
            window_end(NOW, minutes)


def test_a_window_is_open_until_its_end() -> None:
    end = window_end(NOW, 10)
    assert is_open(end, NOW)
    assert is_open(end, end - SECOND)
    assert not is_open(end, end)
    assert not is_open(None, NOW)
    assert not is_open(end, NOW - timedelta(hours=3))  # the clock was set back
