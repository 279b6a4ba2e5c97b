"""What the mail log says of an attempt that has been settled."""

from presets.explain import explain
from relay.config.model import Language, Smarthost
from relay.delivery.outcome import Fate
from relay.delivery.settling import Attempted
from relay.monitor import mail_log
from relay.spool.model import HeldFor, Outcome, Settlement


def tell(
    attempted: Attempted, settlement: Settlement, smarthost: Smarthost, language: Language
) -> None:
    """The events of one attempt, each refusal with what it means."""
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
            continue
        fates = {queued.position: fate for queued, fate in attempted.fates}
        reasons = {result.position: result.held_for for result in settlement.results}
        why = _why(fates[record.recipients[0]], smarthost, language)
        if record.outcome in (Outcome.DEFERRED, Outcome.INTERRUPTED):
            mail_log.deferred(
                claim.message,
                name,
                who,
                reply=record.reply,
                in_doubt=record.in_doubt or None,
                until=settlement.due_at.isoformat() if settlement.due_at else None,
                **why,
            )
        elif record.outcome is Outcome.HELD:
            mail_log.held(claim.message, who, smarthost=name, reply=record.reply, **why)
            if HeldFor.LIFETIME in {reasons[position] for position in record.recipients}:
                mail_log.alert(
                    "lifetime", "a message is past its lifetime and held", recipients=who
                )
        else:
            mail_log.failed(claim.message, who, smarthost=name, reply=record.reply, **why)
            if claim.is_dsn:
                mail_log.alert("dsn-undeliverable", str(record.reply), recipients=who)
    for message, _ in settlement.dsns:
        to = message.envelope.recipients[0].address
        kind = "delay" if settlement.warned else "report"
        mail_log.dsn(message.id, claim.message, kind, to)


def _why(fate: Fate, smarthost: Smarthost, language: Language) -> dict[str, str | None]:
    """The cause, and in the reader's language what the reply means."""
    meaning = None
    if fate.reply is not None:
        meaning = explain(
            fate.reply, provider=smarthost.preset, phase=fate.phase, language=language
        ).meaning
    return {"cause": fate.cause or None, "meaning": meaning}
