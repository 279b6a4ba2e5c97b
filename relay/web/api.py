"""The control API, `/api/v1`: one path for each of the desk's methods, JSON in and out."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from relay.control.desk import Desk
from relay.control.documents import Document
from relay.control.errors import Declined
from relay.control.grants import read_grant
from relay.spool.errors import SpoolError, VaultError
from relay.web.gate import Gate, error_response

Call = Callable[[Desk, Request], Awaitable[Document]]

PREFIX = "/api/v1"
MOST_BODY_BYTES = 1_000_000

SANDBOX_PAGE = {
    "nl": "Dit is de relay in de sandbox: hij neemt mail aan en verzendt niets.\n"
    "Bekijk wat er binnenkwam: relay queue list, relay queue show ID\n",
    "en": "This is the relay in its sandbox: it takes mail and sends nothing.\n"
    "See what came in: relay queue list, relay queue show ID\n",
}


def create_app(desk: Desk, token: str, hosts: tuple[str, ...]) -> Starlette:
    """The application. `hosts` are the names and addresses it answers to, beside the local ones."""

    async def healthz(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def front(request: Request) -> Response:
        if not desk.config().sandbox:
            raise HTTPException(404)
        return PlainTextResponse(SANDBOX_PAGE[desk.config().language])

    async def body(request: Request) -> Response:
        pieces = desk.queue_body(request.path_params["id"])
        first = await anext(pieces, None)
        if first is None:
            raise HTTPException(404)
        return StreamingResponse(_chain(first, pieces), media_type="message/rfc822")

    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/", front),
            Route(f"{PREFIX}/queue/{{id}}/message", body),
            *(
                Route(PREFIX + path, _endpoint(desk, call), methods=[method])
                for method, path, call in CALLS
            ),
        ],
        middleware=[
            Middleware(Gate, token=token, hosts=hosts, open_paths=("/healthz", "/")),
        ],
        exception_handlers={
            Declined: _declined,
            SpoolError: _spool_failed,
            HTTPException: _http_error,
        },
    )


async def _queue_list(desk: Desk, request: Request) -> Document:
    query = request.query_params
    limit = query.get("limit", "100")
    return await desk.queue_list(
        query.get("state"), int(limit[:9]) if limit.isdecimal() else 0, query.get("client")
    )


async def _queue_ids(desk: Desk, request: Request) -> Document:
    return await desk.queue_ids()


async def _queue_show(desk: Desk, request: Request) -> Document:
    return await desk.queue_show(request.path_params["id"], _language(desk, request))


async def _queue_act(desk: Desk, request: Request) -> Document:
    body = await _body(request)
    ids = body.get("ids")
    if body.get("all") is True and ids is None:
        return await desk.queue_act(_string(body, "action"), None, _optional(body, "to"))
    if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
        raise _bad_field("ids")
    return await desk.queue_act(_string(body, "action"), ids, _optional(body, "to"))


async def _queue_cure(desk: Desk, request: Request) -> Document:
    body = await _body(request)
    domain = body.get("domain", False)
    if not isinstance(domain, bool):
        raise _bad_field("domain")
    return await desk.queue_cure(request.path_params["id"], _optional(body, "as"), domain)


async def _sender_list(desk: Desk, request: Request) -> Document:
    return await desk.sender_list()


async def _sender_remove(desk: Desk, request: Request) -> Document:
    body = await _body(request)
    return await desk.sender_remove(_string(body, "sender"), _optional(body, "smarthost"))


async def _client_list(desk: Desk, request: Request) -> Document:
    return await desk.client_list()


async def _client_refused(desk: Desk, request: Request) -> Document:
    return await desk.client_refused()


async def _client_allow(desk: Desk, request: Request) -> Document:
    body = await _body(request)
    return await desk.client_allow(_string(body, "address"), _optional(body, "name"))


async def _client_remove(desk: Desk, request: Request) -> Document:
    return await desk.client_remove(request.path_params["address"])


async def _client_learn(desk: Desk, request: Request) -> Document:
    minutes = (await _body(request)).get("minutes")
    if not isinstance(minutes, int) or isinstance(minutes, bool):
        raise _bad_field("minutes")
    return await desk.client_learn(minutes)


async def _account_list(desk: Desk, request: Request) -> Document:
    return await desk.account_list(_language(desk, request))


async def _account_resume(desk: Desk, request: Request) -> Document:
    return await desk.account_resume(_string(await _body(request), "name"))


async def _account_pause(desk: Desk, request: Request) -> Document:
    return await desk.account_pause(_string(await _body(request), "name"))


async def _account_test(desk: Desk, request: Request) -> Document:
    body = await _body(request)
    force = body.get("force", False)
    if not isinstance(force, bool):
        raise _bad_field("force")
    return await desk.account_test(_string(body, "name"), force, _language(desk, request))


async def _account_grant(desk: Desk, request: Request) -> Document:
    body = await _body(request)
    grant = body.get("grant")
    if not isinstance(grant, dict):
        raise _bad_field("grant")
    return await desk.account_grant(_string(body, "name"), read_grant(grant))


async def _why(desk: Desk, request: Request) -> Document:
    query = request.query_params
    return await desk.why(query.get("address", ""), query.get("sender", ""), query.get("recipient"))


async def _status(desk: Desk, request: Request) -> Document:
    return await desk.status()


async def _reload(desk: Desk, request: Request) -> Document:
    return await desk.reload()


CALLS: tuple[tuple[str, str, Call], ...] = (
    ("GET", "/queue", _queue_list),
    ("POST", "/queue/actions", _queue_act),
    ("GET", "/queue/ids", _queue_ids),
    ("GET", "/queue/{id}", _queue_show),
    ("POST", "/queue/{id}/cure", _queue_cure),
    ("GET", "/senders", _sender_list),
    ("POST", "/senders/remove", _sender_remove),
    ("GET", "/clients", _client_list),
    ("POST", "/clients", _client_allow),
    ("GET", "/clients/refused", _client_refused),
    ("POST", "/clients/learn", _client_learn),
    ("DELETE", "/clients/{address}", _client_remove),
    ("GET", "/accounts", _account_list),
    ("POST", "/accounts/grant", _account_grant),
    ("POST", "/accounts/pause", _account_pause),
    ("POST", "/accounts/resume", _account_resume),
    ("POST", "/accounts/test", _account_test),
    ("GET", "/why", _why),
    ("GET", "/status", _status),
    ("POST", "/reload", _reload),
)


def _endpoint(desk: Desk, call: Call) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        return JSONResponse(await call(desk, request))

    return endpoint


async def _chain(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece


def _language(desk: Desk, request: Request) -> str:
    return request.query_params.get("lang", desk.config().language)


async def _body(request: Request) -> dict[str, Any]:
    """The JSON object of a request, of at most `MOST_BODY_BYTES`."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise HTTPException(415)
    text = bytearray()
    async for piece in request.stream():
        text += piece
        if len(text) > MOST_BODY_BYTES:
            raise HTTPException(413)
    try:
        body = json.loads(text)
        json.dumps(body, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise Declined("stuur een JSON-object", "send a JSON object")
    return body


def _string(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str):
        raise _bad_field(name)
    return value


def _optional(body: dict[str, Any], name: str) -> str | None:
    return None if body.get(name) is None else _string(body, name)


def _bad_field(name: str) -> Declined:
    return Declined(f"{name} ontbreekt of klopt niet", f"{name} is missing or wrong")


async def _declined(request: Request, error: Exception) -> Response:
    assert isinstance(error, Declined)
    return error_response(400, error.nl, error.en)


async def _spool_failed(request: Request, error: Exception) -> Response:
    if isinstance(error, VaultError):
        return error_response(503, error.nl, error.en)
    return error_response(503, f"de spool werkt niet: {error}", f"the spool does not work: {error}")


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return error_response(error.status_code, error.detail, error.detail)
