"""What a spool must do. Intake, delivery and commands know only this.

Each method that changes something has it committed and synced to disk when it returns; each may
raise SpoolError, and then nothing of it is kept. Calls that do not wait for one another share a
sync: a worker asks for the next claim beside its settlement.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Protocol

from presets.reply import Reply
from relay.spool.errors import SpoolError
from relay.spool.ledger_entry import (
    AccountPace,
    AdoptedDevice,
    Block,
    Lane,
    LaneAccount,
    PausedAccount,
    RefusedDevice,
    SenderRule,
    UsedMinute,
)
from relay.spool.model import Claim, HeldFor, NewMessage, Settlement, State, Waiting
from relay.spool.search import Found, Search
from relay.spool.sharing import Nodes, Shares
from relay.spool.statistics import Arrivals, History, Statistics, Totals
from relay.spool.vault_entry import Grant
from relay.spool.view import Acted, MessageView


class BodyWriter(Protocol):
    """Takes the bytes of a message that is still arriving."""

    size_bytes: int

    async def write(self, data: bytes) -> None:
        """Add `data`; what no longer fits in memory is committed, invisible until `accept`."""

    async def discard(self) -> None:
        """Forget all of it."""


class Queue(Protocol):
    """Messages and who still has to get them."""

    def new_id(self) -> int:
        """An id for a message to come; needed early, for its Received field."""

    def body_writer(self, message: int) -> BodyWriter:
        """Where the bytes of message `message` go."""

    async def accept(
        self, message: NewMessage, body: BodyWriter, *, claim: bool = False
    ) -> Claim | None:
        """Message, recipients and body in one transaction; on return the relay answers for it.

        With `claim`, for a message in one lane that is not held, the same transaction may claim it:
        then the claim is what is returned.
        """

    async def claim(self, lane: str, limit: int) -> tuple[Claim, ...]:
        """Up to `limit` messages that are due in `lane`, oldest first, each with its attempt
        recorded; a small one carries its bytes."""

    async def read(self, message: int) -> Claim | None:
        """A message as a claim would give it, without the right to attempt it (token 0)."""

    async def hold_expired(self) -> tuple[int, ...]:
        """Hold what is past its lifetime in lanes that are blocked; the ids."""

    async def hasten(self, latest: datetime) -> int:
        """What is due later becomes due then: a clock was set back; how many there were."""

    async def unclaim(self, claim: Claim) -> None:
        """Take back a claim that was never attempted, and with it the record of its attempt."""

    async def renew(self, claims: Sequence[Claim]) -> None:
        """Extend the leases of attempts that take long."""

    async def settle(self, settlement: Settlement) -> bool:
        """Record how a claim ended; False if the claim had been lost. Safe to repeat."""

    async def next_due(self, lane: str) -> datetime | None:
        """When the next unclaimed message of `lane` is due; None if it has none."""

    async def lanes_waiting(self) -> tuple[str, ...]:
        """The lanes that have messages."""

    def body(self, message: int) -> AsyncIterator[bytes]:
        """The message's bytes in pieces, the header block whole in the first.

        Raises BodyDamaged where they are not those that were accepted.
        """

    async def page(
        self, state: State | None, limit: int, client: str | None = None
    ) -> tuple[int, tuple[MessageView, ...]]:
        """How many there are and the oldest `limit`; without `state`, what is unfinished."""

    async def show(self, message: int) -> MessageView | None:
        """One message with its attempts."""

    async def ids(self, held_for: HeldFor | None = None, address: str | None = None) -> list[int]:
        """Ids of unfinished messages: all, or those held for one reason, from one device."""

    async def retry(self, ids: Sequence[int]) -> Acted:
        """What is queued becomes due now."""

    async def hold(self, ids: Sequence[int]) -> Acted:
        """What is queued waits until it is released."""

    async def hold_for(self, ids: Sequence[int], reason: HeldFor) -> None:
        """What is held stays held, for another reason."""

    async def release(self, ids: Sequence[int], held_for: HeldFor | None = None) -> Acted:
        """What is held, or held for this one reason, becomes queued and due."""

    async def delete(self, ids: Sequence[int]) -> Acted:
        """What is queued or held is never delivered, and no DSN is sent."""

    async def reroute(self, ids: Sequence[int], smarthost: str) -> Acted:
        """What is queued or held goes through `smarthost`, whatever the routes say."""

    async def relane(self, moves: Sequence[tuple[int, int, str]]) -> None:
        """Give recipients, as (message, position, lane), another lane, but where they are under
        way."""

    async def waiting(
        self, lane: str | None, after: int, limit: int
    ) -> tuple[tuple[Waiting, ...], int | None]:
        """For `relane`: who waits in `lane`, of at most `limit` messages with an id above `after`;
        None: in any lane, or held. Beside them the id to go on after; None: that was all."""

    async def unfinished(self, after: int, limit: int) -> tuple[MessageView, ...]:
        """A page of unfinished messages in order of id."""

    async def fail(
        self, settlements: Sequence[tuple[int, Reply, tuple[NewMessage, bytes] | None]]
    ) -> None:
        """Give held messages up, each with its reply and its DSN."""

    async def purge(self, finished_before: datetime, limit: int) -> int:
        """Forget up to `limit` finished messages; how many there were."""

    async def totals(self) -> Totals:
        """Counts for the status."""

    async def history(self, lane: str) -> History:
        """Until when `lane` delivered, and what failed since, among the last 100,000 attempts."""

    async def search(self, wanted: Search, before: int | None, limit: int) -> Found:
        """The newest `limit` messages, finished ones too, that fit, with an id below `before`."""

    async def roll_up(self, since: datetime, limit: int) -> datetime | None:
        """Add up to `limit` messages finished since then to the statistics, each once for ever.

        The moment to go on from, None where all are counted. What `purge` forgets was counted.
        """

    async def note_arrivals(self, arrivals: Arrivals) -> None:
        """Add to the statistics what only intake knows."""

    async def statistics(self, since: datetime) -> Statistics:
        """The hours from that of `since` on, up to this moment."""

    async def forget_statistics(self, before: datetime) -> None:
        """Drop the hours before."""


class Ledger(Protocol):
    """What outlives a restart beside the messages: lanes, accounts, devices."""

    async def lanes(self) -> dict[str, Lane]:
        """All lanes that something is known of."""

    async def block(self, lane: str, block: Block) -> None:
        """Record why a lane waits."""

    async def unblock(self, lane: str) -> None:
        """Nothing is in the way any more."""

    async def learn_size(self, lane: str, size_bytes: int | None) -> None:
        """Record the SIZE that the smarthost offered."""

    async def pause(self, account: PausedAccount) -> None:
        """Record a refused login."""

    async def resume(self, host: str, username: str) -> bool:
        """End a pause; False if there was none."""

    async def paused(self) -> tuple[PausedAccount, ...]:
        """The accounts that are paused."""

    async def paces(self) -> tuple[AccountPace, ...]:
        """How far each account's pace has come, as settlements recorded it, and what was learned."""

    async def learn(self, host: str, username: str, learned: str | None) -> None:
        """Record the learned limits of an account, as JSON; None: there are none."""

    async def usage(self, since: datetime) -> tuple[UsedMinute, ...]:
        """What settlements recorded as used, and what was under way at a crash, from the minute of
        `since` on, in order of time."""

    async def forget_usage(self, before: datetime) -> None:
        """Drop what was used before."""

    async def lane_accounts(self, lanes: Sequence[LaneAccount]) -> None:
        """Record whose limits each lane uses up, so that what a crash interrupts is counted."""

    async def note_refused(self, devices: Sequence[RefusedDevice]) -> None:
        """Add to the tally of refused devices."""

    async def refused(self) -> tuple[RefusedDevice, ...]:
        """Refused devices, the latest first."""

    async def forget_refused(self, before: datetime) -> int:
        """Drop the refused devices that were last seen before; how many there were."""

    async def adopt(self, device: AdoptedDevice) -> None:
        """Allow a device; it leaves the list of refused ones."""

    async def disown(self, address: str) -> bool:
        """Take back an adoption; False if there was none."""

    async def adopted(self) -> tuple[AdoptedDevice, ...]:
        """Adopted devices."""

    async def adopt_sender(self, rule: SenderRule) -> None:
        """Keep a sender rule; one for the same smarthost and sender gives way."""

    async def disown_sender(self, smarthost: str, sender: str) -> bool:
        """Take back a sender rule; False if there was none."""

    async def sender_rules(self) -> tuple[SenderRule, ...]:
        """Adopted sender rules, by smarthost and sender."""

    async def setting(self, name: str) -> str | None:
        """A remembered value, such as the end of the learning window."""

    async def remember(self, name: str, value: str | None) -> None:
        """Set or, with None, forget a value."""


class Vault(Protocol):
    """Tokens, each account's in one place. May raise VaultError beside SpoolError."""

    async def grant(self, host: str, username: str) -> Grant | None:
        """What the account has; None if nobody consented yet."""

    async def keep(self, host: str, username: str, grant: Grant) -> None:
        """Replace what the account has; durable on return."""

    async def forget(self, host: str, username: str) -> bool:
        """Drop what the account has; False if there was nothing."""


class Spool(Protocol):
    """A store with its three parts, and what its processes share."""

    @property
    def queue(self) -> Queue: ...

    @property
    def ledger(self) -> Ledger: ...

    @property
    def vault(self) -> Vault: ...

    @property
    def shares(self) -> Shares: ...

    @property
    def nodes(self) -> Nodes: ...

    @property
    def trouble(self) -> SpoolError | None:
        """Why the store takes nothing new at the moment, no message and no attempt; None while it
        works."""

    def free_bytes(self) -> int | None:
        """Room left for new mail; None where it cannot be told."""

    async def gone(self) -> None:
        """Returns when nothing can be recorded until the relay starts anew; of a store that mends
        itself, never."""

    async def close(self) -> None:
        """Let pending commits end and close the store."""
