"""uvicorn inside the relay's own event loop, on sockets that were bound beforehand."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from relay.config.model import Web
from relay.control.errors import CannotListen

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_GRACE_SECONDS = 2  # for answers under way at `stop`; the whole relay has ten
_MOST_CONNECTIONS = 128  # at once, of which events.MOST_STREAMS may be streams: more get 503
_PATIENCE_SECONDS = 30.0  # for the head of a request, and between two


class _Protocol(H11Protocol):
    """One connection; it is dropped where no request is whole in time."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch = self.loop.call_later(_PATIENCE_SECONDS, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        self._watch.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        self._watch.cancel()
        self._watch = self.loop.call_later(_PATIENCE_SECONDS, self._give_up)
        super().on_response_complete()

    def _give_up(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.abort()


class _Embedded(uvicorn.Server):
    """A server that leaves the process's signals alone, and says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # The stock one takes SIGTERM and SIGINT for itself and raises them again at its end.
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


class WebServer:
    """The HTTP side of the relay: `bind`, `start`, `stop`, each once."""

    def __init__(self, web: Web) -> None:
        self._web = web
        self._sockets: list[socket.socket] = []
        self._server: _Embedded | None = None
        self._task: asyncio.Task[None] | None = None
        self._before_stop: Callable[[], None] | None = None

    def bind(self) -> None:
        """Take the address; connections wait until `start`. Raises CannotListen."""
        host, port = self._web.host, self._web.port
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            for family, *_, address in dict.fromkeys(found):
                self._sockets.append(
                    socket.create_server(
                        address[:2], family=family, dualstack_ipv6=_both(family, host)
                    )
                )
        except OSError as error:
            self._close()
            raise CannotListen(host, port, "web.address", error) from error

    @property
    def url(self) -> str:
        """Where it listens, as this machine reaches it."""
        host, port = self._sockets[0].getsockname()[:2]
        local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
        scheme = "https" if self._web.certificate else "http"
        return f"{scheme}://{f'[{local}]' if ':' in local else local}:{port}"

    async def start(self, app: ASGIApp, before_stop: Callable[[], None] | None = None) -> None:
        """Serve `app`; on return requests are answered. Raises what kept it from starting.

        `before_stop` ends what would not end by itself.
        """
        self._before_stop = before_stop
        config = uvicorn.Config(
            app,
            http=_Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=_MOST_CONNECTIONS,
            timeout_graceful_shutdown=_GRACE_SECONDS,
            ssl_certfile=self._web.certificate,
            ssl_keyfile=self._web.key,
        )
        self._server = _Embedded(config)
        self._task = asyncio.create_task(self._server.serve(self._sockets), name="web server")
        ready = asyncio.create_task(self._server.ready.wait())
        await asyncio.wait({self._task, ready}, return_when=asyncio.FIRST_COMPLETED)
        if self._task.done():
            ready.cancel()
            self._close()
            self._task.result()

    async def stop(self) -> None:
        """Stop listening; answers under way get two seconds. Safe without `start`."""
        if self._before_stop is not None:
            self._before_stop()
        if self._server is not None and self._task is not None:
            self._server.should_exit = True
            await self._task
        self._close()

    def _close(self) -> None:
        for each in self._sockets:
            each.close()


def _both(family: int, host: str) -> bool:
    """Whether one IPv6 socket is to take IPv4 too: for `::`, where the system can."""
    return family == socket.AF_INET6 and host == "::" and socket.has_dualstack_ipv6()
