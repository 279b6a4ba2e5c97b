"""What monitoring programs ask for: `/healthz` and `/readyz`, open to all that the Host list lets
through, and `/metrics`, which from another machine needs the control token (see the gate).

Nothing in the answers names a person.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from relay.control.documents import Document
from relay.control.page_desk import PageDesk
from relay.web.request import Call

_FRESH_SECONDS = 1.0
"""An answer serves for so long: asking costs reads of the spool, and anybody may ask."""

_NOT_READY = {
    "spool": "spool: takes no new mail; zie relay status",
    "listener": "listener: not bound; luistert niet",
    "delivery": "delivery: the dispatcher has stopped; de bezorging staat stil",
}


def routes(desk: PageDesk) -> list[Route]:
    """The three paths."""
    metrics = _Shared(desk.metrics)

    async def healthz(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(request: Request) -> Response:
        missing = [_NOT_READY[each] for each in desk.not_ready()]
        if not missing:
            return PlainTextResponse("ready\n")
        return PlainTextResponse("\n".join(missing) + "\n", 503)

    async def exposition(request: Request) -> Response:
        content_type, text = await metrics.get()
        return Response(text, headers={"Content-Type": content_type, "Cache-Control": "no-store"})

    return [
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/metrics", exposition),
    ]


class _Shared:
    """One answer for all who ask within a second."""

    def __init__(self, make: Callable[[], Awaitable[tuple[str, bytes]]]) -> None:
        self._make = make
        self._lock = asyncio.Lock()
        self._made: tuple[float, tuple[str, bytes]] | None = None

    async def get(self) -> tuple[str, bytes]:
        async with self._lock:
            now = monotonic()
            if self._made is None or now - self._made[0] >= _FRESH_SECONDS:
                self._made = now, await self._make()
            return self._made[1]


async def _alarm_test(desk: PageDesk, request: Request) -> Document:
    return await desk.alarm_test()


CALLS: tuple[tuple[str, str, Call], ...] = (("POST", "/alarms/test", _alarm_test),)
