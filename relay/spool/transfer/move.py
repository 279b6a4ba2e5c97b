"""Carrying a spool to another store, so that it may be broken off at any moment and run again.

The target shows nothing until it has all of it, read back and found to be the same, in one
transaction or one new file; with it stands the id of the move. Only then the source is emptied or
put aside. A run that finds the id in the target has nothing left to do but that.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from relay.reason import ReasonedError
from relay.spool.errors import SpoolError
from relay.spool.transfer.tables import LEDGER, MAIL, Table
from relay.spool.transfer.tally import Row, Tally, counted
from relay.spool.vault import Account
from relay.spool.vault_entry import Grant

ID_SETTING = "move_id"


class TransferError(ReasonedError, SpoolError):
    """The spool cannot be carried; says in Dutch (`nl`) and English (`en`) why, and what to do."""


class Source(Protocol):
    """A store that nobody else has open, and nobody can open until it is closed."""

    async def id(self) -> str:
        """Of the move that this store is in; the first to ask makes it."""

    def rows(self, table: Table) -> AsyncIterator[Row]:
        """All rows in the table's order, flags as 1 and 0."""

    async def grants(self) -> Mapping[Account, Grant]:
        """All tokens. Raises VaultError: they are there, and cannot be read."""

    async def retire(self) -> str | None:
        """The target answers for everything now: empty, or put aside under the name returned."""

    async def close(self) -> None:
        """Let others have it."""


class Target(Protocol):
    """A store that may be in use by others, of which nobody sees anything before `publish`."""

    async def received(self, move: str) -> str | None:
        """What `publish` recorded of this move; None: it has not got it."""

    async def begin(self) -> None:
        """Be ready for rows. Raises TransferError where it cannot take any."""

    async def fill(self, table: Table, rows: AsyncIterator[Row]) -> None:
        """Write the rows."""

    def written(self, table: Table) -> AsyncIterator[Row]:
        """What was written to one of the tables of mail, read back."""

    async def keep(self, grants: Mapping[Account, Grant]) -> None:
        """The tokens too."""

    async def publish(self, move: str, record: str) -> None:
        """All of it is there from now on, synced, and with it the record of this move."""

    async def close(self) -> None:
        """Forget what was not published."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What a move came to. `kept` is where a file was put aside; `resumed` says that all was in
    the target already, by a run that was broken off."""

    tally: Tally
    tokens: int
    kept: str | None
    resumed: bool


async def move(source: Source, target: Target) -> Moved:
    """Carry everything. Raises TransferError, VaultError, SpoolError; then the source is as it was.

    Even then the target may have got all of it, where the connection to it was lost while it
    committed: run again, and it will be known.
    """
    number = await source.id()
    record = await target.received(number)
    grants: Mapping[Account, Grant] = {}
    if record is None:
        grants = await source.grants()
        tally = await _carry(source, target, grants)
        await target.publish(number, tally.text())
    else:
        tally = await _read(source)
        if tally != Tally.of(record):
            raise _changed()
    return Moved(tally, len(grants), await source.retire(), resumed=record is not None)


def new_id() -> str:
    """For a source that has none."""
    return os.urandom(16).hex()


async def _carry(source: Source, target: Target, grants: Mapping[Account, Grant]) -> Tally:
    await target.begin()
    sent, found = Tally(), Tally()
    for table in MAIL:
        await target.fill(table, counted(table, source.rows(table), sent))
    for table in LEDGER:
        await target.fill(table, source.rows(table))
    await target.keep(grants)
    for table in MAIL:
        async for row in target.written(table):
            found.note(table, row)
    if found != sent:
        raise TransferError(
            f"wat is teruggelezen verschilt van wat is geschreven ({found} in plaats van {sent});"
            " er is niets veranderd: onderzoek de schijf van de doelopslag",
            f"what was read back differs from what was written ({found} instead of {sent});"
            " nothing was changed: examine the disk of the target",
        )
    return sent


async def _read(source: Source) -> Tally:
    tally = Tally()
    for table in MAIL:
        async for row in source.rows(table):
            tally.note(table, row)
    return tally


def _changed() -> TransferError:
    return TransferError(
        "een eerdere run heeft alles al overgezet, en daarna is de oude spool weer gebruikt: dezelfde"
        " mail staat nu in beide. Wis niets blind: vergelijk relay queue list van beide, en zet de"
        " oude spool daarna met de hand opzij",
        "an earlier run has carried everything, and the old spool was used after that: the same"
        " mail is in both now. Delete nothing blindly: compare relay queue list of both, and then"
        " put the old spool aside by hand",
    )
