"""When to try again. Pure: randomness comes in as a number from 0 to 1."""

from datetime import timedelta

_MESSAGE_MINUTES = (1, 2, 5, 10, 20, 40, 60)
_SMARTHOST_MINUTES = (1, 2, 5, 10)
_JITTER = 0.1
"""Part of the delay, either way: what failed together does not come back together."""

LONGEST_DELAY = timedelta(minutes=_MESSAGE_MINUTES[-1] * (1 + _JITTER))
"""No message waits longer for its next attempt, whatever the clock did meanwhile."""


def message_delay(tries: int, chance: float) -> timedelta:
    """Until the next attempt of a message that was put off `tries` times, this one included.

    1, 2, 5, 10, 20, 40 minutes, then hourly, each give or take a tenth.
    """
    return _delay(_MESSAGE_MINUTES, tries, chance)


def smarthost_delay(failures: int, chance: float) -> timedelta:
    """Until a smarthost that failed `failures` times in a row is tried again: 1, 2, 5, then 10
    minutes."""
    return _delay(_SMARTHOST_MINUTES, failures, chance)


def account_delay(refusals: int, *, for_now: bool = False) -> timedelta | None:
    """Until a refused login is tried again: 15 minutes, an hour, then None: not by itself.

    A provider that locks accounts or bars addresses after wrong passwords must not be provoked.
    One that refuses `for_now`, with 454, blames its own side: each hour.
    """
    hour = timedelta(hours=1)
    return {1: timedelta(minutes=15), 2: hour}.get(refusals, hour if for_now else None)


def _delay(minutes: tuple[int, ...], count: int, chance: float) -> timedelta:
    index = min(max(count, 1), len(minutes)) - 1
    return timedelta(minutes=minutes[index] * (1 + _JITTER * (2 * chance - 1)))
