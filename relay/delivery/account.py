"""The limits of one account: its pace, its connections, and what the last 24 hours leave.

An account is (host, username), whichever smarthost entries name it; without a login it is the
entry alone. Memory decides. Where several processes share the spool, memory is what this one
knows, and its shares decide.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from relay.config.model import Smarthost
from relay.delivery.learned import Kind, Lesson, Limits, in_force, lowered
from relay.delivery.pacing import MINUTE, Pace, spread
from relay.delivery.window import DayWindow
from relay.monitor import mail_log
from relay.spool.alone import ALONE
from relay.spool.ledger_entry import UsedMinute
from relay.spool.sharing import AccountKey, NotYet, Shares, Terms

WARNING_SHARE = 0.8
_CALM_SHARE = 0.75  # below it, the next crossing warns again
_ASK_AGAIN = timedelta(seconds=2)
"""What other nodes use changes without a word: none of them is waited for longer."""
_HOUR = timedelta(hours=1)
DAY_KINDS = (Kind.MESSAGES, Kind.RECIPIENTS)
_BETWEEN_LESSONS = {
    Kind.CONNECTIONS: timedelta(seconds=10),
    Kind.PER_MINUTE: MINUTE,
    Kind.MESSAGES: timedelta(hours=1),
    Kind.RECIPIENTS: timedelta(hours=1),
    Kind.TRANSACTION: timedelta(),
}
"""Refusals of one moment, by several connections, are one lesson."""


def account_key(smarthost: Smarthost) -> AccountKey:
    """Whose limits a smarthost's mail uses up. No host is empty, so that names never collide."""
    return smarthost.account or ("", smarthost.name)


@dataclass(slots=True)
class Account:
    """The state of one account."""

    key: AccountKey
    configured: Limits
    clock: Callable[[], datetime]
    shares: Shares = ALONE
    pace: Pace = field(default_factory=Pace)
    window: DayWindow = field(default_factory=DayWindow)
    learned: dict[Kind, Lesson] = field(default_factory=dict)
    connections: int = 0
    elsewhere: int = 0
    """Connections of other nodes, as of the last time that one was wanted."""
    not_before: datetime | None = None
    """Until then other nodes leave no room for a message."""
    no_connection_before: datetime | None = None
    """Until then other nodes have all connections."""
    outdated: bool = False
    """Others have used up more of a day than is known here."""
    hungry: dict[str, datetime] = field(default_factory=dict)
    """Lanes that got no connection as others have them all, and since when."""
    postponed: int = 0
    """Recipients of the last message for whom there was no room."""
    unsaved: bool = False
    warned: set[Kind] = field(default_factory=set)
    tried_at: datetime | None = None
    """When a message was last let through beyond a limit that was only learned."""

    def limits(self) -> Limits:
        """Those in force: configured, or lower as learned."""
        if not self.learned:
            return self.configured
        return in_force(self.configured, self.learned, self.clock())

    def wait(self) -> timedelta:
        """How long the pace makes the next message wait; zero: not at all."""
        now = self.clock()
        wait = self.pace.wait(self.limits().messages_per_minute, now)
        if self.not_before is not None:
            # Bounded: a clock may have been set back meanwhile.
            wait = max(wait, min(self.not_before - now, _ASK_AGAIN))
        return wait

    def put_off(self, found: NotYet) -> None:
        """By what all nodes use there is no room for a message now."""
        self.not_before = self.clock() + min(found.wait, _ASK_AGAIN)
        self.outdated = self.outdated or found.day

    def terms(self, *, trial: bool) -> Terms:
        """The limits that all nodes keep together; in a trial those of a day as configured."""
        limits = self.limits()
        day = self.configured if trial else limits
        per_minute = limits.messages_per_minute
        burst, interval = (1, timedelta()) if per_minute is None else spread(per_minute)
        return Terms(per_minute, burst, interval, day.messages_per_day, day.recipients_per_day)

    async def take_connection(self) -> bool:
        """Before dialling: True if all nodes together have fewer than they may. Raises SpoolError."""
        slot = await self.shares.connect(self.key, self.limits().max_connections)
        self.elsewhere = slot.elsewhere
        if not slot.taken:
            self.no_connection_before = self.clock() + _ASK_AGAIN
        return slot.taken

    def give_connection_back(self) -> None:
        """After `take_connection`, once the connection is closed."""
        self.shares.hang_up(self.key)

    def others_have_all(self) -> bool:
        """No other connection can be had for a moment."""
        until, now = self.no_connection_before, self.clock()
        return until is not None and now < until <= now + _ASK_AGAIN

    def learn_of(self, minutes: Collection[UsedMinute]) -> None:
        """What all nodes used, as the ledger has it."""
        self.window.reread(minutes)
        self.outdated = False

    def room(self) -> tuple[int | None, int | None]:
        """How many messages and recipients the last 24 hours leave; None: no limit.

        Beyond limits that were only learned one message an hour tries whether they still hold.
        """
        found = self._left(self.limits())
        if 0 in found and (due_at := self._trial_at()) is not None and due_at <= self.clock():
            return 1, self.configured_room()[1]
        return found

    def configured_room(self) -> tuple[int | None, int | None]:
        """The same by the configuration alone."""
        return self._left(self.configured)

    def beyond(self) -> bool:
        """What is learned leaves no room."""
        return 0 in self._left(self.limits())

    def exhausted_until(self) -> datetime | None:
        """When enough of the last 24 hours has passed to go on; None: there is room now.

        Enough is a hundredth of the limit, so that mail does not trickle; for the rest of a
        divided message up to a tenth.
        """
        if 0 not in self.room():
            return None
        now, limits, used = self.clock(), self.limits(), self.window.used(self.clock())
        over_messages = used.messages - _aim(limits.messages_per_day, 1)
        over_recipients = used.recipients - _aim(limits.recipients_per_day, self.postponed)
        until = now + MINUTE  # in case what is under way gives its place back
        for at, amount in self.window.frees(now):
            over_messages -= amount.messages
            over_recipients -= amount.recipients
            until = max(at, until)
            if over_messages <= 0 and over_recipients <= 0:
                break
        trial_at = self._trial_at()
        return until if trial_at is None else min(until, max(trial_at, now + MINUTE))

    def fullest(self, text: str) -> Kind:
        """Which limit of a day a refusal with this text is about, as well as can be told."""
        limits = [(kind, self.limits().of(kind)) for kind in DAY_KINDS]
        known = [(self.used_of(kind) / limit, kind) for kind, limit in limits if limit]
        if known:
            return max(known)[1]
        return Kind.RECIPIENTS if "recipient" in text.lower() else Kind.MESSAGES

    def used_of(self, kind: Kind) -> int:
        """What the last 24 hours used of a limit of a day."""
        used = self.window.used(self.clock())
        return used.messages if kind is Kind.MESSAGES else used.recipients

    def _left(self, limits: Limits) -> tuple[int | None, int | None]:
        messages, recipients = limits.messages_per_day, limits.recipients_per_day
        if messages is None and recipients is None:
            return None, None
        used = self.window.used(self.clock())
        return (
            None if messages is None else max(messages - used.messages, 0),
            None if recipients is None else max(recipients - used.recipients, 0),
        )

    def _trial_at(self) -> datetime | None:
        """When the next message may try a learned limit; None: the configuration is in the way."""
        if 0 in self.configured_room():
            return None
        taught = [self.learned[kind].at for kind in DAY_KINDS if kind in self.learned]
        tried = [self.tried_at] if self.tried_at is not None else []
        return max([*taught, *tried]) + _HOUR if taught else None

    def passed_beyond(self) -> None:
        """Messages passed: what was learned of a day and is less than that holds no more."""
        if not self.learned:
            return
        limits = self.limits()
        for kind in DAY_KINDS:
            limit = limits.of(kind)
            if kind in self.learned and limit is not None and self.used_of(kind) > limit:
                del self.learned[kind]
                self.unsaved = True

    def lesson(self, kind: Kind, passed: int, *, kept: bool = False) -> None:
        """A refusal: lower a limit, `passed` being what had gone through before it.

        `kept`: it came although the limit in force was kept, so a lesson of this moment, which may
        have been the first of several, was not enough.
        """
        now, limit = self.clock(), self.limits().of(kind)
        last = self.learned.get(kind)
        if last is not None and not kept and now - last.at < _BETWEEN_LESSONS[kind]:
            return
        exact = kind in (Kind.CONNECTIONS, Kind.TRANSACTION)
        confirmed = kind in DAY_KINDS and last is not None and limit is not None and passed >= limit
        lower = max(passed, 1) if exact else limit if confirmed else lowered(limit, passed)
        if lower is None or (limit is not None and lower >= limit):
            lower = limit if last is not None else None  # still the same: the lesson is fresh again
        if lower is not None:
            self.learned[kind] = Lesson(lower, now)
            self.unsaved = True

    def warn(self) -> None:
        """Tell once when four fifths of a day's limit are used up."""
        limits = self.limits()
        if limits.messages_per_day is None and limits.recipients_per_day is None:
            return
        used = self.window.used(self.clock())
        for kind, count in zip(DAY_KINDS, used, strict=True):
            limit = limits.of(kind)
            if limit is None or count < _CALM_SHARE * limit:
                self.warned.discard(kind)
            elif count >= WARNING_SHARE * limit and kind not in self.warned:
                self.warned.add(kind)
                text = f"{count} of {limit} used in 24 hours"
                host, username = self.key
                mail_log.alert(
                    "quota-nearly-used", text, host=host or None, account=username, limit=kind.value
                )

    def starved_by(self, name: str) -> set[str]:
        """The lanes that wait for a connection while `name` has one."""
        now = self.clock()
        return {each for each, at in self.hungry.items() if each != name and now - at < MINUTE}


def _aim(limit: int | None, wanted: int) -> int:
    """Down to which use one waits; without a limit any will do."""
    if limit is None:
        return 2**62
    return limit - max(limit // 100, min(wanted, limit // 10), 1)
