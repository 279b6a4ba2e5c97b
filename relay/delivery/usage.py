"""What one claim may use of its account's limits, and what it has used: as the provider counts."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from relay.delivery.account import Account
from relay.delivery.learned import Kind
from relay.delivery.outcome import TOO_MANY_RECIPIENTS, Judgement
from relay.delivery.outgoing import Batch
from relay.delivery.window import Amount
from relay.smarthost.transcript import Transcript
from relay.spool.ledger_entry import Usage
from relay.spool.model import QueuedRecipient
from relay.spool.sharing import NotYet, Permit


@dataclass(slots=True)
class Allowance:
    """Made when a message is claimed, with room for one transaction to one recipient at least;
    `close` must follow. Reserved is what may be used until then.

    Counted are transactions that the server saw begin, messages whose final dot it took or may
    have taken, and their recipients.
    """

    account: Account
    short: bool = False
    """There was no room for some recipients: they wait."""
    messages: int = 0
    recipients: int = 0
    transactions: int = 0
    _reserved: Amount = Amount()  # noqa: RUF009 - immutable
    _free: bool = False  # a transaction may begin that has not
    _trial: bool = False  # it finds out whether a learned limit still holds
    _permits: list[Permit] = field(default_factory=list)  # one for each transaction, in order

    @classmethod
    def open(cls, account: Account) -> "Allowance":
        """Where the pace and the day leave room, which the caller has seen."""
        allowance = cls(account)
        allowance._begin()
        return allowance

    async def agreed(self) -> bool:
        """Other nodes leave room for its first transaction; False: the account waits a moment.
        Raises SpoolError."""
        return not self.account.limits().counted or await self._permitted(1)

    async def room(self, wanted: int) -> int:
        """How many recipients the next transaction may have; 0: it has to wait. Raises SpoolError."""
        account = self.account
        if not self._free:
            if account.wait() or 0 in account.room():
                return self._none(wanted)
            self._begin()
            if not await self.agreed():
                self._take_back()
                return self._none(wanted)
        left = account.configured_room()[1] if self._trial else account.room()[1]
        held = self._reserved.recipients - self.recipients  # for this transaction, already
        most = min(wanted, account.limits().max_recipients)
        granted = most if left is None else min(most, left + held)
        if left is not None and granted > 1 and self._permits:
            granted = await self._widened(granted)
        self._reserve(Amount(0, granted - held))
        return granted

    def _none(self, wanted: int) -> int:
        self.short = True
        self.account.postponed = wanted
        return 0

    async def _permitted(self, recipients: int) -> bool:
        account = self.account
        terms = account.terms(trial=self._trial)
        found = await account.shares.begin(account.key, terms, recipients)
        if isinstance(found, NotYet):
            account.put_off(found)
            return False
        self._permits.append(found)
        return True

    async def _widened(self, recipients: int) -> int:
        account, terms = self.account, self.account.terms(trial=self._trial)
        permit = self._permits[-1]
        self._permits[-1] = await account.shares.widen(account.key, terms, permit, recipients)
        return self._permits[-1].recipients

    def count(self, transcript: Transcript, judgement: Judgement) -> None:
        """A transaction has ended."""
        accepted = sum(reply.positive for reply in transcript.recipients)
        dot = transcript.dot
        if transcript.in_doubt:  # also those of whom it had said nothing
            self._count(sum(fate.in_doubt for fate in judgement.fates))
        else:
            self._count(accepted if dot is not None and dot.positive else None)
        if any(fate.cause == TOO_MANY_RECIPIENTS for fate in judgement.fates):
            refused_one_by_one = accepted < len(transcript.recipients)
            fits = accepted if refused_one_by_one else accepted // 2
            if fits:
                self.account.lesson(Kind.TRANSACTION, fits)

    def interrupted(self, *, in_doubt: bool) -> None:
        """A transaction was cut off, or a fault of ours ended it before it began: nobody knows."""
        if self._free:
            self._count(self._reserved.recipients - self.recipients if in_doubt else None)

    def usage(self) -> Usage | None:
        """What to record with the outcome; None: nothing was used."""
        paced = self.account.limits().messages_per_minute is not None
        if not self.transactions:
            return None
        return Usage(
            *self.account.key,
            messages=self.messages,
            recipients=self.recipients,
            arrival_at=self.account.pace.arrival_at if paced else None,
            transactions=self.transactions,
        )

    def close(self, recording: asyncio.Task[None] | None = None) -> None:
        """What was used counts from now on for what it is, and the rest is given back; to other
        nodes once `recording`, of the outcome, has ended."""
        account, now = self.account, self.account.clock()
        limit = account.limits().messages_per_minute
        self._end_permits(recording)
        if self._free:
            self._free = False
            account.pace.end(limit, now, used=False)
        for _ in range(self.transactions):
            account.pace.end(limit, now, used=True)
        account.window.reserve(Amount(-self._reserved.messages, -self._reserved.recipients))
        self._reserved = Amount()
        if self.messages:
            account.window.add(Amount(self.messages, self.recipients), now)
            account.passed_beyond()
            account.warn()
        if limit is None:
            account.pace.trim()
        if not self.short:
            account.postponed = 0
        self.messages = self.recipients = self.transactions = 0

    def _end_permits(self, recording: asyncio.Task[None] | None) -> None:
        permits, self._permits = self._permits, []
        if not permits:
            return
        end, used = self.account.shares.end, self.transactions
        if recording is None:
            end(permits, used)
        else:
            recording.add_done_callback(lambda _: end(permits, used))

    def _take_back(self) -> None:
        """What `_begin` took, before anything was begun."""
        account = self.account
        self._free = False
        account.pace.end(account.limits().messages_per_minute, account.clock(), used=False)
        self._reserve(Amount(-1, -1))

    def _begin(self) -> None:
        account = self.account
        account.pace.take(account.limits().messages_per_minute, account.clock())
        self._free = True
        self._trial = account.beyond()
        if self._trial:
            account.tried_at = account.clock()
        self._reserve(Amount(1, 1))

    def _reserve(self, amount: Amount) -> None:
        self.account.window.reserve(amount)
        messages, recipients = self._reserved
        self._reserved = Amount(messages + amount.messages, recipients + amount.recipients)

    def _count(self, taken: int | None) -> None:
        """A transaction is over; `taken` recipients, None: the server took no message."""
        self._free = False
        self.transactions += 1
        messages, recipients = (0, 0) if taken is None else (1, taken)
        self.messages += messages
        self.recipients += recipients
        # What was reserved for it beyond that is free at once.
        self._reserve(
            Amount(
                self.messages - self._reserved.messages,
                self.recipients - self._reserved.recipients,
            )
        )


class Portions:
    """The batches, divided further where the account's limits leave room for fewer recipients.

    It ends before its time, with `allowance.short`, where they leave room for none.
    """

    def __init__(self, batches: Iterable[Batch], allowance: Allowance) -> None:
        self._batches = iter(batches)
        self._allowance = allowance
        self._batch: Batch | None = None
        self._rest: tuple[QueuedRecipient, ...] = ()

    async def next(self) -> Batch | None:
        """The next transaction; None: there is no more, or it has to wait. Raises SpoolError."""
        if not self._rest:
            self._batch = next(self._batches, None)
            self._rest = () if self._batch is None else self._batch.recipients
        batch, rest = self._batch, self._rest
        if batch is None or not rest:
            return None
        granted = await self._allowance.room(len(rest))
        self._rest = rest[granted:] if granted else ()
        if not granted:
            self._batches = iter(())
            return None
        if granted == len(batch.recipients):
            return batch
        return replace(batch, recipients=rest[:granted])
