"""Who may speak to the API: the right Host, no foreign page, and the control token."""

from __future__ import annotations

import hmac
from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from relay.control.documents import SCHEMA

OWN_HOSTS = ("localhost", "127.0.0.1", "::1")


class Gate:
    """Refuses a request before the application sees anything of it.

    The Host list keeps out pages whose name was made to point here (DNS rebinding), the Origin
    check other pages, and the token everybody else. `open_paths` need no token.
    """

    def __init__(
        self, app: ASGIApp, token: str, hosts: tuple[str, ...], open_paths: tuple[str, ...]
    ) -> None:
        self._app = app
        self._credentials = f"Bearer {token}".encode()
        self._hosts = frozenset(host.lower() for host in (*hosts, *OWN_HOSTS))
        self._open_paths = open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"only HTTP is spoken here, not {scope['type']}")
        refusal = self._refusal(scope, Headers(scope=scope))
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope, headers: Headers) -> JSONResponse | None:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._is_ours(host_name(hosts[0]), scope):
            return error_response(
                421,
                "deze naam hoort niet bij deze relay; zet hem bij [web] hosts",
                "this name is not this relay's; add it to [web] hosts",
            )
        if any(origin != f"{scope['scheme']}://{hosts[0]}" for origin in headers.getlist("origin")):
            return error_response(403, "verzoek van een andere site", "a request from another site")
        if scope["path"] in self._open_paths:
            return None
        given = headers.getlist("authorization")
        if len(given) == 1 and hmac.compare_digest(given[0].encode("latin-1"), self._credentials):
            return None
        return error_response(
            401,
            "het control.token ontbreekt of klopt niet; start het commando als de gebruiker van de relay",
            "the control.token is missing or wrong; run the command as the relay's user",
        )

    def _is_ours(self, host: str, scope: Scope) -> bool:
        if host in self._hosts:
            return True
        server = (scope.get("server") or ("", None))[0]
        try:
            # The address that this very connection came in on, where we listen on all of them.
            return ip_address(host) == ip_address(server)
        except ValueError:
            return False


def host_name(header: str) -> str:
    """The name in a Host header, without port and brackets (RFC 9110 section 7.2)."""
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.partition(":")[0].lower()


def error_response(status: int, nl: str, en: str) -> JSONResponse:
    """A refusal with its reason in both languages."""
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    content = {"schema": SCHEMA, "error": {"nl": nl, "en": en}}
    return JSONResponse(content, status, headers)
