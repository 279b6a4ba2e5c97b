"""When the mail of an account will have left, at its pace and within its limits. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from relay.delivery.window import DAY, Amount

_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Outlook:
    """What waits and what holds it up. `start` is now, or when the account may send again;
    `frees` tells when how much of what was `used` leaves the last 24 hours, in order of time."""

    waiting: Amount
    start: datetime
    messages_per_minute: int | None
    messages_per_day: int | None = None
    recipients_per_day: int | None = None
    used: Amount = Amount()  # noqa: RUF009 - immutable
    frees: Sequence[tuple[datetime, Amount]] = ()


def empty_at(outlook: Outlook) -> datetime | None:
    """When the last one leaves, if all goes well; None: nothing waits, or no pace is known."""
    waiting, rate = outlook.waiting, outlook.messages_per_minute
    if not waiting.messages or not rate:
        return None
    by_messages = [(at, amount.messages) for at, amount in outlook.frees]
    by_recipients = [(at, amount.recipients) for at, amount in outlook.frees]
    limits, used = (outlook.messages_per_day, outlook.recipients_per_day), outlook.used
    delays = (
        _MINUTE * (waiting.messages / rate),
        _delay(waiting.messages, (limits[0], used.messages), by_messages, outlook.start),
        _delay(waiting.recipients, (limits[1], used.recipients), by_recipients, outlook.start),
    )
    return outlook.start + max(delays)


def _delay(
    count: int,
    limit_and_use: tuple[int | None, int],
    frees: Sequence[tuple[datetime, int]],
    start: datetime,
) -> timedelta:
    """From `start` until the last of `count` fits into the limit of a day.

    Whatever leaves takes its place for 24 hours: each further `limit` of them waits a day longer.
    """
    limit, used = limit_and_use
    if limit is None or not count:
        return timedelta()
    days, rest = divmod(count - 1, limit)
    over, at = used + rest + 1 - limit, start
    for freed_at, amount in frees:
        if over <= 0:
            break
        over, at = over - amount, max(freed_at, start)
    return at - start + days * DAY
