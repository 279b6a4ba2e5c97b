"""A message made ready for one transaction: what is put on the wire, and who is left out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from relay.config.model import Config, Smarthost
from relay.delivery.outcome import Fate
from relay.delivery.outgoing import (
    Batch,
    address_message,
    batches,
    load_claimed,
    refused_here,
    with_signature,
)
from relay.delivery.signing import NotSigned, Signatory, Text
from relay.smarthost.capabilities import Capabilities
from relay.smarthost.wire import Outgoing
from relay.spool.ledger_entry import SenderRule
from relay.spool.model import Claim, QueuedRecipient
from relay.spool.protocol import Queue


@dataclass(frozen=True, slots=True)
class Packed:
    """`refused` are those whom this server, or this office, cannot serve: nothing is sent for
    them. Where `sent` is empty there is nothing to send at all."""

    refused: Sequence[tuple[QueuedRecipient, Fate]]
    sent: tuple[QueuedRecipient, ...]
    outgoing: Outgoing
    header: bytes


@dataclass(frozen=True, slots=True)
class PackedAhead:
    """A whole claim in one transaction, packed while the one before is on its way."""

    claim: Claim
    batch: Batch
    packed: Packed
    packer: "Packer"

    def fits(self, claim: Claim, batch: Batch, packer: "Packer") -> bool:
        """It is what would be packed now: nothing was reloaded since."""
        mine = self.packer
        same = mine.config is packer.config and mine.rules is packer.rules
        same = same and mine.smarthost == packer.smarthost
        return same and self.claim is claim and self.batch == batch


@dataclass(frozen=True, slots=True)
class Packer:
    """By one configuration, for one smarthost; `rules` are the adopted ones."""

    config: Config
    smarthost: Smarthost
    rules: tuple[SenderRule, ...]
    signatory: Signatory
    clock: Callable[[], datetime]

    def divide(self, claim: Claim) -> tuple[Batch, ...]:
        """The transactions that the claim's recipients need."""
        return batches(self.config, claim, self.smarthost, self.rules)

    async def pack(self, text: Text, batch: Batch, offered: Capabilities) -> Packed:
        """A batch, addressed and signed, as far as the server takes it by what it has offered."""
        config, claim = self.config, text.claim
        outgoing, header = address_message(config, claim, batch, self.smarthost, text.loaded)
        signature = await self.signatory.sign(
            config.dkim, header, text, self.clock(), config.language
        )
        if isinstance(signature, NotSigned):
            fates = [(each, signature.fate) for each in batch.recipients]
            return Packed(fates, (), outgoing, header)
        outgoing, header = with_signature(outgoing, header, signature)
        refused, outgoing, sent = refused_here(outgoing, batch, offered)
        return Packed(refused, sent, outgoing, header)

    async def pack_ahead(
        self, queue: Queue, claim: Claim, offered: Capabilities
    ) -> PackedAhead | None:
        """A claim that leaves in one transaction to all of its recipients; None: it does not, or
        is too large to be here already."""
        divided = self.divide(claim)
        if claim.body is None or len(divided) != 1:
            return None
        loaded = await load_claimed(queue, claim)
        if loaded is None:
            return None
        packed = await self.pack(Text(queue, claim, loaded), divided[0], offered)
        if packed.refused:
            return None
        return PackedAhead(claim, divided[0], packed, self)
