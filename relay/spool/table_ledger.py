"""What every store's ledger has in common: statements of one name, with the same columns."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from relay.spool.ledger_entry import (
    AccountPace,
    AdoptedDevice,
    Block,
    BlockedBy,
    Lane,
    LaneAccount,
    PausedAccount,
    RefusedDevice,
    SenderRule,
    UsedMinute,
)
from relay.spool.rows import (
    clean,
    from_micros,
    from_minutes,
    optional_time,
    reply_columns,
    to_micros,
    to_minutes,
    to_reply,
)


class TableLedger(ABC):
    """See `relay.spool.protocol.Ledger`; a store says how it runs a statement."""

    @abstractmethod
    async def _write(self, statement: str, *values: object) -> int:
        """The number of rows that a statement changed."""

    @abstractmethod
    async def _write_each(self, statement: str, rows: Sequence[Sequence[object]]) -> None:
        """A statement for each row, all or none."""

    @abstractmethod
    async def _adopt(self, address: str, *values: object) -> None:
        """A device adopted, and not refused any more: both or neither."""

    @abstractmethod
    async def _rows(self, statement: str, *values: object) -> list[Any]:
        """What a statement finds."""

    async def lanes(self) -> dict[str, Lane]:
        rows = await self._rows("lanes")
        return {row[0]: Lane(row[0], _block(row[1:9]), row[9]) for row in rows}

    async def block(self, lane: str, block: Block) -> None:
        await self._write(
            "block",
            lane,
            block.by.value,
            None if block.until is None else to_micros(block.until),
            block.failures,
            to_micros(block.since),
            block.cause,
            *reply_columns(block.reply),
        )

    async def unblock(self, lane: str) -> None:
        await self._write("unblock", lane)

    async def learn_size(self, lane: str, size_bytes: int | None) -> None:
        await self._write("learn_size", lane, size_bytes)

    async def pause(self, account: PausedAccount) -> None:
        await self._write(
            "pause",
            account.host,
            account.username,
            to_micros(account.at),
            None if account.until is None else to_micros(account.until),
            account.refusals,
            account.secret_mark,
            account.cause,
            *reply_columns(account.reply),
        )

    async def resume(self, host: str, username: str) -> bool:
        return await self._write("resume", host, username) > 0

    async def paused(self) -> tuple[PausedAccount, ...]:
        return tuple(
            PausedAccount(
                host=row[0],
                username=row[1],
                at=from_micros(row[2]),
                until=optional_time(row[3]),
                refusals=row[4],
                secret_mark=row[5],
                cause=row[6],
                reply=to_reply(*row[7:10]),
            )
            for row in await self._rows("paused")
        )

    async def paces(self) -> tuple[AccountPace, ...]:
        return tuple(
            AccountPace(host, username, optional_time(arrival_at), learned)
            for host, username, arrival_at, learned in await self._rows("paces")
        )

    async def learn(self, host: str, username: str, learned: str | None) -> None:
        await self._write("learn", host, username, learned)

    async def usage(self, since: datetime) -> tuple[UsedMinute, ...]:
        return tuple(
            UsedMinute(host, username, from_minutes(minute), *counts)
            for host, username, minute, *counts in await self._rows("usage", to_minutes(since))
        )

    async def forget_usage(self, before: datetime) -> None:
        await self._write("forget_usage", to_minutes(before))

    async def lane_accounts(self, lanes: Sequence[LaneAccount]) -> None:
        rows = [(each.lane, each.host, each.username, each.max_recipients) for each in lanes]
        await self._write_each("lane_account", rows)

    async def note_refused(self, devices: Sequence[RefusedDevice]) -> None:
        rows = [
            (each.address, each.count, to_micros(each.first_at), to_micros(each.last_at))
            for each in devices
        ]
        await self._write_each("note_refused", rows)

    async def refused(self) -> tuple[RefusedDevice, ...]:
        return tuple(
            RefusedDevice(address, count, from_micros(first_at), from_micros(last_at))
            for address, count, first_at, last_at in await self._rows("refused")
        )

    async def forget_refused(self, before: datetime) -> int:
        return await self._write("forget_refused", to_micros(before))

    async def adopt(self, device: AdoptedDevice) -> None:
        await self._adopt(device.address, device.name, to_micros(device.adopted_at))

    async def disown(self, address: str) -> bool:
        return await self._write("disown", address) > 0

    async def adopted(self) -> tuple[AdoptedDevice, ...]:
        return tuple(
            AdoptedDevice(address, name, from_micros(adopted_at))
            for address, name, adopted_at in await self._rows("adopted")
        )

    async def adopt_sender(self, rule: SenderRule) -> None:
        values = (rule.smarthost, rule.sender, rule.address, to_micros(rule.adopted_at))
        await self._write("adopt_sender", *values)

    async def disown_sender(self, smarthost: str, sender: str) -> bool:
        return await self._write("disown_sender", smarthost, sender) > 0

    async def sender_rules(self) -> tuple[SenderRule, ...]:
        return tuple(
            SenderRule(smarthost, sender, address, from_micros(adopted_at))
            for smarthost, sender, address, adopted_at in await self._rows("sender_rules")
        )

    async def setting(self, name: str) -> str | None:
        rows = await self._rows("setting", name)
        return rows[0][0] if rows else None

    async def remember(self, name: str, value: str | None) -> None:
        if value is None:
            await self._write("forget_setting", name)
        else:
            await self._write("set_setting", name, value)


def storable(values: Sequence[object]) -> tuple[object, ...]:
    """Free of what a database cannot hold: a server's or an operator's text must not stop a record."""
    return tuple(clean(each) if isinstance(each, str) else each for each in values)


def _block(row: Sequence[Any]) -> Block | None:
    blocked_by, until, failures, since, cause, *reply = row
    if blocked_by is None or since is None:
        return None
    return Block(
        by=BlockedBy(blocked_by),
        until=optional_time(until),
        failures=failures,
        since=from_micros(since),
        cause=cause,
        reply=to_reply(*reply),
    )
