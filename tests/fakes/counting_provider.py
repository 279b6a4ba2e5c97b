"""A provider without an issuer: it counts, rotates, and answers what a test lays out."""

import threading
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta

from relay.config.model import OAuth2
from relay.smarthost.tokens import NoToken
from relay.spool.vault_entry import Grant


class CountingProvider:
    """`answers` are given first, in order; then each fetch gives tokens with its number."""

    def __init__(self, lifetime_seconds: float = 3600) -> None:
        self.lifetime_seconds = lifetime_seconds
        self.answers: deque[NoToken | Callable[[], None]] = deque()
        self.asked: list[Grant | None] = []
        self.go = threading.Event()
        self.go.set()
        self.began = threading.Event()

    def fetch(
        self, oauth2: OAuth2, username: str, grant: Grant | None, now: datetime
    ) -> Grant | NoToken:
        self.asked.append(grant)
        number = len(self.asked)
        self.began.set()
        assert self.go.wait(20)
        if self.answers:
            answer = self.answers.popleft()
            if isinstance(answer, NoToken):
                return answer
            answer()
        return Grant(
            refresh_token=f"refresh-{number}" if oauth2.interactive else None,
            access_token=f"access-{number}",
            expires_at=now + timedelta(seconds=self.lifetime_seconds),
            consented_at=grant.consented_at if grant else None,
            refreshed_at=now,
        )
