"""Durations as people write them: "8s", "90m", "4h", "30d", "1w"."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

from relay.config.fault import BadValueError

UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
LONGEST = timedelta(days=3650)


def duration(text: str) -> timedelta:
    """The time span that `text` names: one whole number and one of s, m, h, d, w.

    Raises BadValueError: another form, or more than ten years.
    """
    match = re.fullmatch(r"([0-9]{1,12})([smhdw])", text.strip())
    if match is None:
        raise BadValueError(
            f'{text!r} is geen duur; schrijf een getal met s, m, h, d of w, zoals "4h"',
            f'{text!r} is no duration; write a number with s, m, h, d or w, such as "4h"',
        )
    seconds = int(match[1]) * UNIT_SECONDS[match[2]]
    if seconds > LONGEST.total_seconds():
        raise BadValueError(
            f"{text!r} is langer dan tien jaar", f"{text!r} is longer than ten years"
        )
    return timedelta(seconds=seconds)


def positive_duration(text: str) -> timedelta:
    """As `duration`, and more than nothing."""
    span = duration(text)
    if not span:
        raise BadValueError(
            f"{text!r} is niets; de duur moet groter zijn", f"{text!r} is no time at all"
        )
    return span


def days_at_least(least: int) -> Callable[[str], timedelta]:
    """As `duration`, of no fewer than `least` days."""

    def parse(text: str) -> timedelta:
        span = duration(text)
        if span < timedelta(days=least):
            raise BadValueError(
                f'{text!r} is te kort; het moet minstens "{least}d" zijn',
                f'{text!r} is too short; it must be at least "{least}d"',
            )
        return span

    return parse
