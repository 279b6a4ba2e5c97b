"""Direct mode: clients that wait for the smarthost's own verdict on the message they handed over.

A client that has no reply yet still answers for its message. So what is refused while it waits is
not reported to it by mail: the refusal is its reply. Such a report is owed until the client has
heard 5yz; for any other reply it must be in the spool first.

Settlement and time-out race in one event loop. Whichever comes first decides who tells the
client: a settlement that was handed over leaves its report to the reply, one that comes after
`withdraw` carries it as always.
"""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from presets.reply import Reply
from presets.verdict import Phase
from relay.config.model import Smarthost
from relay.delivery.reports import Report
from relay.delivery.settling import Attempted
from relay.envelope import Origin
from relay.spool.model import NewMessage, Settlement, State


class Ending(StrEnum):
    """What the client is told of its message as a whole. BCC copies do not count."""

    DELIVERED = "delivered"
    """The smarthost took it for every recipient."""
    PARTLY = "partly"
    """Taken for some, refused for others."""
    REFUSED = "refused"
    """Refused for every recipient, and recorded as failed."""
    HELD = "held"
    """Kept, until somebody acts."""
    QUEUED = "queued"
    """Kept, and tried again: refused for now, or not decided in time."""
    UNRECORDED = "unrecorded"
    """Refused for every recipient, and the disk could not record it: nothing is promised."""


@dataclass(frozen=True, slots=True)
class Word:
    """What became of one recipient, in the smarthost's words."""

    address: str
    state: State
    reply: Reply | None
    phase: Phase
    smarthost: Smarthost
    said_here: bool = False
    """The reply is the relay's own, by what the smarthost offers."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The end of a wait. `owed` reports go into the spool unless the client hears REFUSED."""

    ending: Ending
    words: tuple[Word, ...]
    owed: tuple[Report, ...]


class Waiting:
    """One client that waits; `lanes` are those that its recipients are in."""

    def __init__(self, registry: "Waiters", message: NewMessage) -> None:
        pairs = zip(message.envelope.recipients, message.placements, strict=True)
        named = {n: place.lane for n, (who, place) in enumerate(pairs) if _is_named(who.origin)}
        self.message = message.id
        self.lanes = frozenset(named.values())
        self.named = frozenset(named)
        self._registry = registry
        self._words: dict[int, Word] = {}
        self._owed: list[Report] = []
        self._recording = 0  # settlements that leave their report to the reply
        self._unrecorded = False
        self._enough = asyncio.Event()
        self._recorded = asyncio.Event()

    async def verdict(self, seconds: float) -> Verdict:
        """The smarthost's, or that it is queued: after `seconds`, or when `stop` is called.

        A refusal that is being recorded by then is waited for.
        """
        try:
            async with asyncio.timeout(seconds):
                await self._enough.wait()
        except TimeoutError:
            pass
        finally:
            self.withdraw()
        while self._recording:
            self._recorded.clear()
            await self._recorded.wait()
        return self.judge()

    def stop(self) -> None:
        """Wait no longer."""
        self._enough.set()

    def withdraw(self) -> None:
        """From now on what is settled carries its own report."""
        self._registry.forget(self)

    def judge(self) -> Verdict:
        """The verdict by what is known; final after `withdraw` when nothing is being recorded."""
        words = tuple(self._words[position] for position in sorted(self._words))
        return Verdict(self._ending({word.state for word in words}), words, tuple(self._owed))

    def _ending(self, states: set[State]) -> Ending:
        if self._unrecorded:
            return Ending.UNRECORDED
        if State.HELD in states:
            return Ending.HELD
        if not self._complete or State.QUEUED in states:
            return Ending.QUEUED
        if states == {State.FAILED}:
            return Ending.REFUSED
        return Ending.DELIVERED if states == {State.DELIVERED} else Ending.PARTLY

    @property
    def recording(self) -> bool:
        """A refusal is on its way to the disk without its report."""
        return self._recording > 0

    @property
    def _complete(self) -> bool:
        return self._words.keys() == self.named

    # --- The courier's side, through Handover ---

    def may_refuse(self, words: Collection[Word]) -> bool:
        """With these it may still come to a refusal for all."""
        every = [*self._words.values(), *words]
        return bool(words) and all(word.state is State.FAILED for word in every)

    def begin_recording(self) -> None:
        self._recording += 1

    def end_recording(self, owed: Sequence[Report], *, trouble: bool) -> None:
        self._recording -= 1
        self._owed += owed
        self._unrecorded = self._unrecorded or trouble
        self._recorded.set()
        if trouble:
            self.stop()

    def note(self, words: dict[int, Word]) -> None:
        """These are on disk. Enough is known once no further one can change the reply."""
        self._words = words | self._words  # what was said first, the client may have heard
        kept = any(word.state in (State.QUEUED, State.HELD) for word in words.values())
        if kept or self._complete:
            self.stop()


class Waiters:
    """The clients that wait, by message. As many as there are connections, at most."""

    def __init__(self) -> None:
        self._waiting: dict[int, Waiting] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def expect(self, message: NewMessage) -> Waiting:
        """Its client waits. To be called before the message can be claimed."""
        waiting = self._waiting[message.id] = Waiting(self, message)
        return waiting

    def forget(self, waiting: Waiting) -> None:
        self._waiting.pop(waiting.message, None)

    def release(self, lanes: Collection[str]) -> None:
        """Nothing leaves by these lanes for now: who waits for one waits in vain."""
        for waiting in list(self._waiting.values()):
            if not waiting.lanes.isdisjoint(lanes):
                waiting.stop()

    def hand_over(
        self, attempted: Attempted, settlement: Settlement, smarthost: Smarthost
    ) -> "Handover":
        """A settlement about to be recorded, for the client that waits for it, if any does."""
        waiting = self._waiting.get(settlement.claim.message)
        if waiting is None:
            return Handover(settlement)
        words = _words(waiting.named, attempted, settlement, smarthost)
        return Handover(settlement, waiting, words)


class Handover:
    """A settlement on its way to the disk. `settlement` is what to record, at each try anew."""

    def __init__(
        self,
        settlement: Settlement,
        waiting: Waiting | None = None,
        words: dict[int, Word] | None = None,
    ) -> None:
        self.settlement = settlement
        self._whole = settlement
        self._waiting = waiting
        self._words = words or {}
        self._refusing = waiting is not None and waiting.may_refuse(self._words.values())
        if self._refusing and waiting is not None:
            # Of these recipients every one failed: all reports there are, are about that.
            self.settlement = replace(settlement, dsns=())
            waiting.begin_recording()

    def recorded(self, settled: bool) -> None:
        """It is on disk; or not `settled`, as the claim was lost, and means nothing."""
        waiting, self._waiting = self._waiting, None
        if waiting is None:
            return
        if self._refusing:
            waiting.end_recording(self._whole.dsns if settled else (), trouble=False)
        if settled:
            waiting.note(self._words)
        else:
            waiting.stop()

    def failed(self) -> None:
        """The disk did not take it; what is tried from now on carries its report."""
        waiting, self._waiting = self._waiting, None
        self.settlement = self._whole
        if waiting is None:
            return
        if self._refusing:
            waiting.end_recording((), trouble=True)
        else:
            waiting.stop()


def _is_named(origin: Origin) -> bool:
    return origin is not Origin.BCC


def _words(
    named: frozenset[int], attempted: Attempted, settlement: Settlement, smarthost: Smarthost
) -> dict[int, Word]:
    """By position. Who is left over for a later attempt is queued."""
    fates = {queued.position: fate for queued, fate in attempted.fates}
    results = {result.position: result for result in settlement.results}
    words = {}
    for queued in settlement.claim.recipients:
        position, address = queued.position, queued.recipient.address
        result, fate = results.get(position), fates.get(position)
        if position not in named:
            continue
        if result is None or fate is None:
            words[position] = Word(address, State.QUEUED, None, Phase.MAIL, smarthost)
            continue
        local = fate.cause == "local"
        words[position] = Word(address, result.state, result.reply, fate.phase, smarthost, local)
    return words
