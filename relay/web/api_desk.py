"""The calls of the API that the commands make: each a method of the desk, JSON in and out."""

from __future__ import annotations

from starlette.requests import Request

from relay.control.documents import Document
from relay.control.grants import read_grant
from relay.control.page_desk import PageDesk
from relay.web.request import (
    Call,
    bad_field,
    body,
    choice,
    count,
    language,
    optional,
    string,
    whole_number,
)


async def _queue_list(desk: PageDesk, request: Request) -> Document:
    query = request.query_params
    limit = count(request, "limit", 100)
    return await desk.queue_list(query.get("state"), limit, query.get("client"))


async def _queue_ids(desk: PageDesk, request: Request) -> Document:
    return await desk.queue_ids()


async def _queue_show(desk: PageDesk, request: Request) -> Document:
    return await desk.queue_show(request.path_params["id"], language(desk, request))


async def _queue_act(desk: PageDesk, request: Request) -> Document:
    given = await body(request)
    ids = given.get("ids")
    if given.get("all") is True and ids is None:
        return await desk.queue_act(string(given, "action"), None, optional(given, "to"))
    if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
        raise bad_field("ids")
    return await desk.queue_act(string(given, "action"), ids, optional(given, "to"))


async def _queue_cure(desk: PageDesk, request: Request) -> Document:
    given = await body(request)
    address, domain = optional(given, "as"), choice(given, "domain")
    return await desk.queue_cure(request.path_params["id"], address, domain)


async def _sender_list(desk: PageDesk, request: Request) -> Document:
    return await desk.sender_list()


async def _sender_remove(desk: PageDesk, request: Request) -> Document:
    given = await body(request)
    return await desk.sender_remove(string(given, "sender"), optional(given, "smarthost"))


async def _client_list(desk: PageDesk, request: Request) -> Document:
    return await desk.client_list()


async def _client_refused(desk: PageDesk, request: Request) -> Document:
    return await desk.client_refused()


async def _client_allow(desk: PageDesk, request: Request) -> Document:
    given = await body(request)
    return await desk.client_allow(string(given, "address"), optional(given, "name"))


async def _client_remove(desk: PageDesk, request: Request) -> Document:
    return await desk.client_remove(request.path_params["address"])


async def _client_learn(desk: PageDesk, request: Request) -> Document:
    return await desk.client_learn(whole_number(await body(request), "minutes"))


async def _account_list(desk: PageDesk, request: Request) -> Document:
    return await desk.account_list(language(desk, request))


async def _account_resume(desk: PageDesk, request: Request) -> Document:
    return await desk.account_resume(string(await body(request), "name"))


async def _account_pause(desk: PageDesk, request: Request) -> Document:
    return await desk.account_pause(string(await body(request), "name"))


async def _account_test(desk: PageDesk, request: Request) -> Document:
    given = await body(request)
    name, force = string(given, "name"), choice(given, "force")
    return await desk.account_test(name, force, language(desk, request))


async def _account_grant(desk: PageDesk, request: Request) -> Document:
    given = await body(request)
    grant = given.get("grant")
    if not isinstance(grant, dict):
        raise bad_field("grant")
    return await desk.account_grant(string(given, "name"), read_grant(grant))


async def _why(desk: PageDesk, request: Request) -> Document:
    query = request.query_params
    return await desk.why(query.get("address", ""), query.get("sender", ""), query.get("recipient"))


async def _status(desk: PageDesk, request: Request) -> Document:
    return await desk.status()


async def _reload(desk: PageDesk, request: Request) -> Document:
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
