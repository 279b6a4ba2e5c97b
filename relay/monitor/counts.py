"""Counts of what the mail log tells, for `/metrics` and for the watch: names and numbers alone."""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

from relay.monitor import mail_log

BUCKETS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Upper bounds of an attempt's duration, in seconds."""
OUTCOMES: Final = ("delivered", "deferred", "held", "failed")

OTHER = "other"
_MOST_NAMES = 1000  # of one kind in memory: beyond, they are counted together

_Fields = Mapping[str, Any]
_NONE: _Fields = {}


class Counts(logging.Handler):
    """A handler on the logger `relay.mail`; reads events, keeps no address and no text."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: Counter[str] = Counter()
        """Accepted, by client."""
        self.bytes: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        """Connections and messages refused, by client; other: of machines that are not listed."""
        self.recipients: Counter[tuple[str, str]] = Counter()
        """By smarthost and outcome."""
        self.reports = 0
        self.alerts: Counter[str] = Counter()
        """By cause."""
        self.attempt_seconds: dict[str, float] = {}
        """By smarthost, together."""
        self.attempt_buckets: Counter[tuple[str, int]] = Counter()
        """By smarthost and index in `BUCKETS`, each attempt in the first that fits."""
        self._readers: Mapping[str, Callable[[_Fields], None]] = {
            "accepted": self._accepted,
            "refused": self._refused,
            "attempt": self._attempt,
            "dsn": self._dsn,
            "alert": self._alert,
            **{outcome: self._outcome(outcome) for outcome in OUTCOMES},
        }

    def attach(self) -> None:
        """Count from now on."""
        mail_log.logger.addHandler(self)

    def detach(self) -> None:
        """Count no more."""
        mail_log.logger.removeHandler(self)

    def handle(self, record: logging.LogRecord) -> bool:
        # In place of the stock one, which takes a lock: events come from the event loop alone,
        # and a count that another thread spoilt would be one too few.
        read = self._readers.get(record.msg)
        if read is not None:
            read(record.__dict__.get("fields", _NONE))
        return True

    def _accepted(self, fields: _Fields) -> None:
        client = _name(self.messages, fields.get("client"))
        self.messages[client] += 1
        self.bytes[client] += int(fields.get("bytes", 0))

    def _refused(self, fields: _Fields) -> None:
        self.refused[_name(self.refused, fields.get("client"))] += int(fields.get("count", 1))

    def _attempt(self, fields: _Fields) -> None:
        smarthost = _name(self.attempt_seconds, fields.get("smarthost"))
        seconds = float(fields.get("seconds", 0))
        self.attempt_seconds[smarthost] = self.attempt_seconds.get(smarthost, 0.0) + seconds
        self.attempt_buckets[smarthost, bisect_left(BUCKETS, seconds)] += 1

    def _outcome(self, outcome: str) -> Callable[[_Fields], None]:
        def read(fields: _Fields) -> None:
            smarthost = str(fields.get("smarthost") or OTHER)
            if len(self.recipients) >= _MOST_NAMES:
                smarthost = OTHER
            self.recipients[smarthost, outcome] += len(fields.get("recipients") or ())

        return read

    def _dsn(self, fields: _Fields) -> None:
        self.reports += 1

    def _alert(self, fields: _Fields) -> None:
        self.alerts[_name(self.alerts, fields.get("cause"))] += 1


def _name(known: Mapping[str, float], name: object) -> str:
    text = str(name) if name else OTHER
    return text if text in known or len(known) < _MOST_NAMES else OTHER
