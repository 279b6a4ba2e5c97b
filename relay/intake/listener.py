"""The listening sockets and the sessions behind them."""

import asyncio
import errno
import socket
import ssl
import weakref
from dataclasses import dataclass, field

from relay.config.model import Config, Listener, TlsMode
from relay.control.errors import CannotListen
from relay.intake.context import Intake
from relay.intake.session import Session

_BACKLOG = 256
_BURST = 4
"""Connections taken in one step of the loop; those refused are closed some steps later."""

_NO_SUCH_ADDRESS = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


@dataclass(slots=True)
class Listeners:
    """All listeners of one relay: `bind`, `start`, `stop`, each once."""

    intake: Intake
    _bound: list[tuple[Listener, socket.socket]] = field(default_factory=list)
    _addresses: list[tuple[str, int]] = field(default_factory=list)
    _servers: list[asyncio.Server] = field(default_factory=list)
    _current: dict[tuple[str, int], tuple[Listener, ssl.SSLContext | None]] = field(
        default_factory=dict
    )
    _sessions: "weakref.WeakSet[Session]" = field(default_factory=weakref.WeakSet)

    def bind(self) -> None:
        """Take every address; connections wait until `start`. Raises CannotListen."""
        for number, listener in enumerate(self.intake.config.listeners):
            try:
                sock = _bind(listener)
            except OSError as error:
                if self.intake.config.sandbox and error.errno in _NO_SUCH_ADDRESS:
                    continue  # a machine without IPv6 has a sandbox too
                self.close()
                key = f"listener[{number}].address"
                raise CannotListen(listener.host, listener.port, key, error) from error
            self._bound.append((listener, sock))
            self._addresses.append(sock.getsockname()[:2])

    def addresses(self) -> list[tuple[str, int]]:
        """Where it listens, or did until it stopped, with the ports that the system chose for
        port 0."""
        return [*self._addresses]

    def shown_addresses(self) -> list[str]:
        """The same as `listener.address` is written: host:port, IPv6 in brackets."""
        return [
            f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            for host, port in self.addresses()
        ]

    async def start(self) -> None:
        """Accept connections."""
        loop = asyncio.get_running_loop()
        for listener, sock in self._bound:
            place = (listener.host, listener.port)
            self._current[place] = (listener, tls_context(listener))

            def session(place: tuple[str, int] = place) -> Session:
                current, context = self._current[place]
                made = Session(self.intake, current, context)
                self._sessions.add(made)
                return made

            server = await loop.create_server(session, sock=sock, backlog=_BURST)
            sock.listen(_BACKLOG)  # asyncio has told the system its burst instead
            self._servers.append(server)

    def reload(self, config: Config) -> None:
        """Limits and STARTTLS certificates for connections from now on.

        Addresses, and listeners with implicit TLS, stay as they were bound until a restart.
        """
        for listener in config.listeners:
            place = (listener.host, listener.port)
            before = self._current.get(place)
            if before is not None and TlsMode.IMPLICIT not in (listener.tls, before[0].tls):
                self._current[place] = (listener, tls_context(listener))

    async def stop(self, seconds: float) -> None:
        """Refuse new connections, let open DATA end for at most `seconds`, close the rest."""
        self.intake.stopping = True
        for server in self._servers:
            server.close()
        end = asyncio.get_running_loop().time() + seconds
        while True:
            open_sessions = [each for each in self._sessions if each.transport is not None]
            for session in open_sessions:
                session.stop()
            receiving = [each for each in open_sessions if each.in_data]
            if not receiving or asyncio.get_running_loop().time() >= end:
                break
            await asyncio.sleep(0.05)
        for session in receiving:
            session.transport.abort()

    def close(self) -> None:
        """Give the addresses back, when the start came to nothing."""
        for _, sock in self._bound:
            sock.close()
        self._bound.clear()
        self._addresses.clear()


def _bind(listener: Listener) -> socket.socket:
    family, *_, address = socket.getaddrinfo(
        listener.host, listener.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    # [::] takes IPv4 as well where the system lets it: one listener for the whole office.
    both = listener.host == "::" and socket.has_dualstack_ipv6()
    return socket.create_server(address[:2], family=family, backlog=_BACKLOG, dualstack_ipv6=both)


def tls_context(listener: Listener) -> ssl.SSLContext | None:
    """The server's side of TLS for a listener; None without. Its files were checked before."""
    if listener.tls is TlsMode.NONE or listener.certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[listener.min_tls]
    context.load_cert_chain(listener.certificate, listener.key)
    return context
