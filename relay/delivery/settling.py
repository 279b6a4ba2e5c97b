"""From the fates of an attempt to what the spool records. Pure but for the reports' ids."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from presets.reply import Reply
from presets.verdict import Phase
from relay.config.model import Config
from relay.delivery.outcome import OF_THE_LANE, OF_THE_MESSAGE, Blame, Fate
from relay.delivery.reports import Original, Report, Reporter
from relay.delivery.route import choose_lane, find_path
from relay.delivery.schedule import message_delay, smarthost_delay
from relay.spool.ledger_entry import Usage
from relay.spool.model import (
    AttemptRecord,
    Claim,
    HeldFor,
    Outcome,
    QueuedRecipient,
    RecipientResult,
    Settlement,
    State,
)

Fates = Sequence[tuple[QueuedRecipient, Fate]]


@dataclass(frozen=True, slots=True)
class Attempted:
    """An attempt that has ended. `address` is the smarthost's as dialled."""

    claim: Claim
    fates: Fates
    at: datetime
    seconds: float
    address: str | None
    relayed_without_dsn: bool = False
    usage: Usage | None = None


def settle_attempt(
    attempted: Attempted,
    original: Original | None,
    reporter: Reporter,
    config: Config,
    chance: float,
) -> Settlement:
    """What becomes of each recipient, the next attempt, and the reports.

    `original` is None when the message was not read (no connection): then nothing failed.
    """
    claim, now = attempted.claim, attempted.at
    fates = [(queued, _at_lifetime(fate, claim, now)) for queued, fate in attempted.fates]
    waits = [fate for _, fate in fates if fate.outcome is Outcome.DEFERRED]
    counts = any(fate.blame in OF_THE_MESSAGE for fate in waits)
    reports, warned = _reports(attempted, fates, original, reporter, config)
    return Settlement(
        claim=claim,
        at=now,
        results=tuple(_result(claim, queued, fate, config) for queued, fate in fates),
        attempts=_records(attempted, fates),
        due_at=_due_at(claim, now, waits, chance),
        counts=counts,
        warned=warned,
        dsns=reports,
        usage=attempted.usage,
    )


def _due_at(claim: Claim, now: datetime, waits: Sequence[Fate], chance: float) -> datetime | None:
    """By its own schedule; behind other mail where the lane must wait; else as it was."""
    if any(fate.blame in OF_THE_MESSAGE for fate in waits):
        return now + message_delay(claim.tries + 1, chance)
    # In case it is this message after all that provokes the trouble, what comes while the lane
    # waits goes first.
    after_connecting = (Phase.MAIL, Phase.RCPT, Phase.DATA, Phase.DOT)
    met = any(fate.blame in OF_THE_LANE and fate.phase in after_connecting for fate in waits)
    return now + smarthost_delay(1, 1.0) if met else None


def _at_lifetime(fate: Fate, claim: Claim, now: datetime) -> Fate:
    """A deferral at the end of the message's lifetime: failed, or held where the trouble is ours."""
    if fate.outcome is not Outcome.DEFERRED or now < claim.expires_at:
        return fate
    if fate.blame is Blame.MESSAGE:
        text = f"lifetime over; last reply: {fate.reply}" if fate.reply else "lifetime over"
        return Fate(Outcome.FAILED, fate.phase, Reply(554, "5.4.7", text), cause="lifetime")
    return replace(fate, outcome=Outcome.HELD, blame=Blame.NOBODY, cause="lifetime")


def _result(claim: Claim, queued: QueuedRecipient, fate: Fate, config: Config) -> RecipientResult:
    match fate.outcome:
        case Outcome.DELIVERED:
            return RecipientResult(queued.position, State.DELIVERED, fate.reply)
        case Outcome.FAILED:
            return RecipientResult(queued.position, State.FAILED, fate.reply)
        case Outcome.HELD:
            reasons = {"lifetime": HeldFor.LIFETIME, "poison": HeldFor.POISON}
            reason = reasons.get(fate.cause, HeldFor.SENDER)
            return RecipientResult(queued.position, State.HELD, fate.reply, reason)
        case _:
            lane = _lane(claim, queued, config)
            return RecipientResult(queued.position, State.QUEUED, fate.reply, lane=lane)


def _lane(claim: Claim, queued: QueuedRecipient, config: Config) -> str:
    """Where it waits from now on: a reload during the attempt may have changed the routes."""
    names = {smarthost.name for smarthost in config.smarthosts}
    if queued.pinned in names:
        return str(queued.pinned)
    sender, address = claim.envelope.reverse_path, queued.recipient.address
    path = find_path(config, claim.client, sender, address)
    return claim.lane if claim.lane in path.smarthosts else choose_lane(path, ())


def _records(attempted: Attempted, fates: Fates) -> tuple[AttemptRecord, ...]:
    """One record for each group of recipients that shared a fate."""
    groups: dict[Fate, list[int]] = {}
    for queued, fate in fates:
        groups.setdefault(fate, []).append(queued.position)
    return tuple(
        AttemptRecord(
            outcome=fate.outcome,
            recipients=tuple(positions),
            phase=fate.phase.value,
            address=attempted.address,
            seconds=attempted.seconds,
            reply=fate.reply,
            in_doubt=fate.in_doubt,
        )
        for fate, positions in groups.items()
    )


def _reports(
    attempted: Attempted,
    fates: Fates,
    original: Original | None,
    reporter: Reporter,
    config: Config,
) -> tuple[tuple[Report, ...], bool]:
    """The reports, and whether the delay warning is among them."""
    if original is None:
        return (), False
    claim, now = attempted.claim, attempted.at
    pairs = [(queued.recipient, fate) for queued, fate in fates]
    failed = [pair for pair in pairs if pair[1].outcome is Outcome.FAILED]
    found = [reporter.failure(original, failed, now)] if failed else []
    if attempted.relayed_without_dsn:
        done = [pair for pair in pairs if pair[1].outcome is Outcome.DELIVERED]
        found.append(reporter.relayed(original, done, now))
    warned = False
    late = [
        pair
        for pair in pairs
        if pair[1].outcome is Outcome.DEFERRED and pair[1].blame is Blame.MESSAGE
    ]
    overdue = bool(late) and now - claim.received_at >= config.delivery.warn_after
    if overdue and not claim.warned and not claim.is_dsn:
        found.append(reporter.delay(original, late, now))
        warned = True
    return tuple(report for report in found if report is not None), warned
