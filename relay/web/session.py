"""Who is looking at the page: a random cookie, and the token that every change needs beside it."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

COOKIE = "relay_session"
MOST_SESSIONS = 1_000
IDLE_SECONDS = 12 * 3600.0
LIFE_SECONDS = 7 * 24 * 3600.0


@dataclass(slots=True)
class Session:
    """One browser. `password_hash` is the one its login was checked against, None without one."""

    csrf: str
    password_hash: str | None
    made_at: float
    seen_at: float

    def csrf_is(self, given: str) -> bool:
        """Whether `given` is this session's token; takes as long for any other."""
        return hmac.compare_digest(given.encode(), self.csrf.encode())


class Sessions:
    """Sessions in memory: they end with the relay, after 12 idle hours, or after a week.

    Of more than `MOST_SESSIONS` the one that was idle longest ends. Only a digest of a cookie is
    kept, so that finding it tells nothing of it by the time that takes.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._sessions: dict[bytes, Session] = {}

    def open(self, password_hash: str | None) -> tuple[str, Session]:
        """A new session and its cookie."""
        cookie, now = secrets.token_urlsafe(32), self._clock()
        session = Session(secrets.token_urlsafe(32), password_hash, now, now)
        self._sessions[_key(cookie)] = session
        if len(self._sessions) > MOST_SESSIONS:
            del self._sessions[min(self._sessions, key=lambda key: self._sessions[key].seen_at)]
        return cookie, session

    def find(self, cookie: str) -> Session | None:
        """The session of a cookie, which counts as seen; None where it ended or never was."""
        session = self._sessions.get(_key(cookie))
        if session is None:
            return None
        now = self._clock()
        if now - session.seen_at > IDLE_SECONDS or now - session.made_at > LIFE_SECONDS:
            self.close(cookie)
            return None
        session.seen_at = now
        return session

    def close(self, cookie: str) -> None:
        """End a session; of one that is not there nothing is said."""
        self._sessions.pop(_key(cookie), None)

    def keep_only(self, password_hash: str | None) -> None:
        """End what was opened under another password, or without one."""
        self._sessions = {
            key: each for key, each in self._sessions.items() if each.password_hash == password_hash
        }


def _key(cookie: str) -> bytes:
    return sha256(cookie.encode("utf-8", "surrogatepass")).digest()
