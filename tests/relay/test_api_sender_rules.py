"""The control API of sender rules."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.stocked_spool import NOON, FakeDaemon, add_message, office_config
from starlette.applications import Starlette
from starlette.testclient import TestClient

from relay.control.page_desk import PageDesk
from relay.spool.model import HeldFor
from relay.spool.sqlite import open_spool
from relay.web.api import create_app

AUTH = {"Authorization": "Bearer t"}
CONTENT = b"From: info@mijnbakkerij.nl\r\n\r\nhallo\r\n"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[TestClient]:
    app = Starlette()

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        spool = open_spool(tmp_path / "spool.db", lambda: NOON)
        for _count in range(2):
            await add_message(spool, held_for=HeldFor.SENDER, body=CONTENT)
        daemon = FakeDaemon(office_config(tmp_path), spool)
        app.state.daemon = daemon
        app.mount("/", create_app(PageDesk(spool, daemon, lambda: NOON), "t", ()))
        yield
        await spool.close()

    app.router.lifespan_context = lifespan
    with TestClient(app, "http://127.0.0.1:8025") as client:
        yield client


def ids(api: TestClient) -> list[str]:
    found: dict[str, Any] = api.get("/api/v1/queue?state=held", headers=AUTH).json()
    return [message["id"] for message in found["messages"]]


def test_cure_list_and_remove(api: TestClient) -> None:
    every = ids(api)
    answer = api.post(f"/api/v1/queue/{every[0]}/cure", json={}, headers=AUTH).json()
    assert (answer["reason"], answer["released"]) == (None, every)
    assert ids(api) == []
    daemon = api.app.state.daemon  # type: ignore[attr-defined]
    assert daemon.calls == ["sender_rules_changed", "mail_due"]
    (rule,) = api.get("/api/v1/senders", headers=AUTH).json()["rules"]
    assert (rule["sender"], rule["address"]) == ("info@mijnbakkerij.nl", "bakker@ziggo.nl")
    body = {"sender": "info@mijnbakkerij.nl", "smarthost": "isp"}
    removed = api.post("/api/v1/senders/remove", json=body, headers=AUTH).json()
    assert removed["removed"] == [rule]
    assert daemon.calls[2:] == ["sender_rules_changed"]
    assert api.post("/api/v1/senders/remove", json=body, headers=AUTH).json()["removed"] == []
    assert len(daemon.calls) == 3


@pytest.mark.parametrize(
    "body", [{"as": "geen adres"}, {"as": 1}, {"domain": "yes"}, {"as": "*@mijnbakkerij.nl"}, []]
)
def test_a_bad_wish_changes_nothing(api: TestClient, body: object) -> None:
    every = ids(api)
    answer = api.post(f"/api/v1/queue/{every[0]}/cure", json=body, headers=AUTH)
    assert answer.status_code == 400
    assert ids(api) == every
    assert api.get("/api/v1/senders", headers=AUTH).json()["rules"] == []


def test_an_unknown_message_and_a_missing_sender(api: TestClient) -> None:
    answer = api.post("/api/v1/queue/nee/cure", json={}, headers=AUTH).json()
    assert answer["unknown"] == ["nee"]
    assert api.post("/api/v1/senders/remove", json={}, headers=AUTH).status_code == 400
    assert api.post(f"/api/v1/queue/{ids(api)[0]}/cure", json={}).status_code == 401
