"""An issuer of OAuth2 tokens of our own: https on loopback, as Microsoft and as Google.

Real msal and google-auth talk to it. It is a server with a thread of its own; what it gave out
and to whom stands in its book, what it was asked in `requests`, and what it should answer instead
of the truth in `faults`, one entry a request, in order.
"""

from __future__ import annotations

import tempfile
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, Self
from urllib.parse import parse_qsl, urlsplit

from fakes import issuer_google, issuer_microsoft
from fakes.certificates import Authority
from fakes.issuer_answer import Answer, Fault, aadsts, google_error, google_revoked
from fakes.issuer_book import Book, utc_now
from fakes.issuer_server import IssuerServer

__all__ = ["Answer", "Asked", "Fault", "GoogleEndpoints", "Issuer", "aadsts", "google_error"]

At = Literal["token", "device", "discovery"]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request to a page that gives something out; `form` is what was sent."""

    page: str
    path: str
    form: dict[str, str]

    @property
    def grant_type(self) -> str | None:
        """The grant asked for; None for pages that know none."""
        return self.form.get("grant_type")


@dataclass(frozen=True, slots=True)
class GoogleEndpoints:
    """What stands in Google's presets, for this issuer."""

    authorize: str
    token: str


class Issuer(Book):
    """The issuer; what stands in its book (username, rotate, lifetime_seconds, ..) can be set."""

    def __init__(self, clock: Callable[[], datetime] | None = None) -> None:
        super().__init__(clock or utc_now)
        self.faults: deque[Fault] = deque()
        self.requests: list[Asked] = []
        self._closing = threading.Event()
        self._busy = threading.Lock()

    def __enter__(self) -> Self:
        self._directory = tempfile.TemporaryDirectory(prefix="issuer-")
        authority = Authority(Path(self._directory.name), "issuer-authority")
        self.ca_file = authority.ca_file
        self._server = IssuerServer(self)
        # The handshake happens in the connection's own thread, on its first read.
        self._server.socket = (
            authority.issue()
            .server_context()
            .wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        )
        self.url = f"https://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._directory.cleanup()

    @property
    def certificate_pem(self) -> str:
        """Key and certificate of the registered app, as one PEM text."""
        return self.certificate.pem

    @property
    def service_account_json(self) -> str:
        """The key file of the service account."""
        return self.service_account.key_file(self.google_endpoints.token)

    @property
    def google_endpoints(self) -> GoogleEndpoints:
        """Where it plays Google."""
        return GoogleEndpoints(f"{self.url}/google/o/oauth2/auth", f"{self.url}/google/token")

    def authority(self, tenant: str = "organizations") -> str:
        """Where it plays Microsoft, with the tenant filled in."""
        return f"{self.url}/{tenant}"

    def new_grant(self, username: str | None = None) -> str:
        """A refresh token, as if this user had consented before."""
        scopes = ("https://outlook.office.com/SMTP.Send", "offline_access")
        return self.give_refresh(username or self.username, scopes)

    def revoke(self, refresh_token: str | None = None, code: int = 50173) -> None:
        """Refuse this refresh token, or all, with that AADSTS code; access tokens die too."""
        for text, token in self.refresh.items():
            if refresh_token in (None, text):
                token.refused = code
                self.expire(token.username)

    def expire(self, username: str | None = None) -> None:
        """End every access token of this user, or of all."""
        for token in list(self.access.values()):
            if username in (None, token.username):
                token.expires_at = self.clock()

    def approve(self, authorize_url: str, username: str | None = None) -> str:
        """Consent as a person does in a browser: the redirect back, with a code."""
        return self._visit(authorize_url, username or self.username)

    def deny(self, authorize_url: str) -> str:
        """Press Cancel: the redirect back, with error=access_denied."""
        return self._visit(authorize_url, None)

    def enter(self, user_code: str, username: str | None = None) -> None:
        """Type the device flow's code and consent. Raises KeyError: no such code."""
        self.device_of(user_code).username = username or self.username

    def decline(self, user_code: str) -> None:
        """Type the device flow's code and refuse. Raises KeyError: no such code."""
        self.device_of(user_code).declined = True

    # Faults, in the words of the tests.

    def throttle(self, retry_after_seconds: int = 30, at: At = "token") -> None:
        """Next: 429 with Retry-After."""
        headers = {"Retry-After": str(retry_after_seconds)}
        answer = Answer(429, {"error": "too_many_requests"}, headers)
        self.faults.append(Fault(answer=answer, at=at))

    def fail(self, status: int = 500, at: At = "token") -> None:
        """Next: an error page of the server's own."""
        self.faults.append(Fault(answer=Answer(status, b"<h1>Server Error</h1>"), at=at))

    def refuse(self, code: int, at: At = "token") -> None:
        """Next: this AADSTS error."""
        self.faults.append(Fault(answer=aadsts(code, self.clock()), at=at))

    def refuse_google(self, error: str | None = None, description: str | None = None) -> None:
        """Next: this error of Google's, by default that of a revoked refresh token."""
        answer = google_error(error, description) if error else google_revoked()
        self.faults.append(Fault(answer=answer))

    def slow_down(self) -> None:
        """Next: the device flow asks too often."""
        body = {"error": "slow_down", "error_description": "Polling too frequently."}
        self.faults.append(Fault(answer=Answer(400, body)))

    def play(self, kind: Literal["endless", "hang", "drop"], at: At = "token") -> None:
        """Next: a body without end, silence until the issuer closes, or a cut connection."""
        self.faults.append(Fault(kind, at=at))

    def garble(self, at: At = "token") -> None:
        """Next: 200 and something that is no JSON."""
        self.faults.append(Fault(answer=Answer(200, b"<html>Sign in to the Wi-Fi"), at=at))

    def redirect(self, target: str = "http://127.0.0.1:9/token", at: At = "token") -> None:
        """Next: 307 to another place, by default one without encryption."""
        self.faults.append(Fault(answer=Answer(307, headers={"Location": target}), at=at))

    # The inside, called from the server's threads.

    def answer(self, path: str, form: dict[str, str], posted: bool) -> Fault:
        """What to send for this request: a fault that waits for its page, or the truth."""
        with self._busy:
            page = _page(path)
            if page in ("token", "device", "discovery"):
                self.requests.append(Asked(page, path, form))
                if self.faults and self.faults[0].at == page:
                    return self.faults.popleft()
            if posted != (page in ("token", "device")):
                return Fault(answer=Answer(405))
            return Fault(answer=self._truth(path, page, form))

    def wait_closing(self) -> None:
        """Return when the issuer stops."""
        self._closing.wait()

    def closing(self) -> bool:
        """True once the issuer stops."""
        return self._closing.is_set()

    def _truth(self, path: str, page: str | None, form: dict[str, str]) -> Answer:
        tenant = path.split("/")[1]
        google = tenant == "google"
        match page:
            case "discovery":
                return issuer_microsoft.discovery(self.url, tenant)
            case "device":
                return issuer_microsoft.devicecode(self, self.url, form)
            case "token" if google:
                return issuer_google.token(self, self.google_endpoints.token, form)
            case "token":
                return issuer_microsoft.token(self, self.url, tenant, form)
        return Answer(404)

    def _visit(self, authorize_url: str, username: str | None) -> str:
        parts = urlsplit(authorize_url)
        assert authorize_url.startswith(self.url), authorize_url
        assert parts.path.endswith(("/authorize", "/o/oauth2/auth")), authorize_url
        pages = issuer_google if parts.path.startswith("/google/") else issuer_microsoft
        with self._busy:
            answer = pages.authorize(self, dict(parse_qsl(parts.query)), username)
        assert answer.status == 302, answer.body
        return answer.headers["Location"]


def _page(path: str) -> str | None:
    for end, page in (
        ("/v2.0/.well-known/openid-configuration", "discovery"),
        ("/oauth2/v2.0/token", "token"),
        ("/oauth2/v2.0/devicecode", "device"),
    ):
        if path.endswith(end):
            return page
    return "token" if path == "/google/token" else None
