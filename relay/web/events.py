"""What changes in the relay, told to open pages as server-sent events (WHATWG HTML, section 9.2)."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from relay.web.errors import Refused

KINDS = ("queue", "device", "account", "health")
MOST_STREAMS = 20
PAUSE_SECONDS = 0.5  # between two looks, and so between two events of one kind
QUIET_SECONDS = 15.0  # then a comment, so that nobody between us takes the line for dead

# What each event of the mail log changes for a reader.
_KINDS_OF = {
    "accepted": ("queue", "device"),
    "attempt": ("queue",),
    "delivered": ("queue", "account"),
    "deferred": ("queue",),
    "held": ("queue",),
    "failed": ("queue",),
    "dsn": ("queue",),
    "refused": ("device",),
    "login": ("device",),
    "paused": ("account", "health"),
    "resumed": ("account", "health"),
    "reloaded": KINDS,
    "alert": ("health",),
}
# What each part of the API changes.
_KINDS_AT = {
    "queue": ("queue", "health"),
    "senders": ("queue",),
    "clients": ("device", "queue"),
    "accounts": ("account", "health"),
    "reload": KINDS,
    "test-message": ("queue",),
}


class Changes(logging.Handler):
    """Counts changes by kind; streams look at the counts now and then.

    Counting costs the mail nothing to speak of, in whatever thread it happens, and a thousand
    changes in half a second are one event.
    """

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._counts: Counter[str] = Counter()
        self._ended = asyncio.Event()
        self._streams = 0
        self._log = logging.getLogger("relay.mail")

    def follow(self) -> None:
        """Count what the mail log tells, until `close`."""
        self._log.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        self.note(*_KINDS_OF.get(record.msg, ()))

    def note(self, *kinds: str) -> None:
        """Something of these kinds changed."""
        for kind in kinds:
            self._counts[kind] += 1

    def note_call(self, path: str) -> None:
        """A call of the API, its path without prefix, changed something."""
        self.note(*_KINDS_AT.get(path.strip("/").partition("/")[0], ()))

    def close(self) -> None:
        """End all streams, and every one that begins later."""
        self._log.removeHandler(self)
        self._ended.set()
        super().close()

    async def stream(self, may_read: Callable[[], Awaitable[bool]]) -> AsyncIterator[bytes]:
        """The events from now on, until `close`, or until the reader may read no longer."""
        if self.full:
            return
        self._streams += 1
        try:
            seen, quiet = Counter(self._counts), 0.0
            yield b": relay\n\n"
            while not await self._pause():
                quiet += PAUSE_SECONDS
                changed = [kind for kind in KINDS if self._counts[kind] != seen[kind]]
                if not changed and quiet < QUIET_SECONDS:
                    continue
                if not await may_read():
                    return
                yield b"".join(map(_event, changed)) or b":\n\n"
                quiet = 0.0
                for kind in changed:
                    seen[kind] = self._counts[kind]
        finally:
            self._streams -= 1

    @property
    def full(self) -> bool:
        """Whether there are as many streams as there may be."""
        return self._streams >= MOST_STREAMS

    async def _pause(self) -> bool:
        """Half a second later, or at once where all ends: whether all ends."""
        try:
            await asyncio.wait_for(self._ended.wait(), PAUSE_SECONDS)
        except TimeoutError:
            return False
        return True


def events_answer(
    changes: Changes, request: Request, may_read: Callable[[], Awaitable[bool]]
) -> Response:
    """The stream. Raises Refused where there are too many."""
    if changes.full:
        raise Refused(
            503,
            "er staan al te veel pagina's open; deze ververst niet vanzelf",
            "too many pages are open already; this one does not refresh itself",
            {"Retry-After": "30"},
        )
    return StreamingResponse(changes.stream(may_read), media_type="text/event-stream")


def _event(kind: str) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'changed': kind})}\n\n".encode()
