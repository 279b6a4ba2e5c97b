"""The page's tools: examine, send a test message, look at the settings, consent to an account."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from relay.config.server import neighbourhood
from relay.control.diagnosis import Busy, Inquiry, Report
from relay.control.documents import Document
from relay.control.errors import Declined
from relay.control.page_desk import PageDesk
from relay.control.test_message import CLIENT, Wanted
from relay.web import request as asked
from relay.web.errors import Refused
from relay.web.request import Call

_RETRY_SECONDS = "10"
_FILES = {"html": ("text/html", "html"), "markdown": ("text/markdown", "md")}


async def _diagnose(desk: PageDesk, request: Request) -> Document:
    body = await asked.body(request)
    inquiry = Inquiry(
        check=asked.string(body, "check"),
        domain=asked.optional(body, "domain"),
        smarthost=asked.optional(body, "smarthost"),
        language=_language(desk, request, body),
    )
    try:
        return await _while_awaited(request, desk.diagnose(inquiry))
    except Busy as busy:
        raise Refused(429, busy.nl, busy.en, {"Retry-After": _RETRY_SECONDS}) from None


async def _diagnose_report(desk: PageDesk, request: Request) -> Response:
    """The last report as a file; GET examines nothing."""
    format_ = request.query_params.get("format", "html")
    if format_ not in _FILES:
        raise Declined("kies format=html of format=markdown", "choose format=html or markdown")
    report: Report | None = desk.diagnoses.report
    if report is None:
        raise Refused(
            404,
            "er is nog geen rapport; maak het eerst (onderzoek: report)",
            "there is no report yet; make it first (check: report)",
        )
    media_type, extension = _FILES[format_]
    name = f"relay-report-{report.at:%Y%m%d-%H%M}.{extension}"
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }
    content = report.texts["html" if format_ == "html" else "markdown"]
    return Response(content, media_type=f"{media_type}; charset=utf-8", headers=headers)


async def _test_message(desk: PageDesk, request: Request) -> Document:
    body = await asked.body(request)
    wanted = Wanted(
        to=asked.string(body, "to"),
        sender=asked.optional(body, "from") or None,
        language=_language(desk, request, body),
        asked_from=request.client.host if request.client is not None else CLIENT,
    )
    return await desk.test_message(wanted)


async def _settings(desk: PageDesk, request: Request) -> Document:
    return await desk.settings()


async def _settings_check(desk: PageDesk, request: Request) -> Document:
    return await desk.settings_check(asked.string(await asked.body(request), "text"))


async def _consent_begin(desk: PageDesk, request: Request) -> Document:
    body = await asked.body(request)
    return await desk.consents.begin(
        asked.string(body, "name"),
        asked.optional(body, "flow"),
        _is_here(request),
        _language(desk, request, body),
    )


async def _consent_show(desk: PageDesk, request: Request) -> Document:
    return desk.consents.show(request.path_params["name"])


async def _consent_paste(desk: PageDesk, request: Request) -> Document:
    redirect = asked.string(await asked.body(request), "redirect")
    return desk.consents.paste(request.path_params["name"], redirect)


async def _consent_cancel(desk: PageDesk, request: Request) -> Document:
    return desk.consents.cancel(request.path_params["name"])


CALLS: tuple[tuple[str, str, Call], ...] = (
    ("POST", "/diagnose", _diagnose),
    ("GET", "/diagnose/report", _diagnose_report),
    ("POST", "/test-message", _test_message),
    ("GET", "/settings", _settings),
    ("POST", "/settings/check", _settings_check),
    ("POST", "/accounts/consent", _consent_begin),
    ("GET", "/accounts/consent/{name:path}", _consent_show),
    ("POST", "/accounts/consent/{name:path}", _consent_paste),
    ("DELETE", "/accounts/consent/{name:path}", _consent_cancel),
)


def _language(desk: PageDesk, request: Request, body: dict[str, Any]) -> str:
    return asked.optional(body, "lang") or asked.language(desk, request)


def _is_here(request: Request) -> bool:
    """Whether the browser runs on this machine, as far as can be told from here."""
    peer = request.client.host if request.client is not None else ""
    name = request.url.hostname or ""
    return neighbourhood(peer) == neighbourhood(name) == "loopback"


async def _while_awaited(request: Request, work: Coroutine[Any, Any, Document]) -> Document:
    """The result of `work`, which ends when nobody waits for the answer any more."""
    task = asyncio.create_task(work)
    gone = asyncio.create_task(_gone(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        gone.cancel()
        if not task.done():
            task.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)
    if task.cancelled():
        raise Refused(503, "het onderzoek is gestopt", "the examination was stopped")
    return task.result()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
