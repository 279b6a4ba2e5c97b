"""The files of the page, as they lie in this package: each under its own name and no other."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

STATIC = Path(__file__).with_name("static")

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
}


@dataclass(frozen=True, slots=True)
class File:
    """One file, its type and what tells this version from others (RFC 9110 section 8.8.3)."""

    content: bytes
    media_type: str
    etag: str

    def answer(self, request: Request) -> Response:
        """The file, or 304 where the reader has it."""
        headers = {"ETag": self.etag, "Cache-Control": "no-cache", "Content-Type": self.media_type}
        known = request.headers.get("if-none-match", "")
        if self.etag in {each.strip().removeprefix("W/") for each in known.split(",")}:
            return Response(status_code=304, headers=headers)
        return Response(self.content, headers=headers)


class StaticFiles:
    """All files below `directory` of a type that the page uses, read once.

    A request names one of them exactly: no path is ever made from what it says.
    """

    def __init__(self, directory: Path = STATIC) -> None:
        self._files = {
            path.relative_to(directory).as_posix(): _read(path)
            for path in sorted(directory.rglob("*"))
            if path.suffix in TYPES and path.is_file()
        }

    def names(self) -> list[str]:
        """Every file that is served."""
        return list(self._files)

    def answer(self, request: Request, name: str) -> Response:
        """The answer to a request for `name`; 404 where there is no such file."""
        file = self._files.get(name)
        if file is None:
            raise HTTPException(404)
        return file.answer(request)


def _read(path: Path) -> File:
    content = path.read_bytes()
    return File(content, TYPES[path.suffix], f'"{sha256(content).hexdigest()[:32]}"')
