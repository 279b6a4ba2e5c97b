"""Whether this machine's clock is right, told by the dates in the greetings of mail servers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from relay.cli.finding import Finding, make
from relay.cli.session import Session

# RFC 5321 section 4.2 leaves a greeting's text free; many servers end it with RFC 5322's date-time.
_DATE = re.compile(
    r"(?:\w{3}, )?\d{1,2} (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4}"
    r" \d\d:\d\d:\d\d (?:[+-]\d{4}|GMT|UTC)"
)
SMALL = timedelta(minutes=2)
"""A difference that harms nothing: a signature's time, a token's end, a certificate's dates."""


def told_time(greeting: str) -> datetime | None:
    """The date and time that a greeting names; None where it names none that can be read."""
    found = _DATE.search(greeting)
    if found is None:
        return None
    try:
        told = parsedate_to_datetime(found[0])
    except ValueError:
        return None
    return told if told.tzinfo is not None else told.replace(tzinfo=UTC)


def clock_finding(session: Session, greetings: Iterable[tuple[str, str, datetime]]) -> Finding:
    """One finding from (host, greeting, when it came); the smallest difference counts, since a
    server may err too."""
    found = [
        (told - at, host)
        for host, greeting, at in greetings
        if (told := told_time(greeting)) is not None
    ]
    if not found:
        return make(session, "clock", "info", "not-told")
    difference, host = min(found, key=lambda pair: abs(pair[0]))
    seconds = round(difference.total_seconds())
    good = abs(difference) <= SMALL
    case = "good" if good else "behind" if seconds > 0 else "ahead"
    return make(session, "clock", "ok" if good else "error", case, host=host, seconds=abs(seconds))
