"""One message, one connection: send it, judge what came back, record it."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from datetime import datetime

from presets.reply import Reply
from presets.verdict import Phase
from relay.config.model import AuthMethod, Config, Smarthost
from relay.delivery.direct import Handover, Waiters
from relay.delivery.errand import Errand
from relay.delivery.outcome import Blame, Fate, Judgement, Server, acquitted, judge_transcript
from relay.delivery.outgoing import (
    Loaded,
    load_claimed,
    wire_body,
)
from relay.delivery.packing import PackedAhead, Packer
from relay.delivery.recording import Recorder, at_last
from relay.delivery.report_pace import ReportPace
from relay.delivery.reports import Original, Reporter
from relay.delivery.settling import Attempted, settle_attempt
from relay.delivery.signing import Signatory, Text
from relay.delivery.telling import tell
from relay.delivery.usage import Allowance, Portions
from relay.smarthost.ahead import Following
from relay.smarthost.connect import STANDARD_TIMEOUTS, ConnectFailure, Connection, Timeouts
from relay.smarthost.transaction import transact
from relay.spool.errors import SpoolError
from relay.spool.ledger_entry import SenderRule
from relay.spool.model import Claim, Outcome, QueuedRecipient, Settlement
from relay.spool.protocol import Spool

log = logging.getLogger(__name__)

_POISON_FAULTS = 3
_MOST_ACCUSED = 1000
_FULL_BODY_BYTES = 100_000  # of an original that a report returns whole


class BodyMissing(Exception):
    """The spool has no bytes of a message that is still to be sent."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """An attempt that has ended; `recording` ends when its outcome is recorded."""

    judgement: Judgement
    recording: asyncio.Task[None] | None = None


@dataclass(slots=True)
class _Run:
    """An attempt as far as it came; what it lacks is left over for another."""

    claim: Claim
    smarthost: Smarthost
    began: float
    address: str | None = None
    fates: list[tuple[QueuedRecipient, Fate]] = field(default_factory=list)
    original: Original | None = None
    allowance: Allowance | None = None
    relayed_without_dsn: bool = False

    def judgement(self) -> Judgement:
        return Judgement(tuple(fate for _, fate in self.fates))

    def leave(self, fate: Fate) -> None:
        """This became of all recipients whose turn never came."""
        done = {queued.position for queued, _ in self.fates}
        self.fates += [(each, fate) for each in self.claim.recipients if each.position not in done]

    def acquit_the_lane(self) -> None:
        self.fates = [(queued, acquitted(fate)) for queued, fate in self.fates]

    def attempted(self, at: datetime) -> Attempted:
        allowance = self.allowance
        return Attempted(
            claim=self.claim,
            fates=self.fates,
            at=at,
            seconds=time.monotonic() - self.began,
            address=self.address,
            relayed_without_dsn=self.relayed_without_dsn,
            usage=None if allowance is None else allowance.usage(),
        )


@dataclass(slots=True)
class Courier:
    """Attempts messages. `config` is swapped by a reload; each attempt takes the one in force."""

    config: Config
    spool: Spool
    recorder: Recorder
    clock: Callable[[], datetime]
    chance: Callable[[], float]
    wake: Callable[[Collection[str]], None]
    """Called with the lanes that got mail by a settlement."""
    timeouts: Timeouts = STANDARD_TIMEOUTS
    waiters: Waiters = field(default_factory=Waiters)
    """The clients that wait for what becomes of their message."""
    sender_rules: tuple[SenderRule, ...] = ()
    """Those adopted in the ledger."""
    faults: dict[int, int] = field(default_factory=dict)
    """Own faults by message, to take one aside that always provokes one."""
    passed: Counter[str] = field(default_factory=Counter)
    """By smarthost, how many messages it has taken or judged."""
    accused: dict[int, int] = field(default_factory=dict)
    """Messages that met trouble of the whole smarthost, with `passed` at that time."""
    signatory: Signatory = field(default_factory=Signatory)
    report_pace: ReportPace = field(default_factory=ReportPace)

    @property
    def paused(self) -> bool:
        """No attempt may begin: what is sent and cannot be recorded is sent again after a crash."""
        return self.recorder.unrecorded > 0 or self.spool.trouble is not None

    async def deliver(
        self,
        connection: Connection,
        errand: Errand,
        smarthost: Smarthost,
        following: Following | None = None,
    ) -> Delivered | None:
        """Attempt a claim, as far as its allowance lets it, and settle it; what the judgement
        blames is the caller's to heed. `following` tells what will be delivered next over this
        connection.

        Where all of it passed, the outcome is still being recorded on return.

        None: nothing was attempted, as the server had ended a connection that was used before.
        Cancelled, or after a fault of ours, the connection is cut and the claim settled.
        """
        claim, allowance = errand.claim, errand.allowance
        run = _Run(claim, smarthost, time.monotonic(), connection.address, allowance=allowance)
        try:
            if not await self._attempt(run, connection, errand, following):
                return None
        except BaseException as error:
            in_doubt = connection.dot_sent
            allowance.interrupted(in_doubt=in_doubt)
            connection.exchange.abort("given up")
            await self._give_up(run, error, in_doubt)
            if not isinstance(error, Exception):
                raise
            return Delivered(Judgement(()))
        judgement = self._weighed(run)
        self.faults.pop(claim.message, None)
        if all(fate.outcome is Outcome.DELIVERED for fate in judgement.fates):
            settling = self._settle_meanwhile(run, *self._handed_over(run))
            return Delivered(judgement, asyncio.create_task(settling))
        await self._settle(run)
        return Delivered(judgement)

    async def give_back(
        self, claim: Claim, smarthost: Smarthost, failure: ConnectFailure, blame: Blame
    ) -> None:
        """Settle a claim for which there was no connection: nothing of it counts."""
        run = _Run(claim, smarthost, time.monotonic(), failure.address)
        # Without a reply the reason itself is kept: "certificate: self-signed", "Connection refused".
        reply = failure.reply or Reply.of(0, [failure.detail])
        run.leave(Fate(Outcome.DEFERRED, failure.phase, reply, blame, failure.cause))
        await self._settle(run)

    async def give_up(self, claim: Claim, smarthost: Smarthost, error: BaseException) -> None:
        """Settle a claim that was not attempted after all, because of `error`."""
        await self._give_up(_Run(claim, smarthost, time.monotonic()), error, in_doubt=False)

    async def pack_ahead(
        self, claim: Claim, smarthost: Smarthost, connection: Connection
    ) -> PackedAhead | None:
        """A claim as it would leave over `connection`; see `relay.delivery.packing.Packer`."""
        queue, offered = self.spool.queue, connection.capabilities
        return await self._packer(smarthost).pack_ahead(queue, claim, offered)

    def _packer(self, smarthost: Smarthost) -> Packer:
        return Packer(self.config, smarthost, self.sender_rules, self.signatory, self.clock)

    async def _attempt(
        self, run: _Run, connection: Connection, errand: Errand, following: Following | None
    ) -> bool:
        """Every batch in its turn; False if the connection turned out to have ended before."""
        claim, allowance, packer = run.claim, errand.allowance, self._packer(run.smarthost)
        loaded = await load_claimed(self.spool.queue, claim)
        if loaded is None:
            raise BodyMissing(str(claim.message))
        run.relayed_without_dsn = not connection.capabilities.dsn
        run.original = _original(claim, loaded)
        text = Text(self.spool.queue, claim, loaded)
        divided = packer.divide(claim)
        portions = Portions(divided, allowance)
        number = 0
        while (batch := await portions.next()) is not None:
            number += 1
            if run.fates and (run.judgement().worst or not connection.exchange.usable):
                break
            if errand.packed is not None and errand.packed.fits(claim, batch, packer):
                packed = errand.packed.packed
            else:
                packed = await packer.pack(text, batch, connection.capabilities)
            run.fates += packed.refused
            sent = packed.sent
            if not sent:
                continue
            was_used = connection.used > 0
            body = wire_body(self.spool.queue, claim, packed.header, loaded)
            next_after = following if batch is divided[-1] else None
            transcript = await transact(
                connection, packed.outgoing, body, self.timeouts, next_after
            )
            server = Server(run.smarthost.preset, run.smarthost.auth is not AuthMethod.NONE)
            judgement = judge_transcript(transcript, len(sent), server)
            if was_used and transcript.never_began and not judgement.too_much:
                connection.exchange.abort("ended by the server")
                if number == 1:
                    return False
                break
            allowance.count(transcript, judgement)
            run.fates += zip(sent, judgement.fates, strict=True)
            if judgement.drop:
                connection.exchange.abort("the server's replies are out of order")
        judgement, some_left = run.judgement(), len(run.fates) < len(claim.recipients)
        may_wait = allowance.short and not judgement.worst and connection.exchange.usable
        if some_left and not may_wait:
            run.leave(_left_over(judgement))
        return True

    def _weighed(self, run: _Run) -> Judgement:
        """Acquit a smarthost that passes other mail while this message meets trouble again.

        A reply about one recipient can read like one about us. It must not stop all others.
        """
        message, name = run.claim.message, run.smarthost.name
        judgement = run.judgement()
        if judgement.worst is None:
            self.accused.pop(message, None)
            self.passed[name] += judgement.passes
            return judgement
        if self.accused.setdefault(message, self.passed[name]) < self.passed[name]:
            run.acquit_the_lane()
        while len(self.accused) > _MOST_ACCUSED:
            del self.accused[next(iter(self.accused))]
        return run.judgement()

    async def _give_up(self, run: _Run, error: BaseException, in_doubt: bool) -> None:
        """Settle what an attempt came to that ended in the middle."""
        message, phase = run.claim.message, Phase.DOT if in_doubt else Phase.MAIL
        if not isinstance(error, Exception):
            cause = "interrupted"
            run.leave(Fate(Outcome.INTERRUPTED, phase, None, cause=cause, in_doubt=in_doubt))
        else:
            log.error("fault while delivering %s", message, exc_info=error)
            reply = Reply(451, "4.3.0", f"fault in the relay: {type(error).__name__}")
            if run.address is not None and self._is_poison(message, error):
                run.leave(Fate(Outcome.HELD, phase, reply, cause="poison", in_doubt=in_doubt))
            else:
                fate = Fate(Outcome.DEFERRED, phase, reply, Blame.UNSURE, "fault", in_doubt)
                run.leave(fate)
        await self._settle(run)

    def _is_poison(self, message: int, error: Exception) -> bool:
        """True from the third fault on; a spool that cannot be read is no fault of a message."""
        if isinstance(error, SpoolError):
            return False
        self.faults[message] = self.faults.get(message, 0) + 1
        return self.faults[message] >= _POISON_FAULTS

    async def _settle(self, run: _Run) -> None:
        """Record an attempt as it stands now, and let a client that waits for it know.

        Cancelled, it is recorded still, unless the disk does not take it.
        """
        attempted, handover = self._handed_over(run)
        recording = asyncio.create_task(self.recorder.record(handover))
        cancelled: asyncio.CancelledError | None = None
        try:
            settled = await asyncio.shield(recording)
        except asyncio.CancelledError as error:
            cancelled = error
            settled = await at_last(recording) is True
        except BaseException:
            handover.failed()
            raise
        if cancelled is None or settled:
            self._recorded(run, attempted, handover, settled)
        else:
            handover.failed()
        if cancelled is not None:
            raise cancelled

    async def _settle_meanwhile(self, run: _Run, attempted: Attempted, handover: Handover) -> None:
        """The same in a task of its own, which `seen_through` ends where it takes too long."""
        try:
            settled = await self.recorder.record(handover)
        except BaseException:
            handover.failed()
            raise
        self._recorded(run, attempted, handover, settled)

    def _handed_over(self, run: _Run) -> tuple[Attempted, Handover]:
        attempted, settlement = self._settlement(run)
        return attempted, self.waiters.hand_over(attempted, settlement, run.smarthost)

    def _recorded(self, run: _Run, attempted: Attempted, handover: Handover, settled: bool) -> None:
        settlement = handover.settlement
        handover.recorded(settled)
        if settled:
            lanes = {each.lane for each in settlement.results if each.lane is not None}
            for message, _ in settlement.dsns:
                lanes |= {each.lane for each in message.placements}
            lanes.discard(run.claim.lane)  # whose worker looks by itself
            if lanes:
                self.wake(lanes)
            tell(attempted, settlement, run.smarthost, self.config.language)

    def _settlement(self, run: _Run) -> tuple[Attempted, Settlement]:
        """What to record. A fault in writing a report holds what would have failed unreported."""
        reporter = Reporter(self.config, self.spool.queue.new_id, run.smarthost, self.report_pace)
        attempted = run.attempted(self.clock())
        try:
            settlement = settle_attempt(
                attempted, run.original, reporter, self.config, self.chance()
            )
        except Exception as error:
            log.exception("fault while reporting on %s", run.claim.message, exc_info=error)
            attempted = replace(attempted, fates=list(map(_held_if_failed, run.fates)))
            settlement = settle_attempt(attempted, None, reporter, self.config, self.chance())
        return attempted, settlement


def _original(claim: Claim, loaded: Loaded) -> Original:
    """What a report returns of the message: its header, or all of it where asked."""
    whole = claim.envelope.ret == "FULL" and claim.bytes <= _FULL_BODY_BYTES
    return Original(claim, loaded.header, loaded.rest if whole else None)


def _held_if_failed(pair: tuple[QueuedRecipient, Fate]) -> tuple[QueuedRecipient, Fate]:
    queued, fate = pair
    if fate.outcome is not Outcome.FAILED:
        return pair
    return queued, replace(fate, outcome=Outcome.HELD, cause="poison")


def _left_over(judgement: Judgement) -> Fate:
    """The fate of recipients whose turn never came because the smarthost stopped."""
    worst = judgement.worst
    if worst is not None:
        return Fate(Outcome.DEFERRED, worst.phase, worst.reply, worst.blame, worst.cause)
    return Fate(Outcome.DEFERRED, Phase.MAIL, None, Blame.NOBODY, "connection-lost")
