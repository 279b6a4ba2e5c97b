"""The first page: how the relay fares, what was sent and what waits, and the charts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from relay.config.model import Config, DeliveryMode
from relay.control.causes import (
    Cause,
    Figures,
    cause,
    health_document,
    of_accounts,
    of_devices,
    of_figures,
    of_status,
)
from relay.control.documents import Document, document, time_text
from relay.monitor.statistics import Sum, by_day, total
from relay.spool.errors import SpoolError
from relay.spool.statistics import Statistics

HOURS = 24
DAYS = 30


@dataclass(frozen=True, slots=True)
class Parts:
    """The documents that the page is made of: of `relay status`, `account list`, the devices."""

    status: Document
    accounts: Document
    devices: Document
    statistics: Statistics


@dataclass(frozen=True, slots=True)
class Today:
    """The moment it is told, in which zone (None: this machine's)."""

    config: Config
    now: datetime
    zone: tzinfo | None = None

    def told(self, parts: Parts) -> Document:
        """All of it. Counts are messages; `today` begins at midnight in the zone."""
        days = by_day(parts.statistics.hours, self.zone)
        today = total(days.get(self.now.astimezone(self.zone).date(), ()))
        figures = Figures(
            delivered=today.delivered,
            failed=today.failed,
            waiting=parts.status["queued"],
            held=parts.status["held"],
            sandbox=self.config.sandbox,
            trial=self.config.delivery.mode is DeliveryMode.HOLD,
        )
        causes = [
            *of_status(parts.status),
            *of_accounts(parts.accounts["accounts"], self.now),
            *of_devices(parts.devices, self.now),
            *of_figures(figures),
        ]
        return self._document(causes, parts, (figures, today))

    def failing(self, status: Document, error: SpoolError | None = None) -> Document:
        """What can be told while the spool does not work: that it does not."""
        causes = of_status(status)
        if error is not None:
            causes.append(cause("spool-failing", detail=error))
        return document(
            "today",
            health=health_document(causes, None),
            counts=None,
            accounts=[],
            nodes=[],
            hours=[],
            days=[],
        )

    def _document(
        self, causes: Iterable[Cause], parts: Parts, counted: tuple[Figures, Sum]
    ) -> Document:
        figures, today = counted
        logins = {(each["host"], each["username"]): each for each in parts.accounts["accounts"]}
        return document(
            "today",
            health=health_document(causes, figures),
            counts={
                "accepted_today": today.accepted,
                "delivered_today": today.delivered,
                "failed_today": today.failed,
                "waiting": figures.waiting,
                "held": figures.held,
            },
            accounts=[
                {**each, **_login(logins.get((each["host"], each["username"])))}
                for each in parts.status["accounts"]
            ],
            nodes=parts.status["nodes"],
            hours=self._hours(parts.statistics),
            days=self._days(parts.statistics),
        )

    def _hours(self, statistics: Statistics) -> list[Document]:
        last = self.now.replace(minute=0, second=0, microsecond=0)
        by_hour = {
            at: total(each for each in statistics.hours if each.hour == at)
            for at in (last - timedelta(hours=back) for back in reversed(range(HOURS)))
        }
        return [{"at": time_text(at), **_counts(found)} for at, found in by_hour.items()]

    def _days(self, statistics: Statistics) -> list[Document]:
        days = by_day(statistics.hours, self.zone)
        today = self.now.astimezone(self.zone).date()
        dates = [today - timedelta(days=back) for back in reversed(range(DAYS))]
        return [{"date": day.isoformat(), **_counts(total(days.get(day, ())))} for day in dates]


def _counts(found: Sum) -> Document:
    return {"accepted": found.accepted, "delivered": found.delivered, "failed": found.failed}


def _login(account: Document | None) -> Document:
    """Whether it is paused and until when it works; a smarthost without a login always may."""
    if account is None:
        return {"paused": False, "paused_until": None, "works_until": None, "consent": "not-needed"}
    return {key: account[key] for key in ("paused", "paused_until", "works_until", "consent")}
