"""The description of the API: as the routes have it, as the answers are, and as the file says."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes.stocked_spool import add_message, office_config
from fakes.web_desk import WebDesk, web_desk
from pydantic import TypeAdapter, ValidationError

from relay.config.model import Config
from relay.web.api import CALLS
from relay.web.description import FILE
from relay.web.gate import Gate
from relay.web.openapi import OPERATIONS, Operation, described
from relay.web.request import PREFIX
from relay.web.shapes.base import Error

MESSAGE = (
    b"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
    b"Content-Type: text/html\r\n\r\n<p>hoi\r\n--b\r\nContent-Type: image/png\r\n\r\nx\r\n--b--\r\n"
)
OAUTH2 = """
[[smarthost]]
name = "cloud"
preset = "microsoft365"
username = "info@mijnbakkerij.nl"
auth = "oauth2"
[smarthost.oauth2]
flow = "device"
client_id = "11111111-2222-3333-4444-555555555555"
"""


@pytest.fixture
def office(tmp_path: Path) -> Iterator[WebDesk]:
    config: Config = office_config(tmp_path)
    config = replace(config, web=replace(config.web, show_bodies=True))
    with web_desk(config, tmp_path) as found:
        yield found


def test_the_file_is_what_the_table_makes() -> None:
    # After a change: python -m relay.web.openapi > relay/web/openapi.json
    assert json.loads(FILE.read_text(encoding="utf-8")) == described()


def test_every_route_is_described_and_every_description_has_its_route(office: WebDesk) -> None:
    gate: Any = office.client.app.routes[0].app._app  # type: ignore[attr-defined]
    assert isinstance(gate, Gate)
    found = {
        (method, re.sub(r":\w+}", "}", route.path.removeprefix(PREFIX)))
        for route in gate._app.routes  # type: ignore[attr-defined]
        for method in route.methods - {"HEAD"}
        if route.path.startswith(PREFIX)
    }
    assert found == set(OPERATIONS)
    assert len(CALLS) < len(OPERATIONS)


def test_every_reference_leads_somewhere() -> None:
    text = FILE.read_text(encoding="utf-8")
    known = set(json.loads(text)["components"]["schemas"])
    assert set(re.findall(r'"#/components/schemas/(\w+)"', text)) == known


ASKED: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", "/queue/actions"): {"action": "hold", "ids": ["ID"]},
    ("POST", "/queue/{id}/cure"): {},
    ("POST", "/senders/remove"): {"sender": "x@y.nl"},
    ("POST", "/clients"): {"address": "192.168.9.9"},
    ("POST", "/clients/learn"): {"minutes": 5},
    ("POST", "/accounts/pause"): {"name": "isp"},
    ("POST", "/accounts/resume"): {"name": "isp"},
    ("POST", "/accounts/test"): {"name": "isp"},
    ("POST", "/reload"): {},
    ("POST", "/alarms/test"): {},
    ("POST", "/diagnose"): {"check": "connect", "smarthost": "m365"},
    ("POST", "/test-message"): {"to": "een@example.net"},
    ("POST", "/settings/check"): {"text": "x = 1"},
    ("DELETE", "/clients/{address}"): {},
}
# These need a session, an issuer or a report: tests of their own follow, or stand with what they do.
ELSEWHERE = {
    ("POST", "/session"),
    ("DELETE", "/session"),
    ("GET", "/events"),
    ("POST", "/accounts/grant"),
    ("POST", "/accounts/consent"),
    ("GET", "/accounts/consent/{name}"),
    ("POST", "/accounts/consent/{name}"),
    ("DELETE", "/accounts/consent/{name}"),
    ("GET", "/diagnose/report"),
}


def fitted(operation: Operation, answer: Any) -> None:
    """Raises ValidationError where an answer is not what is described."""
    errors = []
    for shape in operation.shapes():
        try:
            TypeAdapter(shape).validate_json(answer.content)
        except ValidationError as error:
            errors.append(error)
        else:
            return
    raise errors[0]


@pytest.mark.parametrize(
    ("method", "path"), [each for each in OPERATIONS if each not in ELSEWHERE], ids=str
)
def test_a_real_answer_is_as_described(office: WebDesk, method: str, path: str) -> None:
    assert office.client.portal is not None
    id_ = office.client.portal.call(lambda: add_message(office.spool, body=MESSAGE))
    office.post("/accounts/pause", name="isp")
    operation = OPERATIONS[method, path]
    url = path.replace("{id}", id_).replace("{index}", "0").replace("{address}", "192.168.9.9")
    asked = json.loads(json.dumps(ASKED.get((method, path))).replace('"ID"', json.dumps(id_)))
    answer = office.client.request(
        method,
        PREFIX + url,
        params={"address": "192.168.1.20"} if path == "/why" else None,
        json=asked if method == "POST" else None,
    )
    assert answer.status_code == 200, answer.text
    if isinstance(operation.answer, str):
        assert answer.headers["content-type"].partition(";")[0] == operation.answer
    else:
        fitted(operation, answer)


@pytest.mark.parametrize("path", ["/queue/0000000000000", "/queue/x"])
def test_an_unknown_message_is_as_described(office: WebDesk, path: str) -> None:
    fitted(OPERATIONS["GET", "/queue/{id}"], office.client.get(PREFIX + path))


def test_a_session_is_as_described(office: WebDesk) -> None:
    del office.client.headers["Authorization"]
    answer = office.client.get(f"{PREFIX}/session")
    fitted(OPERATIONS["GET", "/session"], answer)
    ended = office.client.delete(
        f"{PREFIX}/session", headers={"X-CSRF-Token": answer.json()["csrf"]}
    )
    fitted(OPERATIONS["DELETE", "/session"], ended)


def test_a_consent_is_as_described(tmp_path: Path) -> None:
    with web_desk(office_config(tmp_path, OAUTH2), tmp_path) as office:
        answer = office.client.get(f"{PREFIX}/accounts/consent/cloud")
    assert answer.status_code == 200, answer.text
    fitted(OPERATIONS["GET", "/accounts/consent/{name}"], answer)


def test_a_grant_is_as_described(tmp_path: Path) -> None:
    grant = {"refresh_token": "r", "refreshed_at": "2026-11-21T12:00:00Z", "scopes": ["smtp"]}
    with web_desk(office_config(tmp_path, OAUTH2), tmp_path) as office:
        answer = office.client.post(
            f"{PREFIX}/accounts/grant", json={"name": "cloud", "grant": grant}
        )
    assert answer.status_code == 200, answer.text
    fitted(OPERATIONS["POST", "/accounts/grant"], answer)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("PUT", "/queue", 405),
        ("POST", "/queue/actions", 415),
        ("GET", "/queue?limit=0", 400),
        ("GET", "/accounts/consent/isp", 400),
        ("GET", "/diagnose/report", 404),
    ],
)
def test_a_refusal_is_as_described(office: WebDesk, method: str, path: str, status: int) -> None:
    answer = office.client.request(method, PREFIX + path)
    assert answer.status_code == status
    TypeAdapter(Error).validate_json(answer.content)
