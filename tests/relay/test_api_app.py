"""The control API: who is let in, and what goes in and out."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.stocked_spool import NOON, FakeDaemon, add_message, office_config
from starlette.applications import Starlette
from starlette.testclient import TestClient

from relay.config.model import Config
from relay.control.page_desk import PageDesk
from relay.spool.sqlite import open_spool
from relay.web.api import create_app

TOKEN = "geheim-token"
AUTH = {"Authorization": f"Bearer {TOKEN}"}
BASE = "http://127.0.0.1:8025"


def app_for(config: Config, directory: Path) -> Starlette:
    """An application that opens its spool at start, in the test client's own event loop."""
    app = Starlette()

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        spool = open_spool(directory / "spool.db", lambda: NOON)
        await add_message(spool)
        desk = PageDesk(spool, FakeDaemon(config, spool), lambda: NOON)
        app.mount("/", create_app(desk, TOKEN, ("relay.lan",)))
        yield
        await spool.close()

    app.router.lifespan_context = lifespan
    return app


@pytest.fixture
def api(tmp_path: Path) -> Iterator[TestClient]:
    app = app_for(office_config(tmp_path), tmp_path)
    with TestClient(app, BASE, follow_redirects=False) as client:
        yield client


def ids(api: TestClient) -> list[str]:
    found: dict[str, Any] = api.get("/api/v1/queue", headers=AUTH).json()
    return [message["id"] for message in found["messages"]]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer geheim-tokeN"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": f"bearer  {TOKEN}"},
        {"Authorization": "Bearer \xe9"},
    ],
)
@pytest.mark.parametrize("path", ["/api/v1/queue", "/api/v1/status", "/nowhere", "/%61pi/v1/queue"])
def test_without_the_token_nothing_is_told(
    api: TestClient, path: str, headers: dict[str, str]
) -> None:
    raw = {name.encode(): value.encode("latin-1") for name, value in headers.items()}
    answer = api.get(path, headers=raw)
    assert answer.status_code == 401
    assert set(answer.json()) == {"schema", "error"}


@pytest.mark.parametrize(
    "host", ["evil.test", "127.0.0.1.nip.io", "relay.lan.evil.test", "localhost.", "", "[::2]:8025"]
)
@pytest.mark.parametrize("path", ["/api/v1/queue", "/healthz"])
def test_a_foreign_host_is_refused(api: TestClient, path: str, host: str) -> None:
    answer = api.get(path, headers={**AUTH, "Host": host})
    assert answer.status_code == 421
    assert "messages" not in answer.text


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8025", "localhost", "LOCALHOST:1", "[::1]:8025", "relay.lan"]
)
def test_our_own_hosts_are_answered(api: TestClient, host: str) -> None:
    assert api.get("/api/v1/queue", headers={**AUTH, "Host": host}).status_code == 200


@pytest.mark.parametrize(
    "origin", ["https://evil.test", "null", "http://127.0.0.1:9", "https://127.0.0.1:8025"]
)
def test_a_page_from_elsewhere_changes_nothing(api: TestClient, origin: str) -> None:
    body = {"action": "delete", "all": True}
    answer = api.post("/api/v1/queue/actions", json=body, headers={**AUTH, "Origin": origin})
    assert answer.status_code == 403
    assert len(ids(api)) == 1


def test_our_own_origin_may(api: TestClient) -> None:
    body = {"action": "delete", "all": True}
    answer = api.post("/api/v1/queue/actions", json=body, headers={**AUTH, "Origin": BASE})
    assert answer.status_code == 200
    assert ids(api) == []


def test_half_a_character_is_no_text(api: TestClient) -> None:
    body = rb'{"action": "delete", "ids": ["\ud800"]}'
    headers = {**AUTH, "Content-Type": "application/json"}
    answer = api.post("/api/v1/queue/actions", content=body, headers=headers)
    assert answer.status_code == 400


def test_a_limit_of_more_digits_than_python_reads(api: TestClient) -> None:
    answer = api.get("/api/v1/queue", params={"limit": "9" * 5000}, headers=AUTH)
    assert answer.status_code == 400


def test_healthz_needs_no_token(api: TestClient) -> None:
    answer = api.get("/healthz")
    assert (answer.status_code, answer.text) == (200, "ok\n")


def test_the_queue(api: TestClient) -> None:
    (id_,) = ids(api)
    shown = api.get(f"/api/v1/queue/{id_}", params={"lang": "nl"}, headers=AUTH).json()
    assert (shown["id"], shown["attempts"]) == (id_, [])
    done = api.post("/api/v1/queue/actions", json={"action": "hold", "ids": [id_]}, headers=AUTH)
    assert done.json()["changed"] == [id_]
    listed = api.get("/api/v1/queue", params={"state": "queued"}, headers=AUTH).json()
    assert listed["total"] == 0
    assert api.get("/api/v1/queue/ids", headers=AUTH).json()["ids"] == [id_]


def test_the_message_itself(api: TestClient) -> None:
    (id_,) = ids(api)
    answer = api.get(f"/api/v1/queue/{id_}/message", headers=AUTH)
    assert answer.content == b"Subject: hoi\r\n\r\nhallo\r\n"
    assert answer.headers["content-type"] == "message/rfc822"
    assert api.get("/api/v1/queue/0000000000000/message", headers=AUTH).status_code == 404


def test_clients(api: TestClient) -> None:
    allowed = api.post("/api/v1/clients", json={"address": "fd00::40"}, headers=AUTH).json()
    assert allowed["adopted"]
    assert api.get("/api/v1/clients", headers=AUTH).json()["adopted"][0]["address"] == "fd00::40"
    assert api.get("/api/v1/clients/refused", headers=AUTH).json()["devices"] == []
    learned = api.post("/api/v1/clients/learn", json={"minutes": 5}, headers=AUTH).json()
    assert learned["learning_until"] == "2026-11-21T12:05:00.000Z"
    removed = api.delete("/api/v1/clients/fd00%3A%3A40", headers=AUTH).json()
    assert removed["removed"]


def test_the_rest(api: TestClient) -> None:
    assert api.get("/api/v1/status", headers=AUTH).json()["running"]
    assert api.post("/api/v1/reload", json={}, headers=AUTH).json()["applied"]
    assert len(api.get("/api/v1/accounts", headers=AUTH).json()["accounts"]) == 1
    resumed = api.post("/api/v1/accounts/resume", json={"name": "isp"}, headers=AUTH).json()
    assert len(resumed["unchanged"]) == 1
    asked = {"address": "192.168.1.20", "sender": ""}
    assert api.get("/api/v1/why", params=asked, headers=AUTH).json()["accepted"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/queue/actions", {"action": "delete"}),
        ("/api/v1/queue/actions", {"action": "delete", "ids": "all"}),
        ("/api/v1/queue/actions", {"action": "delete", "ids": [1]}),
        ("/api/v1/queue/actions", {"action": "delete", "all": "yes"}),
        ("/api/v1/queue/actions", {"ids": []}),
        ("/api/v1/queue/actions", {"action": "reroute", "all": True, "to": "nergens"}),
        ("/api/v1/clients", {}),
        ("/api/v1/clients", {"address": "x"}),
        ("/api/v1/clients/learn", {"minutes": True}),
        ("/api/v1/clients/learn", {"minutes": "5"}),
        ("/api/v1/queue/actions", []),
    ],
)
def test_a_bad_request_says_why_and_does_nothing(api: TestClient, path: str, body: object) -> None:
    answer = api.post(path, json=body, headers=AUTH)
    assert answer.status_code == 400
    assert set(answer.json()["error"]) == {"nl", "en"}
    assert len(ids(api)) == 1


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 50_000, b"\xff"])
def test_what_is_no_json_is_refused(api: TestClient, body: bytes) -> None:
    headers = {**AUTH, "Content-Type": "application/json"}
    assert api.post("/api/v1/clients", content=body, headers=headers).status_code == 400


def test_a_form_is_no_json(api: TestClient) -> None:
    headers = {**AUTH, "Content-Type": "text/plain"}
    answer = api.post(
        "/api/v1/queue/actions", content=b'{"action":"delete","all":true}', headers=headers
    )
    assert answer.status_code == 415
    assert len(ids(api)) == 1


def test_a_body_is_a_megabyte_at_most(api: TestClient) -> None:
    answer = api.post("/api/v1/clients", json={"address": "x" * 1_000_000}, headers=AUTH)
    assert answer.status_code == 413


def test_a_get_changes_nothing(api: TestClient) -> None:
    assert api.get("/api/v1/queue/actions", headers=AUTH).json()["unknown"] == ["actions"]
    assert api.get("/api/v1/reload", headers=AUTH).status_code == 405


def test_the_front_page_is_there_for_everybody_and_tells_nothing(api: TestClient) -> None:
    answer = api.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert "kassa" not in answer.text
