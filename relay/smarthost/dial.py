"""A TCP connection to a smarthost: its addresses in turn, each for a limited time."""

import asyncio
import socket
from typing import Any

from presets.verdict import Phase, Scope
from relay.access.address import is_private, peer_address
from relay.config.model import Smarthost, TlsMode
from relay.smarthost.steps import failed


async def dial(smarthost: Smarthost, seconds: float) -> tuple[socket.socket, str]:
    """A TCP connection to the first address that answers."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(seconds):
            found = await loop.getaddrinfo(smarthost.host, smarthost.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError) as error:
        why = str(error) or "timed out"
        raise failed(Phase.CONNECT, "name-not-resolved", f"{smarthost.host}: {why}") from error
    if smarthost.tls is TlsMode.NONE:
        # The configuration can only check an address that stands in it, not what a name becomes.
        found = [each for each in found if is_private(peer_address(str(each[4][0])))]
        if not found:
            detail = f"{smarthost.host} has a public address; nothing goes there without TLS"
            raise failed(Phase.CONNECT, "public-without-tls", detail, Scope.TLS)
    problems = []
    for family, kind, protocol, _, target in found:
        try:
            return await dial_one((family, kind, protocol), target, seconds), str(target[0])
        except (OSError, TimeoutError) as error:
            problems.append(f"{target[0]}: {str(error) or 'timed out'}")
    detail = f"port {smarthost.port} of {smarthost.host} does not answer ({'; '.join(problems)})"
    raise failed(Phase.CONNECT, "connection-failed", detail)


async def dial_one(kind: tuple[int, int, int], target: Any, seconds: float) -> socket.socket:
    sock = socket.socket(*kind)
    try:
        sock.setblocking(False)
        async with asyncio.timeout(seconds):
            await asyncio.get_running_loop().sock_connect(sock, target)
    except BaseException:
        sock.close()
        raise
    return sock
