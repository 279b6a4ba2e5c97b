"""A message as it leaves: its header edited by the sender policy, its body untouched."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from relay.config.model import Config, SenderPolicy, Smarthost
from relay.delivery.reports import null_path
from relay.delivery.route import find_path, sender_policy
from relay.message import headers
from relay.message.policy import apply
from relay.smarthost.transaction import Outgoing
from relay.spool.model import Claim, QueuedRecipient
from relay.spool.protocol import Queue


@dataclass(frozen=True, slots=True)
class Batch:
    """Recipients who share a transaction: one sender policy, at most `max_recipients`."""

    policy: SenderPolicy
    recipients: tuple[QueuedRecipient, ...]


@dataclass(frozen=True, slots=True)
class Loaded:
    """The header block of a stored message and what followed it in the first piece."""

    header: bytes
    rest: bytes


def batches(config: Config, claim: Claim, smarthost: Smarthost) -> tuple[Batch, ...]:
    """How the claim's recipients are divided over transactions."""
    groups: dict[SenderPolicy, list[QueuedRecipient]] = {}
    for queued in claim.recipients:
        path = find_path(
            config, claim.client, claim.envelope.reverse_path, queued.recipient.address
        )
        policy = sender_policy(config, claim.client, path, smarthost.name)
        groups.setdefault(policy, []).append(queued)
    most = smarthost.max_recipients
    return tuple(
        Batch(policy, tuple(members[start : start + most]))
        for policy, members in groups.items()
        for start in range(0, len(members), most)
    )


async def load(queue: Queue, message: int) -> Loaded | None:
    """The first piece of a message; None if its bytes are gone."""
    async for piece in queue.body(message):
        return Loaded(*headers.split(piece))
    return None


def address_message(
    config: Config, claim: Claim, batch: Batch, smarthost: Smarthost, loaded: Loaded
) -> tuple[Outgoing, bytes]:
    """The envelope and the header block with which a batch leaves."""
    envelope = claim.envelope
    if claim.is_dsn:
        header, reverse_path = loaded.header, envelope.reverse_path
    else:
        rewritten = apply(
            loaded.header, envelope.reverse_path, batch.policy, smarthost.allowed_senders
        )
        header, reverse_path = rewritten.header, rewritten.reverse_path
    return (
        Outgoing(
            reverse_path=reverse_path or null_path(config, smarthost),
            recipients=tuple(queued.recipient for queued in batch.recipients),
            size_bytes=claim.bytes - len(loaded.header) + len(header),
            body_8bit=envelope.body_8bit,
            smtputf8=envelope.smtputf8,
            ret=envelope.ret,
            envid=envelope.envid,
        ),
        header,
    )


async def wire_body(
    queue: Queue, message: int, header: bytes, loaded: Loaded
) -> AsyncIterator[bytes]:
    """The bytes to send: the edited header, then the stored rest piece by piece."""
    yield header + loaded.rest
    first = True
    async for piece in queue.body(message):
        if not first:
            yield piece
        first = False
