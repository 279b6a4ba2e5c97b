"""The queue of a spool of either kind: accepted, claimed, settled, acted on."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fakes.stores import AnySpool, Store

from presets.reply import Reply
from relay.envelope import Envelope, Origin, Recipient
from relay.spool.errors import BodyDamaged, SpoolError
from relay.spool.ledger_entry import Block, BlockedBy
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
from relay.spool.sqlite import SqliteSpool

START = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


class Clock:
    """Time that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **span: float) -> None:
        self.now += timedelta(**span)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def spool(store: Store, clock: Clock) -> AsyncIterator[AnySpool]:
    opened = await store.open(clock)
    yield opened
    await opened.close()


async def accept(
    spool: AnySpool,
    *lanes: str,
    body: bytes = b"Subject: x\r\n\r\nhello\r\n",
    held_for: HeldFor | None = None,
    envelope: Envelope | None = None,
    address: str = "192.168.1.20",
) -> int:
    """Accept a message with one recipient for each lane; its id."""
    number = spool.queue.new_id()
    writer = spool.queue.body_writer(number)
    for start in range(0, len(body), 65_536):
        await writer.write(body[start : start + 65_536])
    recipients = tuple(Recipient(f"klant{place}@example.net") for place in range(len(lanes)))
    message = NewMessage(
        id=number,
        received_at=START,
        expires_at=START + timedelta(days=5),
        client="kassa",
        client_address=address,
        envelope=envelope or Envelope("info@mijnbakkerij.nl", recipients),
        placements=tuple(Placement(lane, held_for) for lane in lanes),
        message_id="<1@kassa>",
        repairs=(("added-date", "Sat"),),
    )
    await spool.queue.accept(message, writer)
    return number


def settled(claim, *results: RecipientResult, **fields) -> Settlement:
    outcome = {
        State.DELIVERED: Outcome.DELIVERED,
        State.FAILED: Outcome.FAILED,
        State.HELD: Outcome.HELD,
        State.QUEUED: Outcome.DEFERRED,
    }
    attempts = tuple(
        AttemptRecord(outcome[each.state], (each.position,), "dot", "192.0.2.1", 0.1, each.reply)
        for each in results
    )
    return Settlement(claim, START, results, attempts, **fields)


async def body_of(spool: AnySpool, message: int) -> bytes:
    return b"".join([piece async for piece in spool.queue.body(message)])


async def test_what_was_accepted_is_claimed_with_its_whole_envelope(spool: AnySpool) -> None:
    envelope = Envelope(
        reverse_path=None,
        recipients=(
            Recipient("a@example.net", frozenset({"SUCCESS", "FAILURE"}), "rfc822;a+40x"),
            Recipient("b@example.net", frozenset({"NEVER"}), None, Origin.BCC),
        ),
        ret="HDRS",
        envid="QQ314159",
        body_8bit=True,
        smtputf8=True,
    )
    message = await accept(spool, "isp", "isp", envelope=envelope)
    (claim,) = await spool.queue.claim("isp", 10)
    assert claim.message == message
    assert claim.envelope == envelope
    assert [queued.recipient for queued in claim.recipients] == list(envelope.recipients)
    assert (claim.client, claim.client_address) == ("kassa", "192.168.1.20")
    assert claim.bytes == len(await body_of(spool, message))


async def test_a_claimed_message_is_not_claimed_again(spool: AnySpool) -> None:
    await accept(spool, "isp")
    assert len(await spool.queue.claim("isp", 10)) == 1
    assert await spool.queue.claim("isp", 10) == ()
    assert await spool.queue.next_due("isp") is None


async def test_claims_come_oldest_first_and_only_of_the_lane(spool: AnySpool) -> None:
    first = await accept(spool, "isp")
    other = await accept(spool, "m365")
    second = await accept(spool, "isp")
    assert [claim.message for claim in await spool.queue.claim("isp", 2)] == [first, second]
    assert [claim.message for claim in await spool.queue.claim("m365", 2)] == [other]


async def test_a_message_for_two_lanes_is_claimed_in_each_for_its_own_recipients(
    spool: AnySpool,
) -> None:
    await accept(spool, "isp", "m365", "isp")
    (isp,) = await spool.queue.claim("isp", 10)
    (m365,) = await spool.queue.claim("m365", 10)
    assert [queued.position for queued in isp.recipients] == [0, 2]
    assert [queued.position for queued in m365.recipients] == [1]


async def test_delivered_to_all_means_finished_and_the_body_gone(spool: AnySpool) -> None:
    message = await accept(spool, "isp")
    (claim,) = await spool.queue.claim("isp", 1)
    reply = Reply(250, "2.0.0", "queued as 4711")
    assert await spool.queue.settle(settled(claim, RecipientResult(0, State.DELIVERED, reply)))
    view = await spool.queue.show(message)
    assert view is not None
    assert view.state is State.DELIVERED
    assert view.recipients[0].reply == reply
    assert [attempt.outcome for attempt in view.attempts] == [Outcome.DELIVERED]
    assert await body_of(spool, message) == b""
    assert await spool.queue.page(None, 10) == (0, ())
    assert (await spool.queue.page(State.DELIVERED, 10))[0] == 1


async def test_each_recipient_keeps_its_own_fate(spool: AnySpool, clock: Clock) -> None:
    message = await accept(spool, "isp", "isp", "isp")
    (claim,) = await spool.queue.claim("isp", 1)
    later = START + timedelta(minutes=1)
    await spool.queue.settle(
        settled(
            claim,
            RecipientResult(0, State.DELIVERED),
            RecipientResult(1, State.QUEUED, Reply(451, "4.3.0", "later")),
            RecipientResult(2, State.FAILED, Reply(550, "5.1.1", "unknown")),
            due_at=later,
            counts=True,
        )
    )
    view = await spool.queue.show(message)
    assert view is not None
    assert [each.state for each in view.recipients] == [
        State.DELIVERED,
        State.QUEUED,
        State.FAILED,
    ]
    assert view.state is State.QUEUED
    assert (view.waiting_for, view.next_attempt_at) == ("schedule", later)
    assert len(view.attempts) == 3
    assert await spool.queue.claim("isp", 1) == ()
    clock.forward(minutes=2)
    (again,) = await spool.queue.claim("isp", 1)
    assert [queued.position for queued in again.recipients] == [1]
    assert again.tries == 1


async def test_a_settlement_counts_once(spool: AnySpool) -> None:
    await accept(spool, "isp")
    (claim,) = await spool.queue.claim("isp", 1)
    settlement = settled(claim, RecipientResult(0, State.DELIVERED))
    assert await spool.queue.settle(settlement)
    assert not await spool.queue.settle(settlement)


async def test_a_settlement_with_an_old_token_changes_nothing(spool: AnySpool) -> None:
    message = await accept(spool, "isp")
    (old,) = await spool.queue.claim("isp", 1)
    await spool.queue.settle(settled(old, RecipientResult(0, State.QUEUED)))
    (new,) = await spool.queue.claim("isp", 1)
    assert new.token > old.token
    assert not await spool.queue.settle(settled(old, RecipientResult(0, State.FAILED)))
    view = await spool.queue.show(message)
    assert view is not None
    assert view.state is State.QUEUED


async def test_a_failure_and_its_report_are_one_transaction(spool: AnySpool) -> None:
    await accept(spool, "isp")
    (claim,) = await spool.queue.claim("isp", 1)
    number = spool.queue.new_id()
    report = NewMessage(
        number,
        START,
        START + timedelta(days=5),
        "relay",
        "relay",
        Envelope(None, (Recipient("info@mijnbakkerij.nl"),)),
        (Placement("isp"),),
        "<report@relay>",
        is_dsn=True,
    )
    failed = RecipientResult(0, State.FAILED, Reply(550, None, "no"))
    await spool.queue.settle(settled(claim, failed, dsns=((report, b"From: x\r\n\r\n"),)))
    (claim,) = await spool.queue.claim("isp", 1)
    assert claim.message == number
    assert claim.is_dsn
    assert await body_of(spool, number) == b"From: x\r\n\r\n"


async def test_held_mail_is_not_claimed_until_released(spool: AnySpool) -> None:
    message = await accept(spool, "isp", held_for=HeldFor.TRIAL)
    assert await spool.queue.claim("isp", 1) == ()
    view = await spool.queue.show(message)
    assert view is not None
    assert (view.state, view.waiting_for) == (State.HELD, "hold")
    assert (await spool.queue.release([message])).changed == (message,)
    assert len(await spool.queue.claim("isp", 1)) == 1


async def test_sandbox_mail_says_what_it_waits_for(spool: AnySpool) -> None:
    message = await accept(spool, "", held_for=HeldFor.SANDBOX)
    view = await spool.queue.show(message)
    assert view is not None
    assert view.waiting_for == "sandbox"
    assert await spool.queue.ids(HeldFor.SANDBOX) == [message]
    assert await spool.queue.ids(HeldFor.SANDBOX, "10.0.0.9") == []


async def test_held_while_attempted_stays_held_where_it_was_not_delivered(
    spool: AnySpool,
) -> None:
    message = await accept(spool, "isp", "isp")
    (claim,) = await spool.queue.claim("isp", 1)
    await spool.queue.hold([message])
    await spool.queue.settle(
        settled(claim, RecipientResult(0, State.DELIVERED), RecipientResult(1, State.QUEUED))
    )
    view = await spool.queue.show(message)
    assert view is not None
    assert [each.state for each in view.recipients] == [State.DELIVERED, State.HELD]
    assert await spool.queue.claim("isp", 1) == ()


async def test_actions_tell_changed_unchanged_and_unknown(spool: AnySpool) -> None:
    held = await accept(spool, "isp", held_for=HeldFor.TRIAL)
    queued = await accept(spool, "isp")
    acted = await spool.queue.hold([held, queued, 7])
    assert (acted.changed, acted.unchanged, acted.unknown) == ((queued,), (held,), (7,))


async def test_deleted_mail_is_finished_without_a_report(spool: AnySpool) -> None:
    message = await accept(spool, "isp", "m365")
    await spool.queue.delete([message])
    view = await spool.queue.show(message)
    assert view is not None
    assert view.state is State.DELETED
    assert await body_of(spool, message) == b""
    assert await spool.queue.lanes_waiting() == ()


async def test_rerouted_mail_waits_in_the_other_lane_and_stays_pinned(spool: AnySpool) -> None:
    message = await accept(spool, "isp")
    await spool.queue.reroute([message], "m365")
    assert await spool.queue.claim("isp", 1) == ()
    (claim,) = await spool.queue.claim("m365", 1)
    assert claim.recipients[0].pinned == "m365"


async def test_retry_makes_due_now(spool: AnySpool, clock: Clock) -> None:
    message = await accept(spool, "isp")
    (claim,) = await spool.queue.claim("isp", 1)
    await spool.queue.settle(
        settled(claim, RecipientResult(0, State.QUEUED), due_at=START + timedelta(hours=1))
    )
    assert await spool.queue.claim("isp", 1) == ()
    await spool.queue.retry([message])
    assert len(await spool.queue.claim("isp", 1)) == 1


async def test_a_blocked_lane_is_what_its_mail_waits_for(spool: AnySpool) -> None:
    message = await accept(spool, "isp")
    until = START + timedelta(minutes=5)
    await spool.ledger.block("isp", Block(BlockedBy.SMARTHOST, until, 1, START, "x"))
    view = await spool.queue.show(message)
    assert view is not None
    assert (view.waiting_for, view.next_attempt_at) == ("smarthost", until)
    await spool.ledger.block("isp", Block(BlockedBy.ACCOUNT, None, 1, START, "x"))
    view = await spool.queue.show(message)
    assert view is not None
    assert (view.waiting_for, view.next_attempt_at) == ("account", None)


async def test_past_its_lifetime_in_a_blocked_lane_mail_is_held(
    spool: AnySpool, clock: Clock
) -> None:
    message = await accept(spool, "isp")
    clock.forward(days=6)
    assert await spool.queue.hold_expired() == ()
    await spool.ledger.block("isp", Block(BlockedBy.ACCOUNT, None, 1, START, "x"))
    assert await spool.queue.hold_expired() == (message,)
    view = await spool.queue.show(message)
    assert view is not None
    assert view.recipients[0].held_for is HeldFor.LIFETIME


async def test_a_large_message_reads_back_byte_for_byte(spool: AnySpool) -> None:
    body = b"Subject: groot\r\n\r\n" + bytes(range(256)) * 12_000
    message = await accept(spool, "isp", body=body)
    pieces = [piece async for piece in spool.queue.body(message)]
    assert b"".join(pieces) == body
    assert len(pieces) > 2
    assert len(pieces[0]) >= 1_000_000


async def test_a_discarded_message_leaves_nothing(spool: AnySpool) -> None:
    number = spool.queue.new_id()
    writer = spool.queue.body_writer(number)
    for _ in range(40):
        await writer.write(b"x" * 65_536)
    assert await body_of(spool, number) != b""
    await writer.discard()
    assert await body_of(spool, number) == b""


async def test_hostile_text_is_stored_clean(spool: AnySpool) -> None:
    message = await accept(spool, "isp")
    (claim,) = await spool.queue.claim("isp", 1)
    hostile = Reply(250, None, "ok \udcff\0'; DROP TABLE message; --")
    assert await spool.queue.settle(settled(claim, RecipientResult(0, State.DELIVERED, hostile)))
    view = await spool.queue.show(message)
    assert view is not None
    assert view.recipients[0].reply is not None
    assert "DROP TABLE" in view.recipients[0].reply.text
    assert "\0" not in view.recipients[0].reply.text


async def test_work_that_fails_spoils_no_other_of_the_same_commit(spool: AnySpool) -> None:
    number = await accept(spool, "isp")
    writer = spool.queue.body_writer(number)
    await writer.write(b"again")
    duplicate = NewMessage(
        number,
        START,
        START,
        "x",
        "x",
        Envelope(None, (Recipient("a@b.nl"),)),
        (Placement("isp"),),
        "",
    )
    with pytest.raises(SpoolError):
        await spool.queue.accept(duplicate, writer)
    other = await accept(spool, "isp")
    assert await spool.queue.show(other) is not None


async def test_finished_mail_is_forgotten_after_its_time(spool: AnySpool) -> None:
    message = await accept(spool, "isp")
    waiting = await accept(spool, "isp")
    await spool.queue.delete([message])
    assert await spool.queue.purge(START, 100) == 0
    assert await spool.queue.purge(START + timedelta(days=31), 100) == 1
    assert await spool.queue.show(message) is None
    assert await spool.queue.show(waiting) is not None


async def test_totals_count_what_waits(spool: AnySpool) -> None:
    await accept(spool, "isp")
    await accept(spool, "m365")
    await accept(spool, "isp", held_for=HeldFor.TRIAL)
    totals = await spool.queue.totals()
    assert (totals.queued, totals.held) == (2, 1)
    assert totals.oldest_queued_at == START
    assert dict(totals.by_lane) == {"isp": 1, "m365": 1}


async def test_relaned_recipients_keep_their_due_time(spool: AnySpool, clock: Clock) -> None:
    message = await accept(spool, "isp")
    (claim,) = await spool.queue.claim("isp", 1)
    due_at = START + timedelta(hours=1)
    await spool.queue.settle(settled(claim, RecipientResult(0, State.QUEUED), due_at=due_at))
    await spool.queue.relane([(message, 0, "m365")])
    assert await spool.queue.next_due("isp") is None
    assert await spool.queue.next_due("m365") == due_at


async def test_a_small_message_comes_with_its_claim(spool: AnySpool) -> None:
    await accept(spool, "isp", body=b"Subject: klein\r\n\r\nhallo\r\n")
    await accept(spool, "isp", body=b"Subject: groot\r\n\r\n" + b"x" * 300_000)
    small, large = await spool.queue.claim("isp", 10)
    assert small.body == b"Subject: klein\r\n\r\nhallo\r\n"
    assert large.body is None


async def test_a_claim_never_carries_damaged_bytes(spool: AnySpool, store: Store) -> None:
    message = await accept(spool, "isp")
    await store.change(spool, "UPDATE body SET crc = crc + 1")
    (claim,) = await spool.queue.claim("isp", 1)
    assert claim.body is None
    with pytest.raises(BodyDamaged):
        await body_of(spool, message)


async def test_a_settlement_and_the_next_claim_go_side_by_side(spool: AnySpool) -> None:
    first, second = await accept(spool, "isp"), await accept(spool, "isp")
    (claim,) = await spool.queue.claim("isp", 1)
    done = settled(claim, RecipientResult(0, State.DELIVERED))
    recorded, (following,) = await asyncio.gather(
        spool.queue.settle(done), spool.queue.claim("isp", 1)
    )
    assert (claim.message, recorded, following.message) == (first, True, second)
    assert [view.id for view in await spool.queue.unfinished(0, 10)] == [second]


async def test_work_that_fails_spoils_nobody_else(spool: AnySpool) -> None:
    def fails(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO setting (name, value) VALUES ('half', 'done')")
        raise ValueError("a fault of ours")

    async def fails_too(connection: Any) -> None:
        await connection.execute("INSERT INTO setting (name, value) VALUES ('half', 'done')")
        raise ValueError("a fault of ours")

    await accept(spool, "isp")
    if isinstance(spool, SqliteSpool):
        failing = spool._writer.run(fails)
    else:
        failing = spool.writers.delivery.run(fails_too)
    failed, (claim,) = await asyncio.gather(
        failing, spool.queue.claim("isp", 1), return_exceptions=True
    )
    assert isinstance(failed, ValueError)
    assert await spool.ledger.setting("half") is None
    assert claim.token == 1
