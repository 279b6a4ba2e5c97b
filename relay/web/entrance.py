"""Who may use the page: everybody at this very machine, or whoever knows the password."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.types import Scope

from relay.access.address import peer_address
from relay.config.fault import BadValueError
from relay.config.secret import SecretError, SecretRef
from relay.web.errors import Refused
from relay.web.password import Verifier
from relay.web.session import COOKIE, Session, Sessions
from relay.web.throttle import Throttle

if TYPE_CHECKING:
    from relay.config.model import Config

OWN_HOSTS = ("localhost", "127.0.0.1", "::1")

# Whoever forwards requests adds one of these: then the peer's address says nothing of the reader.
_FORWARDED = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")


class Entrance:
    """Opens sessions and finds them. `config` gives the configuration in force."""

    def __init__(self, config: Callable[[], Config], clock: Callable[[], float]) -> None:
        self._config = config
        self._sessions = Sessions(clock)
        self._throttle = Throttle(clock)
        self._verifier = Verifier()
        self._seen_config: Config | None = None

    def needs_password(self, scope: Scope) -> bool:
        """Whether this request's reader has to log in."""
        return self._config().web.password_hash is not None or not is_local(scope)

    async def session(self, scope: Scope) -> Session | None:
        """The session of a request, None without one that holds."""
        await self._follow_config()
        cookie = cookie_of(scope)
        found = None if cookie is None else self._sessions.find(cookie)
        if found is not None and found.password_hash is None and self.needs_password(scope):
            return None
        return found

    def open(self) -> tuple[str, Session]:
        """A session of somebody who needs no password, and its cookie."""
        return self._sessions.open(None)

    def close(self, scope: Scope) -> None:
        """Log out."""
        cookie = cookie_of(scope)
        if cookie is not None:
            self._sessions.close(cookie)

    async def login(self, scope: Scope, password: str) -> tuple[str, Session]:
        """A session of somebody who knows the password, and its cookie.

        Raises Refused: 403 the password is wrong, or none is set; 429 too many tries; 503 it
        cannot be checked.
        """
        reference = self._config().web.password_hash
        if reference is None:
            raise Refused(
                403,
                "er is nog geen wachtwoord; maak er een met relay web password, zet het bij [web] password_hash, of open de pagina op de computer van de relay als http://localhost",
                "there is no password yet; make one with relay web password, set it at [web] password_hash, or open the page on the relay's machine as http://localhost",
            )
        peer = peer_of(scope)
        wait = self._throttle.begin(peer)
        if wait > 0:
            raise _too_many(wait)
        password_hash = await _read(reference)
        if not await self._check(password, password_hash):
            raise Refused(403, "het wachtwoord klopt niet", "the password is wrong")
        self._throttle.succeeded(peer)
        self._sessions.keep_only(password_hash)
        return self._sessions.open(password_hash)

    async def _check(self, password: str, password_hash: str) -> bool:
        try:
            right = await self._verifier.check(password, password_hash)
        except BadValueError as error:
            raise _unusable(error.nl, error.en) from error
        if right is None:
            raise _too_many(5)
        return right

    async def _follow_config(self) -> None:
        """After a reload: another password, or one at last, ends what was opened before."""
        config = self._config()
        if config is self._seen_config:
            return
        first, self._seen_config = self._seen_config is None, config
        if first:
            return
        reference = config.web.password_hash
        try:
            password_hash = None if reference is None else await _read(reference)
        except Refused:
            password_hash = ""  # nobody's: all have to log in again
        self._sessions.keep_only(password_hash)


def is_local(scope: Scope) -> bool:
    """Whether a request surely comes from this machine, and was meant for it."""
    headers = Headers(scope=scope)
    if any(name in headers for name in _FORWARDED):
        return False
    try:
        address = peer_address(peer_of(scope))
    except ValueError:
        return False
    return address.is_loopback and host_name(headers.get("host", "")) in OWN_HOSTS


def peer_of(scope: Scope) -> str:
    """The address that a request came from; empty where the server cannot tell."""
    return (scope.get("client") or ("", 0))[0]


def cookie_of(scope: Scope) -> str | None:
    """The session's cookie in a request."""
    for header in Headers(scope=scope).getlist("cookie"):
        value = cookie_parser(header).get(COOKIE)
        if value:
            return value
    return None


def set_cookie(scope: Scope, cookie: str | None) -> str:
    """The header that gives a browser its cookie, or with None takes it away (RFC 6265bis)."""
    flags = "HttpOnly; SameSite=Strict; Path=/" + ("; Secure" if scope["scheme"] == "https" else "")
    return f"{COOKIE}=; Max-Age=0; {flags}" if cookie is None else f"{COOKIE}={cookie}; {flags}"


def host_name(header: str) -> str:
    """The name in a Host header, without port and brackets (RFC 9110 section 7.2)."""
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.partition(":")[0].lower()


async def _read(reference: SecretRef) -> str:
    try:
        return await asyncio.to_thread(reference.read)
    except SecretError as error:
        raise _unusable(error.nl, error.en) from error


def _unusable(nl: str, en: str) -> Refused:
    return Refused(503, f"[web] password_hash: {nl}", f"[web] password_hash: {en}")


def _too_many(seconds: float) -> Refused:
    wait = math.ceil(seconds)
    return Refused(
        429,
        f"te veel pogingen; probeer het over {wait} seconden opnieuw",
        f"too many tries; try again in {wait} seconds",
        {"Retry-After": str(wait)},
    )
