"""Who may speak to the API: the right Host, no foreign page, and the control token or a session."""

from __future__ import annotations

import hmac
from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from relay.web.entrance import OWN_HOSTS, Entrance, host_name, is_local
from relay.web.errors import error_response

SESSION_PATH = "/api/v1/session"

_OPEN_PATHS = frozenset({"/", "/healthz", "/readyz"})
_STATIC = "/static/"
_METRICS = "/metrics"  # for whoever collects them on this machine; elsewhere with the token
_READING = frozenset({"GET", "HEAD"})


class Gate:
    """Refuses a request before the application sees anything of it.

    The Host list keeps out pages whose name was made to point here (DNS rebinding), the checks of
    origin other pages, the token or the session everybody else. The path is judged as the
    application will see it, decoded; what is not open by its exact name is closed. A change needs
    the session's token beside its cookie, since a cookie alone says only which browser it is.
    """

    def __init__(
        self, app: ASGIApp, token: str, hosts: tuple[str, ...], entrance: Entrance
    ) -> None:
        self._app = app
        self._credentials = f"Bearer {token}".encode()
        self._hosts = frozenset(host.lower() for host in (*hosts, *OWN_HOSTS))
        self._entrance = entrance

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"only HTTP is spoken here, not {scope['type']}")
        headers = Headers(scope=scope)
        refusal = self._foreign(scope, headers) or await self._stranger(scope, headers)
        await (refusal or self._app)(scope, receive, send)

    def _foreign(self, scope: Scope, headers: Headers) -> Response | None:
        """A refusal of what another name or another page brought here."""
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._is_ours(host_name(hosts[0]), scope):
            return error_response(
                421,
                "deze naam hoort niet bij deze relay; zet hem bij [web] hosts",
                "this name is not this relay's; add it to [web] hosts",
            )
        if any(origin != f"{scope['scheme']}://{hosts[0]}" for origin in headers.getlist("origin")):
            return _of_another_site()
        # A link elsewhere may lead to the front page. Another port of this machine is another page.
        if scope["path"] != "/" and any(
            site not in ("same-origin", "none") for site in headers.getlist("sec-fetch-site")
        ):
            return _of_another_site()
        return None

    async def _stranger(self, scope: Scope, headers: Headers) -> Response | None:
        """A refusal of who shows neither the token nor a session; notes in `scope` who it is."""
        path, given = scope["path"], headers.getlist("authorization")
        scope["relay.bearer"] = len(given) == 1 and hmac.compare_digest(
            given[0].encode("latin-1"), self._credentials
        )
        if scope["relay.bearer"]:
            return None
        session = scope["relay.session"] = await self._entrance.session(scope)
        if path in _OPEN_PATHS or path.startswith(_STATIC):
            return None
        if path == SESSION_PATH and scope["method"] != "DELETE":
            return None
        if path == _METRICS and scope["method"] in _READING and is_local(scope):
            return None
        if session is None:
            return error_response(
                401,
                "meld u aan op de pagina; een commando start u als de gebruiker van de relay (het control.token ontbreekt of klopt niet)",
                "log in on the page; run a command as the relay's user (the control.token is missing or wrong)",
                {"WWW-Authenticate": "Bearer"},
            )
        tokens = headers.getlist("x-csrf-token")
        if scope["method"] not in _READING and not (
            len(tokens) == 1 and session.csrf_is(tokens[0])
        ):
            return error_response(
                403,
                "de X-CSRF-Token ontbreekt of klopt niet; laad de pagina opnieuw",
                "the X-CSRF-Token is missing or wrong; load the page again",
            )
        return None

    def _is_ours(self, host: str, scope: Scope) -> bool:
        if host in self._hosts:
            return True
        server = (scope.get("server") or ("", None))[0]
        try:
            # The address that this very connection came in on, where we listen on all of them.
            return ip_address(host) == ip_address(server)
        except ValueError:
            return False


def _of_another_site() -> Response:
    return error_response(403, "verzoek van een andere site", "a request from another site")
