"""One login as the relay does it, and nothing else: no mail."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from presets.reply import Reply
from presets.verdict import Phase, Scope
from relay.config.model import AuthMethod, Smarthost
from relay.smarthost.connect import STANDARD_TIMEOUTS, Timeouts, new_client
from relay.smarthost.dial import dial
from relay.smarthost.exchange import Exchange
from relay.smarthost.steps import (
    Client,
    StepFailed,
    choose_mechanism,
    cut,
    greet,
    log_in,
    secure,
    tls_context,
    transport_of,
)
from relay.smarthost.tokens import Tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginTest:
    """How a login went. Where it was accepted `phase`, `scope` and `cause` are None.

    `mechanism` is the one that was, or would have been, used; `reply` the server's to AUTH, or to
    what failed before; `detail` plain words for the log.
    """

    mechanism: str | None = None
    mechanisms_offered: tuple[str, ...] = ()
    accepted: bool = False
    reply: Reply | None = None
    phase: Phase | None = None
    scope: Scope | None = None
    cause: str | None = None
    detail: str = ""
    address: str | None = None
    seconds: float = 0.0


async def try_login(
    smarthost: Smarthost,
    hostname: str,
    tokens: Tokens | None,
    timeouts: Timeouts = STANDARD_TIMEOUTS,
) -> LoginTest:
    """Dial, secure, log in once, and part. The breaker is the caller's to ask and to tell."""
    began = time.monotonic()
    test = LoginTest()
    client: Client | None = None
    try:
        context = tls_context(smarthost)
        sock, address = await dial(smarthost, timeouts.dial)
        test = replace(test, address=address)
        client = new_client(smarthost, hostname, sock, context, timeouts)
        await greet(client, timeouts.greeting)
        await secure(client, smarthost, context)
        test = _with_mechanisms(test, smarthost.auth, client.server_auth_methods)
        reply = await log_in(client, smarthost, tokens)
        await Exchange(transport_of(client)).quit()
        test = replace(test, accepted=True, reply=reply)
    except StepFailed as error:
        failure = error.failure
        test = replace(
            test,
            reply=failure.reply,
            phase=failure.phase,
            scope=failure.scope,
            cause=failure.cause,
            detail=failure.detail,
        )
    finally:
        if client is not None:
            cut(client)
    return replace(test, seconds=time.monotonic() - began)


def _with_mechanisms(test: LoginTest, auth: AuthMethod, offered: list[str]) -> LoginTest:
    names = tuple(dict.fromkeys(name.upper() for name in offered))
    return replace(test, mechanisms_offered=names, mechanism=choose_mechanism(auth, names))
