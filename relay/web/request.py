"""What the calls of the API read from a request; whatever is wrong with it is Declined."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from relay.control.documents import Document
from relay.control.errors import Declined
from relay.control.page_desk import PageDesk

# A document becomes JSON; a call whose answer is a file or a stream returns its own Response.
Call = Callable[[PageDesk, Request], Awaitable[Document | Response]]

PREFIX = "/api/v1"
MOST_BODY_BYTES = 1_000_000
BODY_SECONDS = 30.0
LANGUAGES = ("nl", "en")


async def body(request: Request, most_bytes: int = MOST_BODY_BYTES) -> dict[str, Any]:
    """The JSON object of a request, of at most `most_bytes`, all of it within `BODY_SECONDS`."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise HTTPException(415)
    try:
        async with asyncio.timeout(BODY_SECONDS):
            text = await _read(request, most_bytes)
    except TimeoutError:
        raise HTTPException(408) from None
    try:
        content = json.loads(text)
        json.dumps(content, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise Declined("stuur een JSON-object", "send a JSON object")
    return content


async def _read(request: Request, most_bytes: int) -> bytearray:
    text = bytearray()
    async for piece in request.stream():
        text += piece
        if len(text) > most_bytes:
            raise HTTPException(413)
    return text


def string(content: dict[str, Any], name: str) -> str:
    """The text at `name`."""
    value = content.get(name)
    if not isinstance(value, str):
        raise bad_field(name)
    return value


def optional(content: dict[str, Any], name: str) -> str | None:
    """The text at `name`, or None where it is absent or null."""
    return None if content.get(name) is None else string(content, name)


def choice(content: dict[str, Any], name: str, default: bool = False) -> bool:
    """The yes or no at `name`."""
    value = content.get(name, default)
    if not isinstance(value, bool):
        raise bad_field(name)
    return value


def whole_number(content: dict[str, Any], name: str) -> int:
    """The whole number at `name`."""
    value = content.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise bad_field(name)
    return value


def count(request: Request, name: str, default: int) -> int:
    """A number in the query, 0 where it is none; the desk says what it may be."""
    text = request.query_params.get(name, str(default))
    return int(text[:9]) if text.isascii() and text.isdecimal() else 0


def language(desk: PageDesk, request: Request) -> str:
    """The reader's language: `?lang=`, else that of the configuration."""
    return request.query_params.get("lang", desk.config().language)


def bad_field(name: str) -> Declined:
    """The answer to a field that is missing or of another kind."""
    return Declined(f"{name} ontbreekt of klopt niet", f"{name} is missing or wrong")
