"""The spool under what must not matter to it: cancelled callers, hostile texts, flipped bytes."""

import asyncio
import random
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fakes.delivery_rig import Rig, rig_smarthost
from fakes.smarthost import Smarthost
from fakes.spool_writer import connection_of, writer_of
from fakes.stores import AnySpool, Store

from presets.reply import Reply
from relay.envelope import Envelope, Recipient
from relay.spool.errors import SpoolBusy, SpoolFailing
from relay.spool.ledger_entry import (
    AdoptedDevice,
    Block,
    BlockedBy,
    PausedAccount,
    RefusedDevice,
    SenderRule,
)
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
from relay.spool.sqlite import SqliteSpool, open_spool

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
HOSTILE = [
    "'; DROP TABLE message; --",
    '"); DELETE FROM queue; --',
    "nul\0in the middle",
    "lone \udcff\ud800 surrogates",
    "\x1b]0;title\x07\x1b[2J",
    "\r\nX-Injected: 1\r\n",
    "\u202egnp.exe",
    "x" * 2_000_000,
]


@pytest.fixture
async def spool(store: Store) -> AsyncIterator[AnySpool]:
    opened = await store.open(lambda: NOW)
    yield opened
    await opened.close()


@pytest.fixture
async def file_spool(tmp_path: Path) -> AsyncIterator[SqliteSpool]:
    opened = open_spool(tmp_path / "spool.db", lambda: NOW)
    yield opened
    await opened.close()


def new_message(number: int, text: str = "x", recipients: int = 2) -> NewMessage:
    people = tuple(Recipient(f"klant{each}@example.net") for each in range(recipients))
    return NewMessage(
        id=number,
        received_at=NOW,
        expires_at=NOW + timedelta(days=5),
        client="kassa",
        client_address="192.168.1.20",
        envelope=Envelope("info@bakkerij.nl", people, envid=None),
        placements=(Placement("isp"),) * recipients,
        message_id=text,
        subject=text,
        repairs=(("added-date", text),),
    )


async def test_a_caller_that_is_cancelled_leaves_a_whole_message_or_none(
    spool: AnySpool,
) -> None:
    chance = random.Random(13)
    begun = []

    async def accept(number: int) -> None:
        body = spool.queue.body_writer(number)
        await body.write(b"Subject: x\r\n\r\n" + b"y" * 1000)
        if number % 3 == 0:  # is committed in rows as it arrives
            await body.write(b"z" * 1_100_000)
        await spool.queue.accept(new_message(number), body)

    for number in range(1, 101):
        task = asyncio.create_task(accept(number))
        begun.append(task)
        await asyncio.sleep(chance.uniform(0, 0.01))
        task.cancel()
    ended = await asyncio.gather(*begun, return_exceptions=True)
    await accept(1001)  # behind every commit that still waited
    _, views = await spool.queue.page(None, 1000)
    there = {view.id for view in views}
    # Who was told that it is there finds it there; else it is there whole, or not at all.
    assert {number for number, end in enumerate(ended, 1) if end is None} <= there
    for view in views:
        assert len(view.recipients) == 2
        size = sum([len(piece) async for piece in spool.queue.body(view.id)])
        assert size == view.bytes
    if isinstance(spool, SqliteSpool):
        assert not connection_of(spool).in_transaction
    assert {claim.message for claim in await spool.queue.claim("isp", 1000)} == there
    await accept(1000)


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:12]))
async def test_a_hostile_text_is_stored_or_cleaned_in_every_field(
    spool: AnySpool, text: str
) -> None:
    number = spool.queue.new_id()
    body = spool.queue.body_writer(number)
    await body.write(text.encode("utf-8", "surrogatepass"))
    await spool.queue.accept(new_message(number, text), body)
    (claim,) = await spool.queue.claim("isp", 1)
    reply = Reply(451, "4.3.0", text)
    record = AttemptRecord(Outcome.DEFERRED, (0, 1), "dot", "192.0.2.1", 0.1, reply)
    results = (
        RecipientResult(0, State.QUEUED, reply),
        RecipientResult(1, State.HELD, reply, held_for=HeldFor.SENDER),
    )
    # After the send: an exception here would send the message again.
    assert await spool.queue.settle(Settlement(claim, NOW, results, (record,), due_at=NOW))
    await spool.ledger.block("isp", Block(BlockedBy.SMARTHOST, None, 1, NOW, text, reply))
    # An index of PostgreSQL takes 2.7 kB; these are names and addresses.
    key = text if isinstance(spool, SqliteSpool) else text[:500]
    await spool.ledger.pause(PausedAccount(key, key, NOW, None, 1, text, reply, text))
    await spool.ledger.learn(key, key, text)
    await spool.ledger.note_refused([RefusedDevice(key, 1, NOW, NOW)])
    await spool.ledger.adopt(AdoptedDevice(key, text, NOW))
    await spool.ledger.adopt_sender(SenderRule(key, key, text, NOW))
    await spool.ledger.remember(key, text)
    view = await spool.queue.show(number)
    assert view is not None
    shown = view.recipients[0].reply
    assert shown is not None
    assert len(shown.text) <= 2000
    assert shown.text.isprintable()
    assert await spool.queue.totals()
    if isinstance(spool, SqliteSpool):
        assert connection_of(spool).execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_bytes_that_the_disk_changed_do_not_leave(tmp_path: Path) -> None:
    with Smarthost() as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            await rig.dispatcher.stop(0)
            message = await rig.accept("info@bakkerij.nl", ["een@example.net"])
            rig.spool.queue._recent.forget(message)  # as after a restart
            other = await rig.accept("info@bakkerij.nl", ["twee@example.net"])
            connection_of(rig.spool).execute(
                "UPDATE body SET bytes = CAST(replace(CAST(bytes AS TEXT), 'Hello', 'Hullo') AS BLOB)"
                " WHERE message = ?",
                (message,),
            )
            await rig.start()
            await rig.event("delivered")
            for tries, minutes in ((1, 0), (2, 2), (3, 3)):
                rig.advance(minutes=minutes)
                await (rig.event("held") if tries == 3 else rig.event("deferred", tries))
            assert (await rig.show(message)).recipients[0].held_for is HeldFor.POISON
            assert await rig.states(other) == [State.DELIVERED]
        assert [each.recipients[0].address for each in fake.received] == ["twee@example.net"]


async def test_more_commits_than_the_disk_takes_are_refused(file_spool: SqliteSpool) -> None:
    slow = threading.Event()
    first = asyncio.create_task(file_spool._writer.run(lambda connection: slow.wait(20)))
    waiting = [asyncio.create_task(file_spool.ledger.remember("x", "y")) for _ in range(6000)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    slow.set()
    ended = await asyncio.gather(first, *waiting, return_exceptions=True)
    busy = [each for each in ended if isinstance(each, SpoolBusy)]
    assert 400 <= len(busy) <= 1000
    assert all(each is None or each is True or each in busy for each in ended)
    await file_spool.ledger.remember("x", "z")


async def test_a_connection_that_is_replaced_syncs_like_the_first(file_spool: SqliteSpool) -> None:
    before = connection_of(file_spool)
    writer = writer_of(file_spool)
    committer = writer._committer
    committer.trouble = SpoolFailing("as after a failed sync")
    writer._jobs.put(None)  # the thread ends: nobody else uses the connection
    await asyncio.to_thread(writer._thread.join)
    committer.mend()
    assert committer.trouble is None
    assert connection_of(file_spool) is not before
    settings = [
        connection_of(file_spool).execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous")
    ]
    assert settings == ["wal", 2]
