"""Retry, hold, release, delete, reroute: what an operator does to messages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TypeVar, assert_never

from relay.config.model import Config
from relay.control.documents import Document, document
from relay.control.errors import Declined
from relay.delivery.route import choose_lane, find_path
from relay.spool.ids import id_number, id_text
from relay.spool.model import HeldFor, State
from relay.spool.protocol import Spool
from relay.spool.view import Acted, MessageView

T = TypeVar("T")

_BATCH = 500  # messages in one transaction: intake commits between two of them


class Action(StrEnum):
    """What can be done to messages of the queue."""

    RETRY = "retry"
    HOLD = "hold"
    RELEASE = "release"
    DELETE = "delete"
    REROUTE = "reroute"


@dataclass(slots=True)
class Tally:
    """What became of the ids so far, each id as it was written."""

    changed: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def add(self, acted: Acted) -> None:
        self.changed += map(id_text, acted.changed)
        self.unchanged += map(id_text, acted.unchanged)
        self.unknown += map(id_text, acted.unknown)

    def document(self, action: Action) -> Document:
        return document(
            f"queue {action}",
            changed=self.changed,
            unchanged=self.unchanged,
            unknown=self.unknown,
            refused=self.refused,
        )


@dataclass(frozen=True, slots=True)
class QueueActions:
    """The actions over one spool, by the configuration of this moment."""

    spool: Spool
    config: Config
    now: datetime

    async def act(self, action: Action, ids: Sequence[str] | None, to: str | None) -> Tally:
        """Do `action` to the messages `ids`, or with None to all that are unfinished.

        With None the ids it changed nothing of are not listed. Raises Declined: `to` is missing
        or no smarthost.
        """
        if action is Action.REROUTE:
            to = self._smarthost(to)
        if ids is None:
            return await self._act_on_all(action, to)
        tally = Tally()
        numbers: list[int] = []
        for text in dict.fromkeys(ids):
            number = id_number(text)
            if number is None:
                tally.unknown.append(text)
            else:
                numbers.append(number)
        for batch in _batches(numbers):
            if action is Action.RELEASE:
                await self._release(await self._views(batch, tally), tally)
            else:
                tally.add(await self._do(action, batch, to))
        return tally

    async def release(self, ids: Sequence[int], held_for: HeldFor | None = None) -> list[str]:
        """Release messages that are held, or only what is held for one reason; the ids that changed."""
        tally = Tally()
        for batch in _batches(ids):
            await self._release(await self._views(batch, tally), tally, held_for)
        return tally.changed

    async def _act_on_all(self, action: Action, to: str | None) -> Tally:
        tally = Tally()
        if action is Action.RELEASE:
            page = await self.spool.queue.unfinished(0, _BATCH)
            while page:
                await self._release([each for each in page if each.state is State.HELD], tally)
                page = await self.spool.queue.unfinished(page[-1].id, _BATCH)
        else:
            for batch in _batches(await self.spool.queue.ids()):
                tally.add(await self._do(action, batch, to))
        return Tally(changed=tally.changed, refused=tally.refused)

    async def _do(self, action: Action, ids: Sequence[int], to: str | None) -> Acted:
        queue = self.spool.queue
        match action:
            case Action.RETRY:
                return await queue.retry(ids)
            case Action.HOLD:
                return await queue.hold(ids)
            case Action.DELETE:
                return await queue.delete(ids)
            case Action.REROUTE:
                return await queue.reroute(ids, to or "")
            case Action.RELEASE:
                return await queue.release(ids)
            case _:
                assert_never(action)

    async def _views(self, ids: Sequence[int], tally: Tally) -> list[MessageView]:
        views = []
        for number in ids:
            if (message := await self.spool.queue.show(number)) is None:
                tally.unknown.append(id_text(number))
            else:
                views.append(message)
        return views

    async def _release(
        self, messages: Sequence[MessageView], tally: Tally, held_for: HeldFor | None = None
    ) -> None:
        """What is held goes to the smarthost that the routes of now say; a sandbox's stays."""
        blocked = await self.blocked()
        free: list[MessageView] = []
        for message in messages:
            if any(each.held_for is HeldFor.SANDBOX for each in message.recipients):
                tally.refused.append(id_text(message.id))
            else:
                free.append(message)
        moves = [move for message in free for move in self._moves(message, blocked)]
        if moves:
            await self.spool.queue.relane(moves)
        if free:
            tally.add(await self.spool.queue.release([each.id for each in free], held_for))

    def _moves(
        self, message: MessageView, blocked: frozenset[str]
    ) -> Iterator[tuple[int, int, str]]:
        for position, recipient in enumerate(message.recipients):
            if recipient.state is not State.HELD or recipient.pinned is not None:
                continue
            path = find_path(self.config, message.client, message.sender or None, recipient.address)
            lane = choose_lane(path, blocked)
            if lane != recipient.lane:
                yield message.id, position, lane

    async def blocked(self) -> frozenset[str]:
        """The smarthosts that take nothing now."""
        lanes = await self.spool.ledger.lanes()
        return frozenset(
            lane.name
            for lane in lanes.values()
            if lane.block and (lane.block.until is None or lane.block.until > self.now)
        )

    def _smarthost(self, name: str | None) -> str:
        known = [smarthost.name for smarthost in self.config.smarthosts]
        if name in known:
            return str(name)
        names = ", ".join(known) or "-"
        raise Declined(
            f"er is geen smarthost {name or '?'}; kies met --to uit: {names}",
            f"there is no smarthost {name or '?'}; choose with --to from: {names}",
        )


def _batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), _BATCH):
        yield items[start : start + _BATCH]
