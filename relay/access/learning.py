"""The learning window: for a while, mail of unlisted machines in the office is taken and held."""

from __future__ import annotations

from datetime import datetime, timedelta

from relay.access.address import Address, is_private

LONGEST_WINDOW = timedelta(minutes=120)

WINDOW_SETTING = "learning_until"
"""The ledger's setting that holds the end of the window, RFC 3339."""


def may_learn(address: Address) -> bool:
    """True for a private, link-local or loopback address; public ones stay refused in a window."""
    return is_private(address)


def window_end(now: datetime, minutes: int) -> datetime:
    """When a window opened at `now` ends. Raises ValueError unless 1 <= `minutes` <= 120."""
    span = timedelta(minutes=minutes)
    if not timedelta(0) < span <= LONGEST_WINDOW:
        raise ValueError("a learning window lasts 1 to 120 minutes")
    return now + span


def is_open(ends_at: datetime | None, now: datetime) -> bool:
    """Whether a window that ends at `ends_at` (None: there is none) is open.

    One that claims to end later than any window can is not: the clock was set back meanwhile.
    """
    return ends_at is not None and now < ends_at <= now + LONGEST_WINDOW
