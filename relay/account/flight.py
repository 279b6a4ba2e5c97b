"""A blocking call of a provider beside the event loop, and the secrets that it works with."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Callable
from typing import TypeVar

from relay.config.model import OAuth2
from relay.config.secret import SecretError

T = TypeVar("T")


async def in_thread(call: Callable[[], T]) -> T:
    """The result of `call`, in a thread of its own that the end of the process does not wait for.

    Not in asyncio's pool: a provider that hangs would keep its threads from everybody else.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.cancelled():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result, error = None, None
        try:
            result = call()
        except Exception as fault:  # noqa: BLE001 -- raised again where the result is awaited
            error = fault
        try:
            loop.call_soon_threadsafe(settle, result, error)
        except RuntimeError:
            return  # the loop has ended, and with it whoever waited

    threading.Thread(target=run, name="token", daemon=True).start()
    return await future


def secret_mark(oauth2: OAuth2) -> str:
    """Another text as soon as the app, the tenant or a secret of it is another."""
    digest = hashlib.sha256(repr(oauth2).encode())
    for reference in (oauth2.client_secret, oauth2.certificate):
        if reference is None:
            continue
        try:
            secret = reference.read()
        except SecretError as error:
            secret = str(error)
        digest.update(f"{len(secret)}:{secret}".encode())
    return digest.hexdigest()
