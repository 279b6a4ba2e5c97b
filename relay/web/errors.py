"""Refusals of the API as answers: a status, and the reason in both languages."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from relay.control.documents import SCHEMA
from relay.control.errors import Declined, Forbidden
from relay.reason import ReasonedError
from relay.spool.errors import SpoolError, VaultError

_WORDS = {
    400: ("dit verzoek klopt niet", "this request is wrong"),
    404: ("dit is er niet", "there is no such thing"),
    405: ("dit kan hier niet zo", "this cannot be done here"),
    408: ("het verzoek kwam niet binnen de tijd", "the request did not come in time"),
    413: ("het verzoek is te groot", "the request is too large"),
    415: ("stuur JSON, als application/json", "send JSON, as application/json"),
}


class Refused(ReasonedError):
    """A request that is answered with `status`, its reason, and perhaps headers."""

    def __init__(
        self, status: int, nl: str, en: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(nl, en)
        self.status = status
        self.headers = headers


def error_response(
    status: int, nl: str, en: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """A refusal with its reason in both languages."""
    content = {"schema": SCHEMA, "error": {"nl": nl, "en": en}}
    return JSONResponse(content, status, dict(headers or {}))


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return error_response(error.status, error.nl, error.en, error.headers)


async def _declined(request: Request, error: Exception) -> Response:
    assert isinstance(error, Declined)
    return error_response(403 if isinstance(error, Forbidden) else 400, error.nl, error.en)


async def _spool_failed(request: Request, error: Exception) -> Response:
    if isinstance(error, VaultError):
        return error_response(503, error.nl, error.en)
    return error_response(503, f"de spool werkt niet: {error}", f"the spool does not work: {error}")


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    nl, en = _WORDS.get(error.status_code, (error.detail, error.detail))
    return error_response(error.status_code, nl, en, error.headers)


async def _our_bug(request: Request, error: Exception) -> Response:
    # The log has the trace; whoever asked learns nothing of our inside.
    return error_response(
        500,
        "dit is een fout in de relay zelf; zie zijn log",
        "this is a bug in the relay; see its log",
    )


HANDLERS = {
    Refused: _refused,
    Declined: _declined,
    SpoolError: _spool_failed,
    HTTPException: _http_error,
    Exception: _our_bug,
}
