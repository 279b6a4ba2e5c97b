"""What Exchange Online counts of each account, and on whom it has an eye.

Times are seconds on the server's own clock. What is over a limit is refused and noted as a
violation, so that a test can ask not only whether mail arrived but whether its sender behaved.
"""

import threading
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass

MINUTE = 60.0
DAY = 86400.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Those of learn.microsoft.com, "Exchange Online limits", and of Entra's smart lockout."""

    connections: int = 3
    """Logged in as one account at once."""
    messages_per_minute: int = 30
    """In any sixty seconds, counted at MAIL."""
    recipients_per_day: int = 10_000
    """In any 24 hours, of accepted messages."""
    recipients_per_message: int = 500
    wrong_logins: int = 10
    """In a row; then the account is locked for `lock_seconds`, for the right password too."""
    lock_seconds: float = MINUTE


@dataclass(frozen=True, slots=True)
class Violation:
    """Somebody was over a limit: "connections", "rate", "recipients" or "locked"."""

    limit: str
    account: str
    at: float


class Rules:
    """The counts of all accounts; safe to use from several threads."""

    def __init__(self, limits: Limits, seconds: Callable[[], float]) -> None:
        self.limits = limits
        self.violations: list[Violation] = []
        self._seconds = seconds
        self._lock = threading.Lock()
        self._connections: defaultdict[str, set[int]] = defaultdict(set)
        self._submissions: defaultdict[str, deque[float]] = defaultdict(deque)
        self._recipients: defaultdict[str, deque[tuple[float, int]]] = defaultdict(deque)
        self._wrong: defaultdict[str, int] = defaultdict(int)
        self._locked_until: dict[str, float] = {}

    def enter(self, account: str, session: int) -> bool:
        """A session has logged in; False: there are too many of this account."""
        with self._lock:
            sessions = self._connections[account]
            sessions.add(session)
            return len(sessions) <= self.limits.connections or self._violated(
                "connections", account
            )

    def leave(self, account: str, session: int) -> None:
        """A session is over; harmless when it was before."""
        with self._lock:
            self._connections[account].discard(session)

    def submit(self, account: str) -> bool:
        """Count a message of the account; False: too many within a minute."""
        with self._lock:
            now, submissions = self._seconds(), self._submissions[account]
            while submissions and submissions[0] <= now - MINUTE:
                submissions.popleft()
            if len(submissions) >= self.limits.messages_per_minute:
                return self._violated("rate", account)
            submissions.append(now)
            return True

    def address(self, account: str, recipients: int) -> bool:
        """Count the recipients of a message; False: too many within a day, none is counted."""
        with self._lock:
            now, counted = self._seconds(), self._recipients[account]
            while counted and counted[0][0] <= now - DAY:
                counted.popleft()
            if sum(each for _, each in counted) + recipients > self.limits.recipients_per_day:
                return self._violated("recipients", account)
            counted.append((now, recipients))
            return True

    def is_locked(self, account: str) -> bool:
        """After too many wrong logins; to ask is a violation, as only a login asks."""
        with self._lock:
            locked = self._seconds() < self._locked_until.get(account, 0.0)
            return locked and not self._violated("locked", account)

    def logged_in(self, account: str, right: bool) -> None:
        """Count a login."""
        with self._lock:
            self._wrong[account] = 0 if right else self._wrong[account] + 1
            if self._wrong[account] >= self.limits.wrong_logins:
                self._wrong[account] = 0
                self._locked_until[account] = self._seconds() + self.limits.lock_seconds

    def _violated(self, limit: str, account: str) -> bool:
        """Always False, for its callers to return."""
        self.violations.append(Violation(limit, account, self._seconds()))
        return False
