"""The events: what is told, how often, to how many, and that it ends."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fakes.stocked_spool import NOON, FakeDaemon, add_message, office_config

from relay.config.model import Web
from relay.control.page_desk import PageDesk
from relay.monitor import mail_log
from relay.spool.sqlite import open_spool
from relay.web import events, server
from relay.web.api import create_app
from relay.web.events import MOST_STREAMS, Changes
from relay.web.server import WebServer

TOKEN = "token-of-the-test"


async def always() -> bool:
    return True


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "PAUSE_SECONDS", 0.01)


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[tuple[WebServer, Changes, str]]:
    """A server with one message in its spool."""
    spool = open_spool(tmp_path / "spool.db", lambda: NOON)
    id_ = await add_message(spool)
    desk = PageDesk(spool, FakeDaemon(office_config(tmp_path), spool), lambda: NOON)
    changes = Changes()
    changes.follow()
    web = WebServer(Web(port=0))
    web.bind()
    await web.start(create_app(desk, TOKEN, (), changes), changes.close)
    yield web, changes, id_
    await web.stop()
    await spool.close()


class Line:
    """One connection to the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, web: WebServer) -> "Line":
        host, port = web.url.removeprefix("http://").split(":")
        return cls(*await asyncio.open_connection(host, int(port)))

    async def ask(self, method: str, path: str, body: bytes = b"") -> bytes:
        """The head of the answer."""
        self.writer.write(
            f"{method} /api/v1{path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Authorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        return await self.until(b"\r\n\r\n")

    async def until(self, mark: bytes) -> bytes:
        return await asyncio.wait_for(self.reader.readuntil(mark), 20)

    async def rest(self) -> bytes:
        return await asyncio.wait_for(self.reader.read(), 20)


Running = tuple[WebServer, Changes, str]


@pytest.mark.usefixtures("quick")
async def test_a_change_through_the_api_is_told(running: Running) -> None:
    web, _, id_ = running
    stream, other = await Line.open(web), await Line.open(web)
    head = await stream.ask("GET", "/events")
    assert b"200 OK" in head
    assert b"text/event-stream" in head
    await stream.until(b": relay\n\n")
    body = f'{{"action": "hold", "ids": ["{id_}"]}}'.encode()
    assert b"200 OK" in await other.ask("POST", "/queue/actions", body)
    assert b'event: queue\ndata: {"changed": "queue"}\n\n' in await stream.until(b"}\n\n")
    stream.writer.close()
    other.writer.close()


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("accepted", {"queue", "device"}),
        ("delivered", {"queue", "account"}),
        ("refused", {"device"}),
        ("paused", {"account", "health"}),
        ("alert", {"health"}),
        ("started", set()),
    ],
)
async def test_what_the_mail_log_says_is_told(name: str, kinds: set[str]) -> None:
    changes = Changes()
    changes.follow()
    changes._log.setLevel("INFO")
    stream = changes.stream(always)
    await anext(stream)
    mail_log.event(name)
    mail_log.event("alert")
    told = (await anext(stream)).decode()
    changes.close()
    assert {line[7:] for line in told.splitlines() if line.startswith("event: ")} == {
        *kinds,
        "health",
    }
    await stream.aclose()


@pytest.mark.usefixtures("quick")
async def test_a_thousand_changes_are_one_event() -> None:
    changes = Changes()
    stream = changes.stream(always)
    await anext(stream)
    for _ in range(1_000):
        changes.note("queue")
    assert await anext(stream) == b'event: queue\ndata: {"changed": "queue"}\n\n'
    changes.note("device")
    assert await anext(stream) == b'event: device\ndata: {"changed": "device"}\n\n'
    await stream.aclose()


@pytest.mark.usefixtures("quick")
async def test_while_nothing_changes_a_comment_keeps_the_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(events, "QUIET_SECONDS", 0.03)
    changes = Changes()
    stream = changes.stream(always)
    await anext(stream)
    assert await anext(stream) == b":\n\n"
    await stream.aclose()


@pytest.mark.usefixtures("quick")
async def test_who_may_no_longer_read_hears_no_more() -> None:
    async def never() -> bool:
        return False

    changes = Changes()
    stream = changes.stream(never)
    await anext(stream)
    changes.note("queue")
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


async def test_at_most_twenty_streams_and_room_for_the_rest(running: Running) -> None:
    web, changes, _ = running
    lines = [await Line.open(web) for _ in range(MOST_STREAMS)]
    for line in lines:
        assert b"200 OK" in await line.ask("GET", "/events")
        await line.until(b": relay\n\n")
    one_more = await Line.open(web)
    assert b"503" in await one_more.ask("GET", "/events")
    other = await Line.open(web)
    assert b"200 OK" in await other.ask("GET", "/queue")
    lines[0].writer.close()
    while changes.full:
        await asyncio.sleep(0.01)
    again = await Line.open(web)
    assert b"200 OK" in await again.ask("GET", "/events")
    for line in (*lines, one_more, other, again):
        line.writer.close()


async def test_stopping_ends_every_stream(running: Running) -> None:
    web, changes, _ = running
    line = await Line.open(web)
    await line.ask("GET", "/events")
    await web.stop()
    assert (await line.rest()).endswith(b"0\r\n\r\n"), "ended in order, not cut off"
    assert changes._streams == 0
    assert changes not in changes._log.handlers
    line.writer.close()


@pytest.mark.parametrize("sent", [b"", b"GET /", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"])
async def test_a_request_that_never_comes_whole_is_dropped(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sent: bytes
) -> None:
    monkeypatch.setattr(server, "_PATIENCE_SECONDS", 0.1)
    spool = open_spool(tmp_path / "spool.db", lambda: NOON)
    desk = PageDesk(spool, FakeDaemon(office_config(tmp_path), spool), lambda: NOON)
    web = WebServer(Web(port=0))
    web.bind()
    await web.start(create_app(desk, TOKEN, ()))
    line = await Line.open(web)
    line.writer.write(sent)
    with contextlib.suppress(ConnectionResetError):
        assert await line.rest() == b""
    line.writer.close()
    await web.stop()
    await spool.close()


async def test_a_body_that_does_not_come_is_408(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    from relay.web import request

    monkeypatch.setattr(request, "BODY_SECONDS", 0.05)
    line = await Line.open(running[0])
    line.writer.write(
        f"POST /api/v1/queue/actions HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}"
        "\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{".encode()
    )
    assert b"408" in await line.until(b"\r\n\r\n")
    line.writer.close()
