"""Pace and quota of an account: never more than the limit in any window, whatever happens."""

import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from presets.reply import Reply
from presets.verdict import Phase
from relay.config.model import Config, Smarthost, Spool
from relay.delivery.account import Account
from relay.delivery.budget import Budget
from relay.delivery.learned import (
    Kind,
    Lesson,
    Limits,
    dump,
    in_force,
    learned_limit,
    lowered,
    parse,
    retry_hint,
)
from relay.delivery.outcome import Fate, Judgement
from relay.delivery.pacing import MINUTE, Pace
from relay.delivery.tools import learn
from relay.delivery.trouble import Trouble
from relay.delivery.usage import Allowance
from relay.delivery.window import DAY, minute_of
from relay.smarthost.transcript import Transcript
from relay.spool.ledger_entry import AccountPace, BlockedBy, Usage, UsedMinute
from relay.spool.model import Outcome
from relay.spool.protocol import Ledger

START = datetime(2026, 11, 2, 9, 0, 17, tzinfo=UTC)
OK = Reply(250, "2.0.0", "ok")
SECOND = timedelta(seconds=1)


def settled(answer: Coroutine[Any, Any, int]) -> int:
    """The result of what waits for nobody, as there are no other nodes."""
    with pytest.raises(StopIteration) as end:
        answer.send(None)
    return int(end.value.value)


@dataclass
class MemoryLedger:
    """The part of the ledger that a budget needs, as settlements write it."""

    minutes: dict[datetime, tuple[int, int, int]] = field(default_factory=dict)
    arrival_at: datetime | None = None
    learned: str | None = None

    def record(self, at: datetime, counts: tuple[int, int, int]) -> None:
        old = self.minutes.get(minute_of(at), (0, 0, 0))
        self.minutes[minute_of(at)] = cast(
            tuple[int, int, int], tuple(a + b for a, b in zip(old, counts, strict=True))
        )

    def settle(self, usage: Usage | None, at: datetime) -> None:
        if usage is not None:
            self.record(at, (usage.messages, usage.recipients, usage.transactions))
            self.arrival_at = usage.arrival_at

    async def paces(self) -> tuple[AccountPace, ...]:
        return (AccountPace("", "isp", self.arrival_at, self.learned),)

    async def usage(self, since: datetime) -> tuple[UsedMinute, ...]:
        return tuple(
            UsedMinute("", "isp", minute, *counts)
            for minute, counts in sorted(self.minutes.items())
            if minute >= minute_of(since)
        )

    async def learn(self, _host: str, _username: str, learned: str | None) -> None:
        self.learned = learned


def isp(**limits: Any) -> Smarthost:
    return Smarthost(name="isp", host="mail.example.net", **limits)


def budget_of(ledger: MemoryLedger, clock: Callable[[], datetime], smarthost: Smarthost) -> Budget:
    config = Config(
        hostname="relay.test",
        postmaster="a@b.nl",
        spool=Spool(url="sqlite://"),
        smarthosts=(smarthost,),
    )
    return Budget(config, cast(Ledger, ledger), clock)


def restored(budget: Budget) -> None:
    """Drive `restore`, which never really waits here."""
    work = budget.restore()
    with pytest.raises(StopIteration):
        work.send(None)


def passed(recipients: int) -> tuple[Transcript, Judgement]:
    transcript = Transcript(Phase.DOT, OK, [OK] * recipients, Reply(354, None, "go"), OK)
    return transcript, Judgement((Fate(Outcome.DELIVERED, Phase.DOT, OK),) * recipients)


class Clock:
    now = START

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Step:
    """Some time passes; then a message wants to leave, or the process dies."""

    gap_seconds: float
    recipients: int
    lasts_seconds: float
    counted: float  # where between its begin and its end the server counts it, 0 to 1
    crash: bool


STEPS = st.lists(
    st.builds(
        Step,
        gap_seconds=st.one_of(st.floats(0, 3), st.floats(0, 90), st.floats(0, 90_000)),
        recipients=st.integers(1, 12),
        lasts_seconds=st.one_of(st.just(0.0), st.floats(0, 40)),
        counted=st.floats(0, 1),
        crash=st.integers(0, 9).map(lambda n: n == 0),
    ),
    min_size=5,
    max_size=80,
)


class Office:
    """A relay with three connections, and what the provider saw of it."""

    def __init__(self, smarthost: Smarthost) -> None:
        self.clock, self.ledger, self.smarthost = Clock(), MemoryLedger(), smarthost
        self.seen: list[tuple[datetime, int]] = []
        self.start()

    def start(self) -> None:
        self.under_way: list[tuple[datetime, datetime, float, int, Allowance]] = []
        budget = budget_of(self.ledger, self.clock, self.smarthost)
        restored(budget)
        self.account = budget.of(self.smarthost)

    def step(self, step: Step) -> None:
        until = self.clock.now + step.gap_seconds * SECOND
        for end, *rest in sorted(self.under_way, key=lambda each: each[0]):
            if end <= until:
                self.clock.now = max(end, self.clock.now)
                self.finish((end, *rest))
        self.clock.now = until
        if step.crash:
            self.crash()
        elif len(self.under_way) < 3 and not self.account.wait() and 0 not in self.account.room():
            allowance = Allowance.open(self.account)
            granted = settled(allowance.room(step.recipients))
            assert granted >= 1
            end = until + step.lasts_seconds * SECOND
            self.under_way.append((end, until, step.counted, granted, allowance))

    def finish(self, each: Any) -> None:
        end, began, counted, recipients, allowance = each
        self.under_way.remove(each)
        self.seen.append((began + (end - began) * counted, recipients))
        allowance.count(*passed(recipients))
        self.ledger.settle(allowance.usage(), self.clock.now)
        allowance.close()

    def crash(self) -> None:
        """What was under way is counted by the next start, whether the server saw it or not."""
        for _, began, counted, recipients, _ in self.under_way:
            self.seen.append((began + (self.clock.now - began) * counted, recipients))
            self.ledger.record(self.clock.now, (1, recipients, 1))
        self.start()

    def most(self, window: timedelta) -> tuple[int, int]:
        """The most messages, and recipients, that any window saw."""
        sums = [
            [recipients for other, recipients in self.seen if at <= other < at + window]
            for at, _ in self.seen
        ]
        return max(map(len, sums), default=0), max(map(sum, sums), default=0)


@settings(max_examples=150, deadline=None)
@given(STEPS, st.sampled_from([1, 2, 5, 9, 10, 30]), st.integers(1, 25), st.integers(1, 40))
def test_no_window_sees_more_than_the_limit(
    steps: list[Step], a_minute: int, messages: int, recipients: int
) -> None:
    office = Office(
        isp(messages_per_minute=a_minute, messages_per_day=messages, recipients_per_day=recipients)
    )
    for step in steps:
        office.step(step)
    office.crash()
    assert office.most(MINUTE)[0] <= a_minute
    most = office.most(DAY)
    assert most[0] <= messages
    assert most[1] <= recipients


BUSY_STEPS = st.lists(
    st.builds(
        Step,
        gap_seconds=st.one_of(st.floats(0, 1), st.floats(0, 8)),
        recipients=st.just(1),
        lasts_seconds=st.one_of(st.just(0.0), st.floats(0, 59)),
        counted=st.sampled_from([0.0, 1.0]),
        crash=st.integers(0, 30).map(lambda n: n == 0),
    ),
    min_size=40,
    max_size=120,
)


@settings(max_examples=100, deadline=None)
@given(BUSY_STEPS, st.integers(1, 12))
def test_no_minute_of_a_busy_queue_sees_more_than_the_limit(
    steps: list[Step], a_minute: int
) -> None:
    office = Office(isp(messages_per_minute=a_minute))
    for step in steps:
        office.step(step)
    office.crash()
    assert office.most(MINUTE)[0] <= a_minute


def test_slow_messages_and_a_restart_do_not_bunch() -> None:
    """What began in one minute and ended in the next, and what a dead process sent, counts."""
    office = Office(isp(messages_per_minute=10))
    for _ in range(3):
        office.step(Step(0, 1, 50, 1.0, False))
    office.step(Step(49, 1, 0, 0.0, False))
    for n in range(120):
        office.step(Step(1, 1, 0, 0.0, n == 20))
    office.crash()
    assert office.most(MINUTE)[0] <= 10
    assert len(office.seen) >= 12


@pytest.mark.parametrize("limit", [1, 2, 5, 9, 10, 30, 100, 1000])
def test_a_steady_queue_leaves_at_nearly_the_limit(limit: int) -> None:
    pace, now, sent = Pace(), START, []
    for _ in range(3 * limit + 5):
        now += pace.wait(limit, now)
        assert not pace.wait(limit, now)
        pace.take(limit, now)
        pace.end(limit, now, used=True)
        sent.append(now)
    for at in sent:
        assert sum(at <= other < at + MINUTE for other in sent) <= limit
    assert (sent[-1] - sent[0]) <= MINUTE * (3 * limit + 5) / limit * 1.45


def test_what_did_not_leave_gives_its_place_back() -> None:
    pace = Pace()
    pace.take(1, START)
    assert pace.wait(1, START) >= MINUTE
    pace.end(1, START, used=False)
    assert not pace.wait(1, START)
    assert not pace.wait(None, START)


def office_account(**limits: Any) -> tuple[Clock, Account]:
    clock = Clock()
    return clock, budget_of(MemoryLedger(), clock, isp(**limits)).of(isp())


def send(account: Account, messages: int, recipients: int = 1) -> None:
    for _ in range(messages):
        allowance = Allowance.open(account)
        granted = settled(allowance.room(recipients))
        allowance.count(*passed(granted))
        allowance.close()


def test_a_message_with_more_recipients_than_are_left_goes_in_parts() -> None:
    clock, account = office_account(recipients_per_day=100)
    left, parts = 250, list[int]()
    while left:
        assert len(parts) < 10
        until = account.exhausted_until()
        if until is not None:
            clock.now = until
        allowance = Allowance.open(account)
        granted = settled(allowance.room(left))
        parts.append(granted)
        left -= granted
        allowance.count(*passed(granted))
        if left:
            assert settled(allowance.room(left)) == 0
            assert allowance.short
        allowance.close()
    assert parts == [100, 100, 50]
    assert clock.now - START <= 2 * (DAY + MINUTE)


def test_used_up_lasts_until_a_hundredth_is_free_again() -> None:
    clock, account = office_account(messages_per_day=200)
    began = minute_of(clock.now)
    for _ in range(200):
        send(account, 1)
        clock.now += timedelta(seconds=30)
    assert account.exhausted_until() == began + DAY + MINUTE
    clock.now = began + DAY + MINUTE
    assert account.room() == (2, None)


def test_smarthosts_that_share_a_login_share_the_smallest_limits() -> None:
    login = {"host": "mail.example.net", "username": "u"}
    one = Smarthost(name="one", max_connections=3, messages_per_day=50, **login)  # type: ignore[arg-type]
    two = Smarthost(name="two", max_connections=2, recipients_per_day=70, **login)  # type: ignore[arg-type]
    config = Config(
        hostname="relay.test",
        postmaster="a@b.nl",
        spool=Spool(url="sqlite://"),
        smarthosts=(one, two, isp(messages_per_day=1)),
    )
    budget = Budget(config, cast(Ledger, MemoryLedger()), Clock())
    assert budget.of(one) is budget.of(two)
    assert budget.of(one).limits() == Limits(2, None, 50, 70, 100)
    assert budget.of(isp()) is not budget.of(one)


HOURS = timedelta(hours=1)


@pytest.mark.parametrize(
    ("configured", "hours", "limit"),
    [
        (30, 0, 12),
        (30, 23.9, 12),
        (30, 24, 15),
        (30, 30, 18),
        (30, 42, 29),
        (30, 48, None),
        (None, 24, 15),
        (None, 24 * 7, None),
        (10, 0, None),
    ],
)
def test_what_was_learned_fades(configured: int | None, hours: float, limit: int | None) -> None:
    assert learned_limit(configured, Lesson(12, START), START + hours * HOURS) == limit


def test_a_lesson_about_one_rises_too() -> None:
    found = [learned_limit(3, Lesson(1, START), START + h * HOURS) for h in (0, 24, 30)]
    assert found == [1, 2, None]


@pytest.mark.parametrize(
    ("limit", "passed_messages", "lower"),
    [(30, 25, 25), (30, 3, 15), (30, 40, 29), (1, 0, 1), (None, 50, 50), (None, 3, None)],
)
def test_a_refusal_lowers_by_half_at_most(
    limit: int | None, passed_messages: int, lower: int | None
) -> None:
    assert lowered(limit, passed_messages) == lower


def test_refusals_of_one_moment_are_one_lesson() -> None:
    clock, account = office_account(messages_per_minute=40)
    account.lesson(Kind.PER_MINUTE, 1)
    account.lesson(Kind.PER_MINUTE, 1)
    assert account.limits().messages_per_minute == 20
    clock.now += MINUTE
    account.lesson(Kind.PER_MINUTE, 1)
    assert account.limits().messages_per_minute == 10


def test_connections_go_down_until_the_server_takes_what_comes() -> None:
    _, account = office_account(max_connections=6)
    refused = Trouble(BlockedBy.QUOTA, "too-many-connections", Reply(432, "4.3.2", "too many"), "")
    found = []
    for others in (5, 5, 4, 4, 3):  # the refusal of one more, and then that of each that is left
        assert learn(account, refused, others) is None
        found.append(account.limits().max_connections)
    assert found == [5, 5, 4, 4, 3]


def test_a_learned_limit_of_a_day_is_tried_hourly_and_forgotten_when_more_passes() -> None:
    clock, account = office_account(messages_per_day=100)
    send(account, 60)
    account.lesson(Kind.MESSAGES, 60)
    assert account.room()[0] == 0
    assert account.exhausted_until() == clock.now + HOURS
    clock.now += HOURS
    assert account.room()[0] == 1
    first = Allowance.open(account)
    assert account.room()[0] == 0  # one at a time
    first.close()
    assert account.room()[0] == 0  # and once an hour
    clock.now += HOURS
    send(account, 1)
    assert account.limits().messages_per_day == 100


def test_what_is_configured_is_never_tried_beyond() -> None:
    clock, account = office_account(messages_per_day=60)
    send(account, 60)
    account.lesson(Kind.MESSAGES, 60)
    clock.now += 5 * HOURS
    assert account.room()[0] == 0


@pytest.mark.parametrize("text", ["", "x", "[]", '{"a": 1}', '{"max_connections": {"limit": "x"}}'])
def test_a_damaged_lesson_counts_as_nothing(text: str) -> None:
    assert parse(text) == {}


def test_lessons_survive_being_written() -> None:
    learned = {Kind.CONNECTIONS: Lesson(1, START), Kind.RECIPIENTS: Lesson(90, START)}
    assert parse(dump(learned)) == learned
    assert dump({}) is None
    assert json.loads(dump(learned) or "")["max_connections"]["limit"] == 1
    assert in_force(Limits(3), learned, START) == Limits(1, recipients_per_day=90)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("try again in 5 minutes", 300),
        ("Rate exceeded, retry after 30 seconds.", 30),
        ("please wait 2 hours", 7200),
        ("back off for 90s", 90),
        ("Message submission rate for this client has exceeded the configured limit", None),
        ("try again later, code 4711", None),
    ],
)
def test_the_servers_own_hint(text: str, seconds: int | None) -> None:
    found = retry_hint(Reply(421, None, text))
    assert found == (None if seconds is None else timedelta(seconds=seconds))


def test_restored_is_as_it_was() -> None:
    office = Office(isp(messages_per_minute=10, messages_per_day=5))
    for _ in range(5):
        office.step(Step(30, 1, 0, 1, False))
    office.step(Step(1, 1, 0, 1, False))
    assert office.account.room()[0] == 0
    office.start()
    assert office.account.room()[0] == 0
    assert office.account.exhausted_until() == minute_of(START) + DAY + MINUTE
