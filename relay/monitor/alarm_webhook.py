"""An alarm to a webhook: one POST, no redirects, and never in clear over the internet."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import ssl
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from relay import __version__
from relay.access.address import is_private, peer_address

SECONDS = 10.0
"""For all of it: the name, the connection, TLS, the answer."""

_MOST_HEAD_BYTES = 16_384
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: |\r?\n)")


def host_of(url: str) -> str:
    """The host, which is all of a webhook's address that a log may show: the rest is a secret."""
    return urlsplit(url).hostname or "?"


async def post(
    url: str, content: Mapping[str, object], tls: ssl.SSLContext | None = None
) -> str | None:
    """Send `content` as JSON; None where a 2xx came back, else why not, without the address.

    `tls` None: the system's authorities. Plain http goes to loopback and private addresses only,
    whatever the name says. A redirect is a failure: whoever answers there was not named.
    """
    try:
        async with asyncio.timeout(SECONDS):
            return await _post(urlsplit(url), json.dumps(content).encode(), tls)
    except TimeoutError:
        return f"no answer within {SECONDS:g} seconds"
    except (OSError, ValueError, asyncio.LimitOverrunError) as error:
        return str(error) or type(error).__name__


async def _post(url: SplitResult, body: bytes, tls: ssl.SSLContext | None) -> str | None:
    secure = url.scheme == "https"
    host = url.hostname or ""
    port = url.port or (443 if secure else 80)
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(each[4][0]) for each in found]
    if not secure:
        addresses = [each for each in addresses if is_private(peer_address(each))]
        if not addresses:
            return "plain http goes to this machine and private addresses only; use https"
    context = (tls or ssl.create_default_context()) if secure else None
    reader, writer = await _connect(dict.fromkeys(addresses), port, host, context)
    try:
        writer.write(_request(url, body))
        await writer.drain()
        head = await reader.readuntil(b"\r\n")
        if len(head) > _MOST_HEAD_BYTES or not (status := _STATUS.match(head)):
            return "what answers there speaks no HTTP"
        return None if status[1].startswith(b"2") else f"HTTP {status[1].decode()}"
    except asyncio.IncompleteReadError:
        return "closed without an answer"
    finally:
        writer.transport.abort()


async def _connect(
    addresses: Mapping[str, None], port: int, host: str, context: ssl.SSLContext | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """The first address that takes a connection. Raises OSError: the last one's reason."""
    reason: OSError = OSError("the name has no address")
    for address in addresses:
        try:
            return await asyncio.open_connection(
                address,
                port,
                ssl=context,
                server_hostname=host if context else None,
                limit=_MOST_HEAD_BYTES,
            )
        except OSError as error:
            reason = error
    raise reason


def _request(url: SplitResult, body: bytes) -> bytes:
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    host = url.netloc.rpartition("@")[2].encode("idna" if not url.netloc.isascii() else "ascii")
    lines = [
        f"POST {target} HTTP/1.1".encode("ascii"),
        b"Host: " + host,
        f"User-Agent: office-mail-relay/{__version__}".encode(),
        b"Content-Type: application/json",
        b"Content-Length: %d" % len(body),
        b"Connection: close",
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body
