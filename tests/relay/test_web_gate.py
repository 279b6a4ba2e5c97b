"""The gate of the page: names, origins, paths and tokens; and what every answer carries."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from fakes.stocked_spool import add_message, office_config
from fakes.web_desk import BASE, WebDesk, web_desk
from starlette.testclient import TestClient

SESSION = "/api/v1/session"
QUEUE = "/api/v1/queue"
ACTIONS = "/api/v1/queue/actions"
DELETE_ALL = {"action": "delete", "all": True}


@pytest.fixture
def office(tmp_path: Path) -> Iterator[WebDesk]:
    with web_desk(office_config(tmp_path), tmp_path) as found:
        del found.client.headers["Authorization"]
        assert found.client.portal is not None
        found.client.portal.call(add_message, found.spool)
        yield found


@pytest.fixture
def page(office: WebDesk) -> TestClient:
    """A browser on the relay's own machine, which knows nothing yet."""
    return office.client


def opened(page: TestClient) -> dict[str, Any]:
    found: dict[str, Any] = page.get(SESSION).json()
    return found


def waiting(page: TestClient) -> int:
    total: int = page.get(QUEUE).json()["total"]
    return total


def ask(page: TestClient, path: str, *headers: tuple[bytes, bytes]) -> tuple[int, bytes]:
    """Status and content of a GET whose path arrives as written: clients clean paths up."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1:8025"), *headers],
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 8025),
    }
    assert page.portal is not None
    page.portal.call(page.app, scope, receive, send)
    return sent[0]["status"], b"".join(each.get("body", b"") for each in sent[1:])


def test_the_page_on_this_machine_needs_no_login(page: TestClient) -> None:
    assert page.get(QUEUE).status_code == 401
    front = page.get("/")
    cookie = front.headers["set-cookie"].lower()
    assert front.headers["content-type"] == "text/html; charset=utf-8"
    assert all(flag in cookie for flag in ("httponly", "samesite=strict", "path=/"))
    assert "secure" not in cookie  # plain http: no browser would keep it
    assert waiting(page) == 1
    found = opened(page)
    assert (found["logged_in"], found["needs_password"]) == (True, False)
    assert "set-cookie" not in page.get("/").headers, "the session that is there stays"


@pytest.mark.parametrize(
    "host", ["evil.test", "127.0.0.1.nip.io", "127.0.0.1.", "localhost.evil.test", ""]
)
@pytest.mark.parametrize(
    "path", ["/", "/static/index.html", SESSION, QUEUE, "/healthz", "/metrics"]
)
def test_a_foreign_name_gets_no_cookie_and_no_data(page: TestClient, path: str, host: str) -> None:
    opened(page)
    answer = page.get(path, headers={"Host": host})
    assert answer.status_code == 421
    assert "set-cookie" not in answer.headers
    assert set(answer.json()) == {"schema", "error"}


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.test"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:3000"},
        {"Origin": "http://localhost:8025"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_another_page_changes_nothing(
    page: TestClient, method: str, headers: dict[str, str]
) -> None:
    csrf = opened(page)["csrf"]
    answer = page.request(
        method, ACTIONS, json=DELETE_ALL, headers={**headers, "X-CSRF-Token": csrf}
    )
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers
    assert waiting(page) == 1


@pytest.mark.parametrize("token", [None, "", "x", "\xe9", "two"])
def test_a_change_needs_the_token_of_its_session(page: TestClient, token: str | None) -> None:
    csrf = opened(page)["csrf"]
    headers = [] if token is None else [(b"X-CSRF-Token", token.encode("latin-1"))]
    if token == "two":
        headers = [(b"X-CSRF-Token", csrf.encode())] * 2
    answer = page.post(ACTIONS, json=DELETE_ALL, headers=headers)
    assert answer.status_code == 403
    assert waiting(page) == 1
    good = page.post(ACTIONS, json=DELETE_ALL, headers={"X-CSRF-Token": csrf, "Origin": BASE})
    assert good.status_code == 200
    assert waiting(page) == 0


def test_the_token_of_another_session_is_none(office: WebDesk) -> None:
    page = office.client
    other = TestClient(page.app, BASE, client=("127.0.0.1", 2))
    other.portal = page.portal
    foreign = other.get(SESSION).json()["csrf"]
    assert foreign != opened(page)["csrf"]
    answer = page.post(ACTIONS, json=DELETE_ALL, headers={"X-CSRF-Token": foreign})
    assert answer.status_code == 403


def test_a_form_is_no_change(page: TestClient) -> None:
    csrf = opened(page)["csrf"]
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        answer = page.post(
            ACTIONS,
            content=b'{"action":"delete","all":true}',
            headers={"X-CSRF-Token": csrf, "Content-Type": kind},
        )
        assert answer.status_code == 415
    assert waiting(page) == 1


def test_reading_changes_nothing(page: TestClient) -> None:
    opened(page)
    for path in ("/reload", "/clients/learn", "/accounts/pause", "/test-message", "/diagnose"):
        assert page.get(f"/api/v1{path}?action=delete&all=true").status_code == 405
    assert page.get(ACTIONS).json()["unknown"] == ["actions"]
    assert waiting(page) == 1


@pytest.mark.parametrize(
    "path",
    [
        "/%61pi/v1/queue",
        "//api/v1/queue",
        "/api//v1/queue",
        "/API/v1/queue",
        "/api/v1/queue.",
        "/api/v1/queue/",
        "/api/v1/./queue",
        "/static/../api/v1/queue",
        "/static/%2e%2e/api/v1/queue",
        "/static/..%2fapi/v1/queue",
        "/;/api/v1/queue",
        "/healthz/../api/v1/queue",
        "/api/v1/session/../queue",
        "/api/v1/Session",
    ],
)
def test_another_way_of_writing_a_path_opens_nothing(page: TestClient, path: str) -> None:
    assert ask(page, path)[0] in (401, 404)
    assert ask(page, path, (b"origin", b"https://evil.test"))[0] == 403
    assert b"messages" not in ask(page, path)[1]


def test_events_and_upgrades_pass_the_same_gate(page: TestClient) -> None:
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    assert page.get("/api/v1/events").status_code == 401
    opened(page)
    for headers in ({"Origin": "https://evil.test"}, {"Sec-Fetch-Site": "same-site"}):
        assert page.get("/api/v1/events", headers=headers).status_code == 403
        assert page.get("/api/v1/events", headers={**upgrade, **headers}).status_code == 403


@pytest.mark.parametrize("path", ["/", "/static/app.js", "/static/nowhere", SESSION, QUEUE, "/x"])
def test_every_answer_says_what_a_browser_may_do_with_it(page: TestClient, path: str) -> None:
    headers = page.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert "access-control-allow-origin" not in headers
    assert headers["cache-control"] in ("no-store", "no-cache")


def test_a_link_elsewhere_may_lead_to_the_front_page(page: TestClient) -> None:
    answer = page.get("/", headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"})
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers


def test_a_file_is_asked_once_and_then_only_whether_it_changed(page: TestClient) -> None:
    first = page.get("/static/api.js")
    assert first.headers["content-type"] == "text/javascript; charset=utf-8"
    again = page.get("/static/api.js", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = page.get("/static/api.js", headers={"If-None-Match": '"other"'})
    assert (other.status_code, other.content) == (200, first.content)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "vendor",
        "vendor/",
        "../api.py",
        "..%2fapi.py",
        "%2e%2e/api.py",
        "..%5capi.py",
        "/etc/passwd",
        "app.js%00",
        "APP.JS",
        "app.js/",
        "./app.js",
        "vendor/../app.js",
    ],
)
def test_only_a_files_own_name_leads_to_it(page: TestClient, name: str) -> None:
    status, content = ask(page, f"/static/{name}")
    assert status == 404
    assert set(json.loads(content)) == {"schema", "error"}
