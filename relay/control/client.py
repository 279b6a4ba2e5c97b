"""The desk of a running relay, reached over HTTP on this machine."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from relay.control.devices import one_address
from relay.control.documents import Document, document
from relay.control.errors import Declined
from relay.control.grants import grant_document
from relay.reason import ReasonedError
from relay.spool.ids import id_number
from relay.spool.vault_entry import Grant

TIMEOUT_SECONDS = 10
_ACTION_TIMEOUT_SECONDS = 300  # deleting a hundred thousand messages takes its time
_PIECE_BYTES = 65536


class Unreachable(Exception):
    """Nothing listens at the address."""


class Silent(Exception):
    """Something listens, but gives no answer, or none that makes sense."""


class ApiError(ReasonedError):
    """The relay refused or failed; `nl` and `en` say why."""

    def __init__(self, status: int, nl: str, en: str) -> None:
        super().__init__(nl, en)
        self.status = status


class RemoteDesk:
    """The methods of `relay.control.desk.Desk`, each a request.

    They raise Declined as the desk does, and Unreachable, Silent or ApiError. With `certificate`
    the relay must present exactly that one; its name does not count on this machine.
    """

    def __init__(self, url: str, token: str, certificate: Path | None = None) -> None:
        self._url = urlsplit(url)
        self._token = token
        self._certificate = certificate

    async def queue_list(
        self, state: str | None = None, limit: int = 100, client: str | None = None
    ) -> Document:
        return self._get("/queue", state=state, limit=str(limit), client=client)

    async def queue_ids(self) -> Document:
        return self._get("/queue/ids")

    async def queue_show(self, id_: str, language: str = "en") -> Document:
        if id_number(id_) is None:
            return document("queue show", unknown=[id_])
        return self._get(f"/queue/{id_}", lang=language)

    async def queue_body(self, id_: str) -> AsyncIterator[bytes]:
        if id_number(id_) is None:
            return
        connection = self._connect(TIMEOUT_SECONDS)
        try:
            response = self._request(connection, "GET", f"/api/v1/queue/{id_}/message", None)
            if response.status == 404:
                return
            if response.status != 200:
                raise _error(response.status, response.read())
            while piece := _read(response, _PIECE_BYTES):
                yield piece
        finally:
            connection.close()

    async def queue_act(
        self, action: str, ids: Sequence[str] | None, to: str | None = None
    ) -> Document:
        which: dict[str, object] = {"all": True} if ids is None else {"ids": list(ids)}
        await self.status()  # that it answers at all shows soon; the action may take minutes
        body = {"action": action, "to": to, **which}
        return self._post("/queue/actions", body, _ACTION_TIMEOUT_SECONDS)

    async def queue_cure(
        self, id_: str, address: str | None = None, domain: bool = False
    ) -> Document:
        if id_number(id_) is None:
            return document("queue cure", unknown=[id_])
        await self.status()  # as above
        body: dict[str, object] = {"as": address, "domain": domain}
        return self._post(f"/queue/{id_}/cure", body, _ACTION_TIMEOUT_SECONDS)

    async def sender_list(self) -> Document:
        return self._get("/senders")

    async def sender_remove(self, sender: str, smarthost: str | None = None) -> Document:
        return self._post("/senders/remove", {"sender": sender, "smarthost": smarthost})

    async def client_list(self) -> Document:
        return self._get("/clients")

    async def client_refused(self) -> Document:
        return self._get("/clients/refused")

    async def client_allow(self, address: str, name: str | None = None) -> Document:
        return self._post("/clients", {"address": address, "name": name})

    async def client_remove(self, address: str) -> Document:
        return self._ask("DELETE", f"/clients/{quote(str(one_address(address)))}")

    async def client_learn(self, minutes: int) -> Document:
        return self._post("/clients/learn", {"minutes": minutes})

    async def account_list(self, language: str = "en") -> Document:
        return self._get("/accounts", lang=language)

    async def account_resume(self, name: str) -> Document:
        return self._post("/accounts/resume", {"name": name})

    async def account_pause(self, name: str) -> Document:
        return self._post("/accounts/pause", {"name": name})

    async def account_test(self, name: str, force: bool = False, language: str = "en") -> Document:
        await self.status()  # as above: a server may keep the relay waiting for minutes
        body = {"name": name, "force": force}
        return self._post(f"/accounts/test?lang={language}", body, _ACTION_TIMEOUT_SECONDS)

    async def account_grant(self, name: str, grant: Grant) -> Document:
        return self._post("/accounts/grant", {"name": name, "grant": grant_document(grant)})

    async def why(self, address: str, sender: str, recipient: str | None = None) -> Document:
        return self._get("/why", address=address, sender=sender, recipient=recipient)

    async def status(self) -> Document:
        return self._get("/status")

    async def alarm_test(self) -> Document:
        await self.status()  # as above: a path that is silent takes its time
        return self._post("/alarms/test", {}, _ACTION_TIMEOUT_SECONDS)

    async def reload(self) -> Document:
        return self._post("/reload", {})

    def _get(self, path: str, **query: str | None) -> Document:
        given = {name: value for name, value in query.items() if value is not None}
        return self._ask("GET", f"{path}?{urlencode(given)}" if given else path)

    def _post(
        self, path: str, body: dict[str, object], timeout_seconds: float | None = None
    ) -> Document:
        return self._ask("POST", path, json.dumps(body).encode(), timeout_seconds)

    def _ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        timeout_seconds: float | None = None,
    ) -> Document:
        connection = self._connect(timeout_seconds or TIMEOUT_SECONDS)
        try:
            response = self._request(connection, method, "/api/v1" + path, body)
            text = _read(response)
        finally:
            connection.close()
        if response.status != 200:
            raise _error(response.status, text)
        return _parse(text)

    def _connect(self, timeout_seconds: float) -> http.client.HTTPConnection:
        """A connection, made within ten seconds, then with the given patience for answers."""
        host, port = self._url.hostname or "", self._url.port
        connection: http.client.HTTPConnection
        if self._url.scheme == "https":
            context = ssl.create_default_context(cafile=self._certificate)
            context.check_hostname = False
            # The certificate itself is trusted, whoever signed it.
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
            connection = http.client.HTTPSConnection(
                host, port, timeout=TIMEOUT_SECONDS, context=context
            )
        else:
            connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)
        try:
            connection.connect()
        except ConnectionRefusedError:
            raise Unreachable(self._url.netloc) from None
        except OSError as error:
            raise Silent(f"{self._url.netloc}: {error}") from error
        connection.sock.settimeout(timeout_seconds)
        return connection

    def _request(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None
    ) -> http.client.HTTPResponse:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, body, headers)
            return connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise Silent(f"{self._url.netloc}: {error or type(error).__name__}") from error


def _read(response: http.client.HTTPResponse, most_bytes: int | None = None) -> bytes:
    try:
        return response.read(most_bytes)
    except (OSError, http.client.HTTPException) as error:
        raise Silent(str(error) or type(error).__name__) from error


def _parse(text: bytes) -> Document:
    try:
        content: Any = json.loads(text)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise Silent("what answers there is no relay")
    return content


def _error(status: int, text: bytes) -> Exception:
    """What a refusal means: the caller's mistake, or trouble of the relay."""
    try:
        reason = _parse(text)["error"]
        nl, en = str(reason["nl"]), str(reason["en"])
    except (Silent, KeyError, TypeError):
        nl = f"de relay antwoordt met HTTP {status}; zie zijn log"
        en = f"the relay answers with HTTP {status}; see its log"
        return ApiError(status, nl, en)
    return Declined(nl, en) if status == 400 else ApiError(status, nl, en)
