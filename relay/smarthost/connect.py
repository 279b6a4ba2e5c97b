"""From a smarthost's configuration to a connection that is ready for mail.

aiosmtplib greets, secures and logs in; each step that fails is a value, never a message's fault.
The password or token goes over verified TLS (loopback aside), by one mechanism, once.
"""

import math
import socket
import ssl
from dataclasses import dataclass, replace

from relay.config.model import Smarthost, TlsMode
from relay.smarthost.capabilities import Capabilities
from relay.smarthost.dial import dial
from relay.smarthost.exchange import Exchange
from relay.smarthost.steps import (
    Client,
    ConnectFailure,
    StepFailed,
    cut,
    greet,
    log_in,
    secure,
    tls_context,
    transport_of,
)
from relay.smarthost.tokens import Tokens
from relay.smarthost.wire import Outgoing

__all__ = ["STANDARD_TIMEOUTS", "ConnectFailure", "Connection", "Timeouts", "connect"]


_LEAST_BYTES_PER_SECOND = 10_000


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds for each step; at least those of RFC 5321 section 4.5.3.2 once mail flows."""

    dial: float = 15  # for each address
    greeting: float = 60
    command: float = 60  # EHLO, STARTTLS and the handshake, AUTH
    mail: float = 300
    data: float = 120
    block: float = 180
    dot: float = 600

    def message(self, size_bytes: int) -> float:
        """For the reply to a message of this size."""
        return self.dot + size_bytes / _LEAST_BYTES_PER_SECOND


STANDARD_TIMEOUTS = Timeouts()


@dataclass(slots=True)
class Connection:
    """A server ready for MAIL. `used` counts the transactions it has seen, `answered_at` is when
    the last one ended, by the loop's clock; `dot_sent`: the message of the running one has left
    whole, nothing has refused it, and its reply has not come; `chunking_failed`: CHUNKING is
    offered, and better not used; `round_trip_seconds`
    is how long the first reply to an envelope took; `begun`: the next one, whose envelope was sent already;
    `ahead_failed`: that is better not done."""

    exchange: Exchange
    capabilities: Capabilities
    address: str
    greeting: str = ""
    used: int = 0
    answered_at: float = -math.inf
    dot_sent: bool = False
    chunking_failed: bool = False
    round_trip_seconds: float = 0.0
    begun: Outgoing | None = None
    ahead_failed: bool = False


async def connect(
    smarthost: Smarthost,
    hostname: str,
    timeouts: Timeouts = STANDARD_TIMEOUTS,
    tokens: Tokens | None = None,
) -> Connection | ConnectFailure:
    """Dial, secure and log in. `hostname` is our name in EHLO, `tokens` serve OAuth2."""
    address: str | None = None
    client: Client | None = None
    try:
        context = tls_context(smarthost)
        sock, address = await dial(smarthost, timeouts.dial)
        client = new_client(smarthost, hostname, sock, context, timeouts)
        greeting = await greet(client, timeouts.greeting)
        capabilities = await secure(client, smarthost, context)
        await log_in(client, smarthost, tokens)
        return Connection(Exchange(transport_of(client)), capabilities, address, greeting)
    except StepFailed as error:
        if client is not None:
            cut(client)
        return replace(error.failure, address=address)
    except BaseException:
        if client is not None:
            cut(client)
        raise


def new_client(
    smarthost: Smarthost,
    hostname: str,
    sock: socket.socket,
    context: ssl.SSLContext | None,
    timeouts: Timeouts,
) -> Client:
    try:
        return Client(
            hostname=smarthost.host,
            port=None,
            sock=sock,
            local_hostname=hostname,
            use_tls=smarthost.tls is TlsMode.IMPLICIT,
            start_tls=False,
            tls_context=context,
            timeout=timeouts.command,
        )
    except BaseException:
        sock.close()
        raise
