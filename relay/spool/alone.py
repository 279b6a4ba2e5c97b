"""The only process of its store: what it uses it shares with nobody, so nobody is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Final

from relay.spool.node import this_node
from relay.spool.sharing import (
    AccountKey,
    NodeView,
    NotYet,
    Permit,
    Slot,
    Terms,
    Topic,
    Vitals,
)

_SLOT: Final = Slot(taken=True, elsewhere=0)


class Alone:
    """`Shares` and `Nodes` without others; see `relay.spool.sharing`."""

    shared: Final = False

    @property
    def id(self) -> str:
        return this_node().id

    async def connect(self, account: AccountKey, most: int) -> Slot:
        return _SLOT

    def hang_up(self, account: AccountKey) -> None:
        """Nobody waits for it."""

    async def begin(self, account: AccountKey, terms: Terms, recipients: int) -> Permit | NotYet:
        return Permit(0, recipients)

    async def widen(
        self, account: AccountKey, terms: Terms, permit: Permit, recipients: int
    ) -> Permit:
        return Permit(0, recipients)

    def end(self, permits: Sequence[Permit], used: int) -> None:
        """Nobody waits for it."""

    async def recent(self, account: AccountKey) -> int:
        return 0

    def turn(self, name: str) -> AbstractAsyncContextManager[None]:
        return nullcontext()

    async def beat(self, vitals: Vitals) -> None:
        """Nobody listens."""

    async def changed(self) -> frozenset[Topic]:
        return frozenset()

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def on_mail(self, wake: Callable[[Collection[str] | None], None]) -> None:
        """Nobody else brings any."""

    async def leave(self) -> None:
        """Nobody notices."""

    async def listed(self) -> tuple[NodeView, ...]:
        return ()


ALONE: Final = Alone()
