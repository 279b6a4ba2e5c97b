"""The https server below the fake issuer: reads requests, sends answers, plays faults."""

from __future__ import annotations

import base64
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Protocol
from urllib.parse import parse_qsl, unquote_plus, urlsplit

from fakes.issuer_answer import Fault


class Answering(Protocol):
    """What the server wants of its issuer; called from the connections' threads."""

    def answer(self, path: str, form: dict[str, str], posted: bool) -> Fault:
        """What to send for this request."""

    def wait_closing(self) -> None:
        """Return when the issuer stops."""

    def closing(self) -> bool:
        """True once the issuer stops."""


class IssuerServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, issuer: Answering) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.issuer = issuer

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that leave halfway, or refuse the certificate, are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    server: IssuerServer
    timeout = 30

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        self._send(self.server.issuer.answer(parts.path, dict(parse_qsl(parts.query)), False))

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        form = dict(parse_qsl(self.rfile.read(length).decode("utf-8")))
        form = {**_basic(self.headers.get("Authorization", "")), **form}
        self._send(self.server.issuer.answer(urlsplit(self.path).path, form, True))

    def log_message(self, format: str, *args: object) -> None:
        """Silence: the record is `Issuer.requests`."""

    def _send(self, fault: Fault) -> None:
        issuer = self.server.issuer
        if fault.kind == "hang":
            issuer.wait_closing()
            return
        if fault.kind == "drop":
            return
        self.send_response(fault.answer.status)
        for name, value in fault.answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        if fault.kind == "endless":
            self.end_headers()
            while not issuer.closing():
                self.wfile.write(b" " * 65536)
            return
        body = fault.answer.bytes()
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _basic(header: str) -> dict[str, str]:
    """The app's id and secret in the header, which RFC 6749 section 2.3.1 allows as well."""
    kind, _, encoded = header.partition(" ")
    if kind.lower() != "basic":
        return {}
    name, _, secret = base64.b64decode(encoded).decode("utf-8").partition(":")
    return {"client_id": unquote_plus(name), "client_secret": unquote_plus(secret)}
