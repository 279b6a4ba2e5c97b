"""The web server inside a running event loop, and the desk that reaches it from outside."""

import asyncio
import signal
import socket
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.certificates import Authority
from fakes.ports import free_port
from fakes.stocked_spool import NOON, FakeDaemon, add_message, office_config

from relay.config.model import Web
from relay.control import client
from relay.control.client import ApiError, RemoteDesk, Silent, Unreachable
from relay.control.errors import CannotListen, Declined
from relay.control.page_desk import PageDesk
from relay.spool.sqlite import SqliteSpool, open_spool
from relay.web.api import create_app
from relay.web.server import WebServer

TOKEN = "geheim-token"
LARGE = b"Subject: groot\r\n\r\n" + b"0123456789abcde\r\n" * 100_000


async def in_thread(work: object) -> object:
    """What a coroutine of the remote desk gives, run as a command does: beside the server."""
    return await asyncio.to_thread(asyncio.run, work)  # type: ignore[arg-type]


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[SqliteSpool]:
    spool = open_spool(tmp_path / "spool.db", lambda: NOON)
    yield spool
    await spool.close()


async def started(spool: SqliteSpool, directory: Path, web: Web) -> WebServer:
    desk = PageDesk(spool, FakeDaemon(office_config(directory), spool), lambda: NOON)
    server = WebServer(web)
    server.bind()
    await server.start(create_app(desk, TOKEN, ()))
    return server


@pytest.fixture
async def server(spool: SqliteSpool, tmp_path: Path) -> AsyncIterator[WebServer]:
    server = await started(spool, tmp_path, Web(port=0))
    yield server
    await server.stop()


async def test_every_method_works_from_outside(server: WebServer, spool: SqliteSpool) -> None:
    id_ = await add_message(spool)
    desk = RemoteDesk(server.url, TOKEN)

    async def everything() -> None:
        assert (await desk.queue_list("queued", 5, "kassa"))["total"] == 1
        assert (await desk.queue_ids())["ids"] == [id_]
        assert (await desk.queue_show(id_, "nl"))["id"] == id_
        assert (await desk.queue_show("../../status"))["unknown"] == ["../../status"]
        assert (await desk.queue_act("reroute", [id_], "m365"))["changed"] == [id_]
        assert (await desk.client_allow("fd00::1", "scanner"))["adopted"]
        assert len((await desk.client_list())["adopted"]) == 1
        assert (await desk.client_refused())["devices"] == []
        assert (await desk.client_remove("fd00::1"))["removed"]
        assert (await desk.client_learn(0))["learning_until"] is None
        assert (await desk.account_list())["accounts"][0]["paused"] is False
        assert (await desk.account_resume("isp"))["resumed"] == []
        assert (await desk.why("192.168.1.20", "a@b.nl", "c@d.nl"))["accepted"]
        assert (await desk.status())["running"]
        assert (await desk.reload())["applied"]
        assert (await desk.queue_act("delete", None))["changed"] == [id_]
        for wrong in (desk.client_allow("kassa"), desk.client_remove("kas/sa")):
            with pytest.raises(Declined, match="no IP address"):
                await wrong

    await in_thread(everything())


async def test_a_large_message_comes_out_byte_for_byte(
    server: WebServer, spool: SqliteSpool
) -> None:
    id_ = await add_message(spool, body=LARGE)
    desk = RemoteDesk(server.url, TOKEN)

    async def body(id_: str) -> bytes:
        return b"".join([piece async for piece in desk.queue_body(id_)])

    assert await in_thread(body(id_)) == LARGE
    assert await in_thread(body("0000000000000")) == b""


async def test_a_wrong_token_is_told(server: WebServer) -> None:
    with pytest.raises(ApiError) as caught:
        await in_thread(RemoteDesk(server.url, "oud").status())
    assert caught.value.status == 401
    assert "control.token" in caught.value.text("nl")


async def raw(server: WebServer, request: bytes) -> bytes:
    host, port = server.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request)
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    return answer


@pytest.mark.parametrize(
    "hosts", [b"", b"Host: localhost\r\nHost: evil.test\r\n", b"Host: evil.test\r\n"]
)
async def test_one_host_header_that_is_ours(server: WebServer, hosts: bytes) -> None:
    request = b"GET /healthz HTTP/1.1\r\n" + hosts + b"Connection: close\r\n\r\n"
    answer = await raw(server, request)
    assert answer.split(b" ")[1] in (b"400", b"421")
    assert b"ok\n" not in answer


async def test_signals_stay_with_the_relay(spool: SqliteSpool, tmp_path: Path) -> None:
    def mine(*_: object) -> None:
        pass

    before = signal.signal(signal.SIGTERM, mine)
    try:
        server = await started(spool, tmp_path, Web(port=0))
        assert signal.getsignal(signal.SIGTERM) is mine
        await server.stop()
        assert signal.getsignal(signal.SIGTERM) is mine
    finally:
        signal.signal(signal.SIGTERM, before)


async def test_nothing_listens_after_stop(spool: SqliteSpool, tmp_path: Path) -> None:
    server = await started(spool, tmp_path, Web(port=0))
    url = server.url
    await server.stop()
    with pytest.raises(Unreachable):
        await in_thread(RemoteDesk(url, TOKEN).status())


def test_a_port_in_use_says_which() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(CannotListen) as caught:
            WebServer(Web(port=port)).bind()
    assert (caught.value.key, caught.value.port, caught.value.taken) == ("web.address", port, True)


async def test_a_certificate_is_pinned(
    spool: SqliteSpool, tmp_path: Path, authority: Authority, unknown_authority: Authority
) -> None:
    own, other = authority.issue("relay.lan"), unknown_authority.issue("relay.lan")
    web = Web(port=0, certificate=own.chain, key=own.key)
    server = await started(spool, tmp_path, web)
    assert server.url.startswith("https://")
    assert (await in_thread(RemoteDesk(server.url, TOKEN, own.chain).status()))["running"]  # type: ignore[index]
    with pytest.raises(Silent):
        await in_thread(RemoteDesk(server.url, TOKEN, other.chain).status())
    await server.stop()


async def test_nothing_there() -> None:
    with pytest.raises(Unreachable):
        await RemoteDesk(f"http://127.0.0.1:{free_port()}", TOKEN).status()


def answering(answer: bytes) -> tuple[str, threading.Thread, socket.socket]:
    """A program that is no relay: one connection, one answer, or with none silence."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            if answer:
                connection.sendall(answer)
            else:
                connection.recv(1)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}", thread, listener


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"220 mail.example.net ESMTP\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}",
    ],
)
async def test_what_is_no_relay_is_silent(answer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "TIMEOUT_SECONDS", 0.3)
    url, thread, listener = answering(answer)
    with pytest.raises(Silent):
        await RemoteDesk(url, TOKEN).status()
    thread.join(5)
    listener.close()


async def test_trouble_in_the_relay_points_at_its_log() -> None:
    url, thread, listener = answering(
        b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
    with pytest.raises(ApiError, match="HTTP 500"):
        await RemoteDesk(url, TOKEN).status()
    thread.join(5)
    listener.close()


def test_an_address_of_all_is_reached_locally() -> None:
    server = WebServer(replace(Web(port=0), host="0.0.0.0"))
    server.bind()
    assert server.url.startswith("http://127.0.0.1:")
    asyncio.run(server.stop())
