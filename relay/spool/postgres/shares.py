"""What nodes use up together of an account, in PostgreSQL: each decision is one transaction that
holds the account's row in `share`, by the server's clock."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from relay.spool.errors import SpoolError
from relay.spool.postgres.short_transactions import ShortTransactions
from relay.spool.postgres.sql import statements
from relay.spool.sharing import AccountKey, NotYet, Permit, Slot, Terms

if TYPE_CHECKING:
    from relay.spool.postgres.server import Connection

log = logging.getLogger(__name__)

SQL = statements("fleet.sql")

_RETRY_SECONDS = 1.0
_TURN_SECONDS = 90  # longer than any work that is done in one, see relay/account/keeper.py
_TURN_PAUSE_SECONDS = 0.2


class PostgresShares:
    """See `relay.spool.sharing.Shares`. What is given back is told in the background, again and
    again until the server knows; who takes something waits for that."""

    def __init__(self, short: ShortTransactions, node: str) -> None:
        self._short = short
        self._node = node
        self.connections: Counter[AccountKey] = Counter()
        """What this node holds, as far as it knows."""
        self.permits: dict[int, AccountKey] = {}
        self._hung_up: set[AccountKey] = set()
        self._ended: list[tuple[AccountKey, int, bool]] = []
        self._telling: asyncio.Task[None] | None = None

    async def connect(self, account: AccountKey, most: int) -> Slot:
        # From now on it counts: what is told of this account meanwhile tells of it too.
        self.connections[account] += 1
        mine = self.connections[account]
        values = (*account, self._node, mine, most)
        try:
            row = await self._short.run(account, lambda c: c.fetchrow(SQL["connect"], *values))
        except BaseException:
            self.hang_up(account)  # it may have been taken
            raise
        if not row["taken"]:
            self.connections[account] -= 1
        return Slot(row["taken"], row["elsewhere"])

    def hang_up(self, account: AccountKey) -> None:
        self.connections[account] -= 1
        self._hung_up.add(account)
        self._tell_soon()

    async def begin(self, account: AccountKey, terms: Terms, recipients: int) -> Permit | NotYet:
        values = (
            *account,
            self._node,
            terms.messages_per_minute,
            terms.burst,
            terms.interval,
            terms.messages_per_day,
            terms.recipients_per_day,
            recipients,
        )
        row = await self._short.run(account, lambda c: c.fetchrow(SQL["begin"], *values))
        if row["permit"] is None:
            return NotYet(timedelta(seconds=row["wait"]), row["day"])
        self.permits[row["permit"]] = account
        return Permit(row["permit"], row["granted"])

    async def widen(
        self, account: AccountKey, terms: Terms, permit: Permit, recipients: int
    ) -> Permit:
        values = (*account, permit.id, terms.recipients_per_day, recipients)
        granted = await self._short.run(account, lambda c: c.fetchval(SQL["widen"], *values))
        return Permit(permit.id, granted)

    def end(self, permits: Sequence[Permit], used: int) -> None:
        for number, permit in enumerate(permits):
            account = self.permits.get(permit.id)
            if account is not None:
                self._ended.append((account, permit.id, number < used))
        self._tell_soon()

    async def recent(self, account: AccountKey) -> int:
        values = (*account, self._node)
        found: int = await self._short.run(account, lambda c: c.fetchval(SQL["recent"], *values))
        return found

    def turn(self, name: str) -> AbstractAsyncContextManager[None]:
        return self._turn(name)

    async def close(self) -> None:
        """Tell what was given back, if that can be done at once."""
        if self._telling is not None:
            await asyncio.wait([self._telling], timeout=_RETRY_SECONDS)
            self._telling.cancel()
            await asyncio.gather(self._telling, return_exceptions=True)

    @asynccontextmanager
    async def _turn(self, name: str) -> AsyncIterator[None]:
        key = ("~turn", name)
        values = (name, self._node, _TURN_SECONDS)
        while True:
            if await self._short.run(key, lambda c: c.fetchval(SQL["take_turn"], *values)):
                break
            await asyncio.sleep(_TURN_PAUSE_SECONDS)
        try:
            yield
        finally:
            with suppress(SpoolError):  # then its time runs out
                await self._short.run(key, lambda c: c.execute(SQL["give_turn"], name, self._node))

    def _tell_soon(self) -> None:
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell_all(), name="spool-shares")

    async def _tell_all(self) -> None:
        while self._hung_up or self._ended:
            try:
                await self._tell()
            except SpoolError as error:
                log.info("what was given back is not told yet: %s", error)
                await asyncio.sleep(_RETRY_SECONDS)

    async def _tell(self) -> None:
        hung_up, self._hung_up = self._hung_up, set()
        ended, self._ended = self._ended, []
        accounts = hung_up | {account for account, _, _ in ended}
        told = await asyncio.gather(
            *(self._tell_of(each, each in hung_up, ended) for each in accounts),
            return_exceptions=True,
        )
        failure: BaseException | None = None
        for account, found in zip(accounts, told, strict=True):
            mine = [each for each in ended if each[0] == account]
            if isinstance(found, BaseException):
                failure = found
                self._ended += mine
                self._hung_up |= {account} & hung_up
            else:
                for _, permit, _ in mine:
                    self.permits.pop(permit, None)
        if failure is not None:
            raise failure

    async def _tell_of(
        self, account: AccountKey, hung_up: bool, ended: list[tuple[AccountKey, int, bool]]
    ) -> None:
        used = [permit for each, permit, was in ended if each == account and was]
        unused = [permit for each, permit, was in ended if each == account and not was]

        async def work(connection: Connection) -> None:
            if hung_up:
                # As of this moment, not of when it was asked for.
                count = self.connections[account]
                await connection.execute(SQL["hold"], *account, self._node, count)
            if used or unused:
                await connection.execute(SQL["end"], *account, used, unused)

        await self._short.run(account, work)
