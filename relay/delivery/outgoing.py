"""A message as it leaves: its header edited by the sender policy, its body untouched."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace

from presets.reply import Reply
from presets.verdict import Phase
from relay.config.model import Config, SenderPolicy, Smarthost
from relay.delivery.outcome import Fate
from relay.delivery.route import find_path, sender_policy
from relay.delivery.sender_rule import SenderSettings, leave
from relay.message import headers
from relay.smarthost.capabilities import Capabilities
from relay.smarthost.wire import Outgoing
from relay.spool.ledger_entry import SenderRule
from relay.spool.model import Claim, Outcome, QueuedRecipient
from relay.spool.protocol import Queue


@dataclass(frozen=True, slots=True)
class Batch:
    """Recipients who share a transaction: one sender policy, at most `max_recipients`."""

    policy: SenderPolicy
    recipients: tuple[QueuedRecipient, ...]
    rules: Sequence[SenderRule] = ()


@dataclass(frozen=True, slots=True)
class Loaded:
    """The header block of a stored message and what followed it in the first piece."""

    header: bytes
    rest: bytes

    def is_all_of(self, claim: Claim) -> bool:
        """The message has no further piece."""
        return len(self.header) + len(self.rest) >= claim.bytes


def batches(
    config: Config, claim: Claim, smarthost: Smarthost, rules: Sequence[SenderRule] = ()
) -> tuple[Batch, ...]:
    """How the claim's recipients are divided over transactions; `rules` are the adopted ones."""
    groups: dict[SenderPolicy, list[QueuedRecipient]] = {}
    for queued in claim.recipients:
        path = find_path(
            config, claim.client, claim.envelope.reverse_path, queued.recipient.address
        )
        policy = sender_policy(config, claim.client, path, smarthost.name)
        groups.setdefault(policy, []).append(queued)
    most = smarthost.max_recipients
    return tuple(
        Batch(policy, tuple(members[start : start + most]), rules)
        for policy, members in groups.items()
        for start in range(0, len(members), most)
    )


async def load_claimed(queue: Queue, claim: Claim) -> Loaded | None:
    """The first piece of a claimed message; None if its bytes are gone."""
    if claim.body is not None:
        return Loaded(*headers.split(claim.body))
    return await load(queue, claim.message)


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
    policy = SenderPolicy() if claim.is_dsn else batch.policy
    settings = SenderSettings(config, policy, batch.rules)
    leaving = leave(settings, smarthost, loaded.header, envelope.reverse_path)
    header, reverse_path = leaving.header, leaving.reverse_path
    return (
        Outgoing(
            reverse_path=reverse_path,
            recipients=tuple(queued.recipient for queued in batch.recipients),
            size_bytes=claim.bytes - len(loaded.header) + len(header),
            body_8bit=envelope.body_8bit,
            # The sender policy may have brought in an address that the client did not declare.
            smtputf8=envelope.smtputf8 or not (reverse_path or "").isascii(),
            ret=envelope.ret,
            envid=envelope.envid,
        ),
        header,
    )


async def wire_body(
    queue: Queue, claim: Claim, header: bytes, loaded: Loaded
) -> AsyncIterator[bytes]:
    """The bytes to send: the edited header, then the stored rest piece by piece."""
    yield header + loaded.rest
    if not loaded.is_all_of(claim):
        async for piece in _further_pieces(queue, claim):
            yield piece


async def stored_rest(queue: Queue, claim: Claim, loaded: Loaded) -> AsyncIterator[bytes]:
    """What follows the header block, piece by piece; one piece at a time is in memory."""
    yield loaded.rest
    if not loaded.is_all_of(claim):
        async for piece in _further_pieces(queue, claim):
            yield piece


async def _further_pieces(queue: Queue, claim: Claim) -> AsyncIterator[bytes]:
    first = True
    async for piece in queue.body(claim.message):
        if not first:
            yield piece
        first = False


def with_signature(outgoing: Outgoing, header: bytes, signature: bytes) -> tuple[Outgoing, bytes]:
    """The same with a DKIM-Signature on top; what was empty changes nothing."""
    if not signature:
        return outgoing, header
    size_bytes = outgoing.size_bytes + len(signature)
    return replace(outgoing, size_bytes=size_bytes), signature + header


def refused_here(
    outgoing: Outgoing, batch: Batch, capabilities: Capabilities
) -> tuple[list[tuple[QueuedRecipient, Fate]], Outgoing, tuple[QueuedRecipient, ...]]:
    """What this server cannot take, known before anything is sent; the envelope of the rest.

    8-bit text goes as it is also to a server without 8BITMIME: nothing is ever re-encoded.
    """
    limit = capabilities.size_bytes
    fits = limit is None or outgoing.size_bytes <= limit
    if fits and (capabilities.smtputf8 or _is_ascii(outgoing)):
        return [], outgoing, batch.recipients
    refused = set[int]()
    reply = Reply(553, "5.6.7", "the smarthost takes no address with non-ASCII letters")
    if limit is not None and outgoing.size_bytes > limit:
        reply = Reply(552, "5.3.4", f"larger than the {limit} bytes that the smarthost takes")
        refused = {each.position for each in batch.recipients}
    elif not capabilities.smtputf8 and not (outgoing.reverse_path or "").isascii():
        refused = {each.position for each in batch.recipients}
    elif not capabilities.smtputf8:
        refused = {e.position for e in batch.recipients if not e.recipient.address.isascii()}
    fate = Fate(Outcome.FAILED, Phase.MAIL, reply, cause="local")
    fates = [(each, fate) for each in batch.recipients if each.position in refused]
    sent = tuple(each for each in batch.recipients if each.position not in refused)
    return fates, replace(outgoing, recipients=tuple(each.recipient for each in sent)), sent


def _is_ascii(outgoing: Outgoing) -> bool:
    return (outgoing.reverse_path or "").isascii() and all(
        each.address.isascii() for each in outgoing.recipients
    )
