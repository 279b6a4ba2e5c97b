"""Mail of days gone by in a spool, for tests of statistics and of searches."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from relay.envelope import Envelope, Recipient
from relay.spool.model import (
    AttemptRecord,
    HeldFor,
    NewMessage,
    Outcome,
    Placement,
    RecipientResult,
    Settlement,
    State,
)
from relay.spool.protocol import Spool

BODY = b"Subject: Factuur\r\n\r\nhallo\r\n"

OUTCOMES = {State.DELIVERED: Outcome.DELIVERED, State.FAILED: Outcome.FAILED}


@dataclass(frozen=True, slots=True)
class Mail:
    """A message, and what became of it after a second; QUEUED: nothing yet."""

    at: datetime
    ends: State = State.DELIVERED
    client: str = "kassa"
    sender: str = "info@mijnbakkerij.nl"
    recipients: tuple[str, ...] = ("een@example.net",)
    lane: str = "isp"
    subject: str | None = None
    is_dsn: bool = False


async def put(spool: Spool, mail: Mail) -> int:
    """Accept the message and settle it; its id."""
    number = spool.queue.new_id()
    writer = spool.queue.body_writer(number)
    await writer.write(BODY)
    held_for = HeldFor.OPERATOR if mail.ends is State.HELD else None
    message = NewMessage(
        id=number,
        received_at=mail.at,
        expires_at=mail.at + timedelta(days=5),
        client=mail.client,
        client_address="192.168.1.20",
        envelope=Envelope(mail.sender, tuple(map(Recipient, mail.recipients))),
        placements=(Placement(mail.lane, held_for),) * len(mail.recipients),
        message_id=f"<{number}@relay.test>",
        subject=mail.subject,
        is_dsn=mail.is_dsn,
    )
    await spool.queue.accept(message, writer)
    if mail.ends is State.DELETED:
        await spool.queue.delete([number])
    elif mail.ends in OUTCOMES:
        await _settle(spool, number, mail)
    return number


async def _settle(spool: Spool, number: int, mail: Mail) -> None:
    claims = await spool.queue.claim(mail.lane, 1000)
    for claim in claims:
        ends = mail.ends if claim.message == number else State.QUEUED
        positions = tuple(range(len(claim.envelope.recipients)))
        record = AttemptRecord(OUTCOMES.get(ends, Outcome.DEFERRED), positions)
        settlement = Settlement(
            claim=claim,
            at=mail.at + timedelta(seconds=1),
            results=tuple(RecipientResult(position, ends) for position in positions),
            attempts=(record,),
        )
        assert await spool.queue.settle(settlement)
