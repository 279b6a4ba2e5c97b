"""The calls of the inbox. What a message holds leaves in a form that no browser acts on."""

from __future__ import annotations

from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from relay.control.documents import Document
from relay.control.page_desk import PageDesk
from relay.web.request import Call, count

# Nothing is fetched and nothing runs, whatever slips through the filter of the HTML.
_FRAME_POLICY = (
    "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
_FILE_POLICY = "sandbox; default-src 'none'; frame-ancestors 'none'"


async def _listed(desk: PageDesk, request: Request) -> Document:
    return await desk.inbox().listed(count(request, "limit", 50))


async def _shown(desk: PageDesk, request: Request) -> Document:
    found = await desk.inbox().shown(request.path_params["id"])
    if found is None:
        raise HTTPException(404)
    return found


async def _html(desk: PageDesk, request: Request) -> Response:
    html = await desk.inbox().html(request.path_params["id"])
    if html is None:
        raise HTTPException(404)
    headers = {"Content-Security-Policy": _FRAME_POLICY, "X-Frame-Options": "SAMEORIGIN"}
    content = html.encode("utf-8", "replace")  # half a surrogate pair is no text
    return Response(content, headers=headers, media_type="text/html")


async def _attachment(desk: PageDesk, request: Request) -> Response:
    index = request.path_params["index"]
    number = int(index[:6]) if index.isascii() and index.isdecimal() else -1
    part = await desk.inbox().attachment(request.path_params["id"], number)
    if part is None:
        raise HTTPException(404)
    headers = {
        "Content-Security-Policy": _FILE_POLICY,
        "Content-Disposition": _disposition(part.filename or f"attachment-{number}"),
    }
    return Response(part.content, headers=headers, media_type="application/octet-stream")


def _disposition(name: str) -> str:
    """RFC 6266: for every browser a name, the full one for those that read it (RFC 8187)."""
    plain = "".join(each if each.isascii() and each not in '"\\%' else "_" for each in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


CALLS: tuple[tuple[str, str, Call], ...] = (
    ("GET", "/inbox", _listed),
    ("GET", "/inbox/{id}", _shown),
    ("GET", "/inbox/{id}/html", _html),
    ("GET", "/inbox/{id}/attachment/{index}", _attachment),
)
