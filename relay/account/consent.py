"""How somebody's consent comes back: to a listener on loopback, pasted, or through a device code.

Blocking, for a command at a terminal. Nothing is stored here: what comes out is a `Consented`.
"""

from __future__ import annotations

import hmac
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import parse_qsl, urlsplit

from presets.verdict import Scope
from relay.account.provider import CodeConsent, Consented, DeviceConsent
from relay.account.refusal import judge_refusal
from relay.config.model import Issuer, OAuth2
from relay.smarthost.tokens import NoToken

# Where nothing listens: the browser shows an error, and the address to paste.
PASTE_PORT = 49163
MAX_ADDRESS_CHARS = 16_384
_PIECE_SECONDS = 0.5

_PAGES = {
    "nl": (
        "Toestemming ontvangen",
        "U kunt dit venster sluiten; kijk in het venster van relay of het gelukt is.",
    ),
    "en": (
        "Consent received",
        "You may close this window; see in the window of relay whether it worked.",
    ),
}


def redirect_uri(oauth2: OAuth2, port: int) -> str:
    """The address on this machine that each issuer takes, on any port, without registering it.

    RFC 8252 section 7.3; Microsoft knows loopback by the name localhost alone.
    """
    host = "localhost" if oauth2.issuer is Issuer.MICROSOFT else "127.0.0.1"
    return f"http://{host}:{port}"


def read_redirect(text: str) -> dict[str, str] | None:
    """What a redirect's address brings: code and state, or error; None for anything else.

    Takes the whole address, or the part from the question mark on.
    """
    text = text.strip().strip("<>\"'")
    if not text or len(text) > MAX_ADDRESS_CHARS or not text.isprintable():
        return None
    query = urlsplit(text).query if "?" in text else text
    try:
        found = dict(parse_qsl(query, max_num_fields=50))
    except ValueError:
        return None
    return found if found.keys() & {"code", "error"} else None


def finish(
    consent: CodeConsent,
    answer: Mapping[str, str] | None,
    whose: tuple[OAuth2, str],
    now: datetime,
) -> Consented | NoToken:
    """Tokens for what came back; `whose` is the account. A wrong state goes no further."""
    oauth2, username = whose
    # RFC 6749 section 10.12: an answer without our state is somebody else's.
    if answer is None or not hmac.compare_digest(
        answer.get("state", "").encode(), consent.state.encode()
    ):
        detail = f"{username}: the redirect does not carry this sign-in's state"
        return NoToken(Scope.ACCOUNT, "redirect-wrong", detail)
    if "error" in answer:
        return judge_refusal(oauth2, username, answer, None, now)
    return consent.finish(answer, now)


def wait_for_device(
    consent: DeviceConsent,
    clock: Callable[[], datetime],
    wait: Callable[[float], object],
) -> Consented | NoToken:
    """Poll at the pace the issuer asks for, until somebody entered the code or it ended.

    `wait` takes seconds. The last poll after the end tells what the issuer says of it.
    """
    while True:
        wait(consent.interval_seconds)
        outcome = consent.poll(clock())
        if outcome is not None:
            return outcome


class Loopback:
    """A listener on 127.0.0.1 for the one redirect; a context manager.

    Other requests (a favicon, a scanner, a wrong state) are turned away and change nothing.
    """

    def __init__(self, language: str) -> None:
        self._language = "nl" if language == "nl" else "en"
        self._came = threading.Event()
        self._answer: dict[str, str] = {}
        self._state: str | None = None

    def __enter__(self) -> Self:
        self._server = _Server(self)
        self.port: int = self._server.server_port
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def expect(self, state: str) -> None:
        """Take the redirect that carries this state; before it is named none is taken."""
        self._state = state

    def wait(self, timeout_seconds: float) -> dict[str, str] | None:
        """What the redirect brought; None when none came in time."""
        deadline = time.monotonic() + timeout_seconds
        # In pieces: on Windows nothing, Ctrl-C neither, ends a longer one.
        while (left := deadline - time.monotonic()) > 0:
            if self._came.wait(min(left, _PIECE_SECONDS)):
                return self._answer
        return self._answer if self._came.is_set() else None

    def take(self, path: str) -> tuple[int, str]:
        """The status and page for a request; called from the listener's thread."""
        found = read_redirect(path) if "?" in path else None
        if found is None or self._state is None:
            return 404, ""
        if not hmac.compare_digest(found.get("state", "").encode(), self._state.encode()):
            return 400, ""
        if not self._came.is_set():
            self._answer = found
            self._came.set()
        title, text = _PAGES[self._language]
        head = f'<!doctype html><html lang="{self._language}"><meta charset="utf-8">'
        return 200, f"{head}<title>{escape(title)}</title><h1>{escape(title)}</h1><p>{escape(text)}"


class _Server(ThreadingHTTPServer):
    # Browsers open connections in advance, and say nothing on them.
    daemon_threads = True
    block_on_close = False

    def __init__(self, loopback: Loopback) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.loopback = loopback

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that hangs up is nobody's trouble."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 60
    server_version, sys_version = "relay", ""

    def do_GET(self) -> None:
        status, page = self.server.loopback.take(self.path[:MAX_ADDRESS_CHARS])
        body = page.encode("utf-8")
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        # The address holds the code: it goes nowhere from here.
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", "default-src 'none'")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Silence: the request line holds the code."""
