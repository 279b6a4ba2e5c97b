"""One message, one connection: send it, judge what came back, record it."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from presets.reply import Reply
from presets.verdict import Phase
from relay.config.model import Config, Smarthost
from relay.delivery.outcome import Blame, Fate, Judgement, judge_transcript
from relay.delivery.outgoing import Batch, Loaded, address_message, batches, load, wire_body
from relay.delivery.reports import Original, Reporter
from relay.delivery.settling import Attempted, settle_attempt, untouched
from relay.monitor import mail_log
from relay.smarthost.connect import STANDARD_TIMEOUTS, ConnectFailure, Connection, Timeouts
from relay.smarthost.transaction import Outgoing, transact
from relay.spool.errors import SpoolError
from relay.spool.model import Claim, Outcome, QueuedRecipient, Settlement
from relay.spool.protocol import Spool

log = logging.getLogger(__name__)

_POISON_FAULTS = 3
_FULL_BODY_BYTES = 100_000  # of an original that a report returns whole


@dataclass(slots=True)
class Courier:
    """Attempts messages. `config` is swapped by a reload; each attempt takes the one in force."""

    config: Config
    spool: Spool
    clock: Callable[[], datetime]
    chance: Callable[[], float]
    timeouts: Timeouts = STANDARD_TIMEOUTS
    faults: dict[int, int] = field(default_factory=dict)
    """Own faults by message, to take one aside that always provokes one."""

    async def deliver(
        self, connection: Connection, claim: Claim, smarthost: Smarthost
    ) -> Judgement:
        """Attempt a claim and settle it; what the judgement blames is the caller's to heed."""
        began = time.monotonic()
        try:
            attempted, original, judgement = await self._attempt(connection, claim, smarthost)
        except Exception as error:  # noqa: BLE001 - one message must not end the lane
            connection.exchange.abort("fault")
            return await self._fault(claim, smarthost, error, time.monotonic() - began)
        await self._settle(attempted, original, smarthost)
        self.faults.pop(claim.message, None)
        return judgement

    async def give_back(
        self, claim: Claim, smarthost: Smarthost, failure: ConnectFailure, blame: Blame
    ) -> None:
        """Settle a claim for which there was no connection: nothing of it counts."""
        fates = untouched(claim, failure.reply, failure.phase, blame, failure.cause)
        attempted = Attempted(claim, fates, self.clock(), 0.0, failure.address)
        await self._settle(attempted, None, smarthost)

    async def _attempt(
        self, connection: Connection, claim: Claim, smarthost: Smarthost
    ) -> tuple[Attempted, Original | None, Judgement]:
        began = time.monotonic()
        loaded = await load(self.spool.queue, claim.message)
        fates: list[tuple[QueuedRecipient, Fate]] = []
        judgement = Judgement(())
        if loaded is None:
            raise SpoolError(f"message {claim.message} has no body")
        for batch in batches(self.config, claim, smarthost):
            if judgement.drop or judgement.worst is not None or not connection.exchange.usable:
                fates += [(queued, _left_over(judgement)) for queued in batch.recipients]
                continue
            judgement = await self._send(connection, claim, batch, smarthost, loaded)
            fates += zip(batch.recipients, judgement.fates, strict=True)
        attempted = Attempted(
            claim=claim,
            fates=fates,
            at=self.clock(),
            seconds=time.monotonic() - began,
            address=connection.address,
            relayed_without_dsn=not connection.capabilities.dsn,
        )
        original = await self._original(claim, loaded)
        return attempted, original, Judgement(tuple(f for _, f in fates), judgement.drop)

    async def _send(
        self,
        connection: Connection,
        claim: Claim,
        batch: Batch,
        smarthost: Smarthost,
        loaded: Loaded,
    ) -> Judgement:
        outgoing, header = address_message(self.config, claim, batch, smarthost, loaded)
        refusal = _local_refusal(outgoing, connection)
        if refusal is not None:
            fate = Fate(Outcome.FAILED, Phase.MAIL, refusal, cause="local")
            return Judgement((fate,) * len(batch.recipients))
        body = wire_body(self.spool.queue, claim.message, header, loaded)
        transcript = await transact(connection, outgoing, body, self.timeouts)
        judgement = judge_transcript(transcript, len(batch.recipients), smarthost.preset)
        if judgement.drop:
            connection.exchange.abort("the server's replies are out of order")
        return judgement

    async def _original(self, claim: Claim, loaded: Loaded) -> Original:
        """What a report returns of the message: its header, or all of it where asked."""
        body = None
        if claim.envelope.ret == "FULL" and claim.bytes <= _FULL_BODY_BYTES:
            body = loaded.rest
        return Original(claim, loaded.header, body)

    async def _fault(
        self, claim: Claim, smarthost: Smarthost, error: Exception, seconds: float
    ) -> Judgement:
        """A fault of ours: the message waits; one that always provokes it is held."""
        log.error("fault while delivering %s", claim.message, exc_info=error)
        count = self.faults[claim.message] = self.faults.get(claim.message, 0) + 1
        poison = count >= _POISON_FAULTS
        fate = Fate(
            Outcome.HELD if poison else Outcome.DEFERRED,
            Phase.MAIL,
            Reply(451, "4.3.0", f"fault in the relay: {type(error).__name__}"),
            Blame.NOBODY if poison else Blame.MESSAGE,
            "poison" if poison else "fault",
        )
        fates = [(queued, fate) for queued in claim.recipients]
        await self._settle(Attempted(claim, fates, self.clock(), seconds, None), None, smarthost)
        return Judgement(())

    async def _settle(
        self, attempted: Attempted, original: Original | None, smarthost: Smarthost
    ) -> None:
        """Record an attempt. While the disk refuses, only the record is tried again, not the mail."""
        reporter = Reporter(self.config, self.spool.queue.new_id, smarthost)
        settlement = settle_attempt(attempted, original, reporter, self.config, self.chance())
        pause = 1.0
        while True:
            try:
                await self.spool.queue.settle(settlement)
                break
            except SpoolError as error:
                mail_log.alert("outcome-not-recorded", str(error))
                await asyncio.sleep(pause)
                pause = min(pause * 2, 30.0)
        _tell(attempted, settlement, smarthost)


def _left_over(judgement: Judgement) -> Fate:
    """The fate of recipients whose turn never came because the smarthost stopped."""
    worst = judgement.worst
    if worst is not None:
        return Fate(Outcome.DEFERRED, worst.phase, worst.reply, worst.blame, worst.cause)
    return Fate(Outcome.DEFERRED, Phase.MAIL, None, Blame.NOBODY, "connection-lost")


def _local_refusal(outgoing: Outgoing, connection: Connection) -> Reply | None:
    """What this server cannot take, known before anything is sent."""
    limit = connection.capabilities.size_bytes
    if limit is not None and outgoing.size_bytes > limit:
        return Reply(552, "5.3.4", f"larger than the {limit} bytes that the smarthost takes")
    addresses = [outgoing.reverse_path or "", *(each.address for each in outgoing.recipients)]
    if not connection.capabilities.smtputf8 and not all(map(str.isascii, addresses)):
        return Reply(553, "5.6.7", "the smarthost takes no address with non-ASCII letters")
    return None


def _tell(attempted: Attempted, settlement: Settlement, smarthost: Smarthost) -> None:
    claim, name = attempted.claim, smarthost.name
    by_position = {queued.position: queued.recipient.address for queued in claim.recipients}
    for record in settlement.attempts:
        who = [by_position[position] for position in record.recipients]
        mail_log.attempt(
            claim.message,
            smarthost=name,
            address=record.address,
            phase=record.phase,
            seconds=record.seconds,
        )
        if record.outcome is Outcome.DELIVERED:
            mail_log.delivered(claim.message, name, who, record.reply)
        elif record.outcome is Outcome.DEFERRED:
            mail_log.deferred(
                claim.message,
                name,
                who,
                reply=record.reply,
                in_doubt=record.in_doubt or None,
                until=settlement.due_at.isoformat() if settlement.due_at else None,
            )
        elif record.outcome is Outcome.HELD:
            mail_log.held(claim.message, who, smarthost=name, reply=record.reply)
        else:
            mail_log.failed(claim.message, who, smarthost=name, reply=record.reply)
            if claim.is_dsn:
                mail_log.alert("dsn-undeliverable", str(record.reply), recipients=who)
    for message, _ in settlement.dsns:
        to = message.envelope.recipients[0].address
        kind = "delay" if settlement.warned else "report"
        mail_log.dsn(message.id, claim.message, kind, to)
