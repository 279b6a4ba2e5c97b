"""Settlement against time-out, in every order: each failure is told once, and none twice."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from presets.reply import Reply
from presets.verdict import Phase
from relay.config.model import Smarthost
from relay.delivery.direct import Ending, Handover, Waiters
from relay.delivery.outcome import Fate
from relay.delivery.reports import Report
from relay.delivery.settling import Attempted
from relay.envelope import Envelope, Origin, Recipient
from relay.spool.model import (
    Claim,
    NewMessage,
    Outcome,
    Placement,
    QueuedRecipient,
    RecipientResult,
    Settlement,
    State,
)

NOON = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
ISP = Smarthost(name="isp", host="smtp.example.net")
REPLY = Reply(550, "5.1.1", "no")
OUTCOMES = {
    State.DELIVERED: Outcome.DELIVERED,
    State.FAILED: Outcome.FAILED,
    State.QUEUED: Outcome.DEFERRED,
    State.HELD: Outcome.HELD,
}


def message(number: int, *recipients: Recipient, is_dsn: bool = False) -> NewMessage:
    return NewMessage(
        id=number,
        received_at=NOON,
        expires_at=NOON,
        client="kassa",
        client_address="127.0.0.1",
        envelope=Envelope("info@example.nl", recipients),
        placements=tuple(Placement(f"lane{index}") for index in range(len(recipients))),
        message_id="<1@example.nl>",
        is_dsn=is_dsn,
    )


def settlement(new: NewMessage, position: int, state: State) -> tuple[Attempted, Settlement]:
    """Of the lane in which the recipient at `position` is alone; a failure has its report."""
    queued = QueuedRecipient(position, new.envelope.recipients[position])
    claim = Claim(
        message=new.id,
        lane=f"lane{position}",
        token=1,
        tries=0,
        received_at=NOON,
        expires_at=NOON,
        client=new.client,
        client_address=new.client_address,
        envelope=new.envelope,
        recipients=(queued,),
        bytes=1,
        message_id=new.message_id,
        is_dsn=False,
        in_doubt=False,
        warned=False,
    )
    fate = Fate(OUTCOMES[state], Phase.RCPT, REPLY)
    reported = state is State.FAILED and queued.recipient.origin is Origin.RCPT
    report: Report = (message(100 + position, queued.recipient, is_dsn=True), b"report")
    return Attempted(claim, [(queued, fate)], NOON, 0.1, None), Settlement(
        claim=claim,
        at=NOON,
        results=(RecipientResult(position, state, REPLY),),
        attempts=(),
        dsns=(report,) if reported else (),
    )


Step = tuple[str, int]


def orders(lanes: int, endings: Sequence[str]) -> Iterator[tuple[Step, ...]]:
    """Every order in which the lanes hand over and are recorded, and the client stops waiting."""
    steps: list[list[Step]] = [
        [("hand over", lane), ("record", lane)]
        if endings[lane] != "fails first"
        else [("hand over", lane), ("disk fails", lane), ("record", lane)]
        for lane in range(lanes)
    ]
    steps.append([("withdraw", 0)])
    tokens = [which for which, part in enumerate(steps) for _ in part]
    for order in set(itertools.permutations(tokens)):
        left = [iter(part) for part in steps]
        yield tuple(next(left[which]) for which in order)


class Race:
    """One order played. `recorded` are the reports in the spool."""

    def __init__(self, states: Sequence[State], origins: Sequence[Origin]) -> None:
        pairs = enumerate(origins)
        new = message(1, *(Recipient(f"r{n}@example.net", origin=one) for n, one in pairs))
        self.waiters = Waiters()
        self.waiting = self.waiters.expect(new)
        self.settlements = [settlement(new, n, state) for n, state in enumerate(states)]
        self.handovers: dict[int, Handover] = {}
        self.recorded: list[int] = []
        self.withdrawn = False
        self.ending: Ending | None = None
        self.failed_by_then: set[int] = set()
        self.durable: set[int] = set()

    def play(self, order: Sequence[Step]) -> None:
        for step, lane in order:
            if step == "hand over":
                self.handovers[lane] = self.waiters.hand_over(*self.settlements[lane], ISP)
            elif step == "disk fails":
                self.handovers[lane].failed()
            elif step == "record":
                handover = self.handovers[lane]
                self.recorded += [report.id - 100 for report, _ in handover.settlement.dsns]
                self.durable.add(lane)
                handover.recorded(True)
            else:
                self.waiting.withdraw()
                self.withdrawn = True
            if self.withdrawn and self.ending is None and not self.waiting.recording:
                self.reply()

    def reply(self) -> None:
        """What the session does as soon as it may."""
        verdict = self.waiting.judge()
        self.ending = verdict.ending
        if verdict.ending not in (Ending.REFUSED, Ending.UNRECORDED):
            self.recorded += [report.id - 100 for report, _ in verdict.owed]
        self.failed_by_then = set(self.durable)


def check(race: Race, states: Sequence[State], origins: Sequence[Origin]) -> None:
    named = {n for n, origin in enumerate(origins) if origin is Origin.RCPT}
    failed = {n for n in named if states[n] is State.FAILED}
    assert len(race.recorded) == len(set(race.recorded)), "a report twice"
    assert race.ending is not None
    if race.ending is Ending.REFUSED:
        assert failed == named, "5yz for a message that was not refused for all"
        assert named <= race.failed_by_then, "5yz before its record"
        assert race.recorded == [], "told by 5yz and by a report"
    elif race.ending is not Ending.UNRECORDED:
        assert set(race.recorded) == failed, "250, and a failure that nobody was told of"
    assert len(race.waiters) == 0


STATES = tuple(OUTCOMES)
BOTH = (Origin.RCPT, Origin.RCPT)


@pytest.mark.parametrize("disk", list(itertools.product(["works", "fails first"], repeat=2)))
@pytest.mark.parametrize("states", list(itertools.product(STATES, repeat=2)))
@pytest.mark.parametrize("origins", [BOTH, (Origin.RCPT, Origin.BCC)])
def test_each_failure_is_told_once(
    states: tuple[State, State], origins: tuple[Origin, Origin], disk: tuple[str, str]
) -> None:
    for order in orders(2, disk):
        race = Race(states, origins)
        race.play(order)
        check(race, states, origins)
        if race.ending is Ending.UNRECORDED:
            culprits = [n for n, one in enumerate(disk) if one == "fails first"]
            assert [n for n in culprits if states[n] is State.FAILED and origins[n] is Origin.RCPT]


def test_both_may_win() -> None:
    endings = set()
    for order in orders(1, ["works"]):
        race = Race([State.FAILED], [Origin.RCPT])
        race.play(order)
        endings.add((race.ending, tuple(race.recorded)))
    assert endings == {(Ending.REFUSED, ()), (Ending.QUEUED, (0,))}


def test_a_refusal_that_the_disk_did_not_take_is_no_promise_and_reported_with_its_record() -> None:
    endings = set()
    for order in orders(1, ["fails first"]):
        race = Race([State.FAILED], [Origin.RCPT])
        race.play(order)
        endings.add((race.ending, tuple(race.recorded)))
    assert endings == {(Ending.UNRECORDED, (0,)), (Ending.QUEUED, (0,))}


def test_three_lanes_that_all_refuse() -> None:
    states, origins = [State.FAILED] * 3, [Origin.RCPT] * 3
    endings = set()
    for order in orders(3, ["works"] * 3):
        race = Race(states, origins)
        race.play(order)
        check(race, states, origins)
        endings.add(race.ending)
    assert endings == {Ending.REFUSED, Ending.QUEUED}


def test_a_claim_that_was_lost_tells_nothing() -> None:
    race = Race([State.FAILED], [Origin.RCPT])
    handover = race.waiters.hand_over(*race.settlements[0], ISP)
    handover.recorded(False)
    race.waiting.withdraw()
    verdict = race.waiting.judge()
    assert (verdict.ending, verdict.owed) == (Ending.QUEUED, ())


async def test_who_is_left_over_for_a_later_attempt_is_queued_and_the_report_goes_along() -> None:
    race = Race([State.FAILED, State.QUEUED], BOTH)
    attempted, settled = race.settlements[0]
    claim = settled.claim
    both = tuple(QueuedRecipient(n, each) for n, each in enumerate(claim.envelope.recipients))
    settled = replace(settled, claim=replace(claim, recipients=both))
    handover = race.waiters.hand_over(attempted, settled, ISP)
    assert handover.settlement.dsns == settled.dsns != ()
    handover.recorded(True)
    assert (await race.waiting.verdict(30)).ending is Ending.QUEUED


async def test_a_wait_ends_when_enough_is_known() -> None:
    for states, ending in [
        ((State.QUEUED, State.FAILED), Ending.QUEUED),
        ((State.HELD, State.FAILED), Ending.HELD),
    ]:
        race = Race(states, BOTH)
        race.waiters.hand_over(*race.settlements[0], ISP).recorded(True)
        assert (await race.waiting.verdict(30)).ending is ending
    race = Race([State.DELIVERED, State.FAILED], BOTH)
    for lane in (0, 1):
        race.waiters.hand_over(*race.settlements[lane], ISP).recorded(True)
    verdict = await race.waiting.verdict(30)
    assert (verdict.ending, verdict.owed) == (Ending.PARTLY, ())
