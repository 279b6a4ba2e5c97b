"""What a worker is sent out with."""

from dataclasses import dataclass

from relay.delivery.packing import PackedAhead
from relay.delivery.usage import Allowance
from relay.spool.model import Claim


@dataclass(frozen=True, slots=True)
class Errand:
    """A claimed message, and what it may use of its account's limits."""

    claim: Claim
    allowance: Allowance
    packed: PackedAhead | None = None
    """The message as it leaves, where there was time to get it ready."""
