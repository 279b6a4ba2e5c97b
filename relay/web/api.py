"""The application: the page's files, and the API `/api/v1` that page and commands alike speak to."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from relay.control.page_desk import PageDesk
from relay.web import api_desk, api_inbox, api_messages, api_tools, monitoring
from relay.web.description import description
from relay.web.entrance import Entrance, set_cookie
from relay.web.errors import HANDLERS
from relay.web.events import Changes, events_answer
from relay.web.gate import SESSION_PATH, Gate
from relay.web.headers import SafeHeaders
from relay.web.request import PREFIX, Call
from relay.web.session_calls import may_open, session_endpoint
from relay.web.static_files import StaticFiles

CALLS: tuple[tuple[str, str, Call], ...] = (
    *api_desk.CALLS,
    *api_inbox.CALLS,
    *api_messages.CALLS,
    *monitoring.CALLS,
    *api_tools.CALLS,
)

Endpoint = Callable[[Request], Awaitable[Response]]


def create_app(
    desk: PageDesk,
    token: str,
    hosts: tuple[str, ...],
    changes: Changes | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> ASGIApp:
    """The application. `hosts` are the names and addresses it answers to, beside the local ones.

    `changes` are told to open pages; `clock` says how old sessions and wrong passwords are.
    """
    told = changes or Changes()
    entrance = Entrance(desk.config, clock)
    routes = [
        *monitoring.routes(desk),
        *_page(entrance),
        Route(SESSION_PATH, session_endpoint(desk, entrance), methods=["GET", "POST", "DELETE"]),
        Route(f"{PREFIX}/events", _events(told, entrance)),
        Route(f"{PREFIX}/openapi.json", description),
        Route(f"{PREFIX}/queue/{{id}}/message", _message(desk)),
        *(
            Route(PREFIX + path, _endpoint(desk, call, told, path), methods=[method])
            for method, path, call in CALLS
        ),
    ]
    application = Starlette(routes=routes, exception_handlers=HANDLERS)
    return SafeHeaders(Gate(application, token, hosts, entrance))


def _page(entrance: Entrance) -> tuple[Route, ...]:
    files = StaticFiles()

    async def front(request: Request) -> Response:
        answer = files.answer(request, "index.html")
        if may_open(request, request.scope.get("relay.session"), entrance):
            answer.headers["Set-Cookie"] = set_cookie(request.scope, entrance.open()[0])
        return answer

    async def file(request: Request) -> Response:
        return files.answer(request, request.path_params["name"])

    return Route("/", front), Route("/static/{name:path}", file)


def _endpoint(desk: PageDesk, call: Call, changes: Changes, path: str) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        answer = await call(desk, request)
        if request.method not in ("GET", "HEAD"):
            changes.note_call(path)
        return answer if isinstance(answer, Response) else JSONResponse(answer)

    return endpoint


def _events(changes: Changes, entrance: Entrance) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        async def may_read() -> bool:
            return (
                request.scope["relay.bearer"] or await entrance.session(request.scope) is not None
            )

        return events_answer(changes, request, may_read)

    return endpoint


def _message(desk: PageDesk) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        pieces = desk.queue_body(request.path_params["id"])
        first = await anext(pieces, None)
        if first is None:
            raise HTTPException(404)
        return StreamingResponse(_chain(first, pieces), media_type="message/rfc822")

    return endpoint


async def _chain(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece
