"""The calls of the API behind the pages Today, Messages and Devices. All of them only read."""

from __future__ import annotations

from starlette.requests import Request

from relay.control.documents import Document
from relay.control.messages import Sought
from relay.control.page_desk import PageDesk
from relay.web.request import Call, count


async def _today(desk: PageDesk, request: Request) -> Document:
    return await desk.today()


async def _messages(desk: PageDesk, request: Request) -> Document:
    query = request.query_params
    return await desk.messages(
        Sought(
            text=query.get("q", ""),
            recipient=query.get("recipient", ""),
            sender=query.get("sender", ""),
            client=query.get("client", ""),
            state=query.get("state", ""),
            before=query.get("before", ""),
            limit=count(request, "limit", 50),
        )
    )


async def _devices(desk: PageDesk, request: Request) -> Document:
    return await desk.devices()


CALLS: tuple[tuple[str, str, Call], ...] = (
    ("GET", "/today", _today),
    ("GET", "/messages", _messages),
    ("GET", "/devices", _devices),
)
