"""Log in to the page, log out, and who is looking: `/api/v1/session`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from relay import __version__
from relay.control.documents import document
from relay.control.page_desk import PageDesk
from relay.web.entrance import Entrance, set_cookie
from relay.web.request import body, string
from relay.web.session import Session

MOST_BODY_BYTES = 10_000

Endpoint = Callable[[Request], Awaitable[Response]]


def session_endpoint(desk: PageDesk, entrance: Entrance) -> Endpoint:
    """The endpoint of GET, POST and DELETE."""

    async def endpoint(request: Request) -> Response:
        scope = request.scope
        session: Session | None = scope.get("relay.session")
        cookie: str | None = None
        if request.method == "POST":
            password = string(await body(request, MOST_BODY_BYTES), "password")
            cookie, session = await entrance.login(scope, password)
            entrance.close(scope)  # the one before: a login never raises a cookie that was there
        elif request.method == "DELETE":
            entrance.close(scope)
            session = None
        elif may_open(request, session, entrance):
            cookie, session = entrance.open()
        answer = JSONResponse(_document(desk, request, session, entrance))
        if cookie is not None or request.method == "DELETE":
            answer.headers["Set-Cookie"] = set_cookie(scope, cookie)
        return answer

    return endpoint


def may_open(request: Request, session: Session | None, entrance: Entrance) -> bool:
    """Whether a look at the page opens a session: where no password is asked, for no other site."""
    site = request.headers.get("sec-fetch-site", "none")
    return (
        session is None
        and not request.scope["relay.bearer"]
        and site in ("none", "same-origin")
        and request.method == "GET"
        and not entrance.needs_password(request.scope)
    )


def _document(
    desk: PageDesk, request: Request, session: Session | None, entrance: Entrance
) -> dict[str, object]:
    config = desk.config()
    known = session is not None or request.scope["relay.bearer"]
    return document(
        "session",
        logged_in=known,
        needs_password=entrance.needs_password(request.scope),
        csrf=None if session is None else session.csrf,
        language=config.language,
        sandbox=config.sandbox,
        show_bodies=config.web.show_bodies,
        # What it is and whose is for those who may come in.
        version=__version__ if known else "",
        hostname=config.hostname if known else "",
    )
