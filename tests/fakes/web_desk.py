"""The API over a desk with a spool of its own, for tests of what the page may ask."""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from fakes.stocked_spool import NOON, FakeDaemon
from starlette.applications import Starlette
from starlette.testclient import TestClient

from relay.config.model import Config
from relay.control.page_desk import PageDesk
from relay.spool.sqlite import SqliteSpool, open_spool
from relay.web.api import create_app

TOKEN = "token-of-the-test"
BASE = "http://127.0.0.1:8025"


@dataclass
class WebDesk:
    """`client` speaks to the API with the control token; the rest is what stands behind it."""

    client: TestClient
    desk: PageDesk
    daemon: FakeDaemon
    spool: SqliteSpool

    def get(self, path: str, **params: str) -> Any:
        """The document of a GET that has to succeed."""
        answer = self.client.get(f"/api/v1{path}", params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, status: int = 200, **body: object) -> Any:
        """The document of a POST that has to end with `status`."""
        answer = self.client.post(f"/api/v1{path}", json=body)
        assert answer.status_code == status, answer.text
        return answer.json()


@contextlib.contextmanager
def web_desk(
    config: Config,
    directory: Path,
    clock: Callable[[], datetime] = lambda: NOON,
    peer: str = "127.0.0.1",
) -> Iterator[WebDesk]:
    """An API whose spool opens in the client's own event loop, and stops with it."""
    app = Starlette()
    made: list[tuple[PageDesk, FakeDaemon, SqliteSpool]] = []

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        spool = open_spool(directory / "spool.db", clock)
        daemon = FakeDaemon(config, spool)
        desk = PageDesk(spool, daemon, clock)
        made.append((desk, daemon, spool))
        app.mount("/", create_app(desk, TOKEN, ()))
        yield
        desk.stop()
        await spool.close()

    app.router.lifespan_context = lifespan
    with TestClient(app, BASE, client=(peer, 50_000)) as client:
        client.headers["Authorization"] = f"Bearer {TOKEN}"
        yield WebDesk(client, *made[0])
