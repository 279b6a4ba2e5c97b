"""The API's description, OpenAPI 3.1: `openapi.json`, kept beside this module."""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response

FILE = Path(__file__).with_name("openapi.json")


async def description(request: Request) -> Response:
    """`GET /api/v1/openapi.json`."""
    return FileResponse(FILE, media_type="application/json")
