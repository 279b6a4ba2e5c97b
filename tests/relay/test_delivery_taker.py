"""A message that goes from its acceptance into the hands of a worker who waits for it."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from fakes.delivery_rig import CONTENT, Rig, rig_smarthost
from fakes.smarthost import Smarthost

from relay.delivery.taker import Taker
from relay.envelope import Envelope, Recipient
from relay.spool.errors import SpoolError
from relay.spool.model import Claim, HeldFor, NewMessage, Placement, State
from relay.spool.protocol import BodyWriter
from relay.spool.sqlite import open_spool

LANE = (Placement("isp"),)


async def coming(rig: Rig, placements: Sequence[Placement] = LANE) -> tuple[NewMessage, BodyWriter]:
    """A message that is about to be accepted."""
    message = NewMessage(
        id=rig.spool.queue.new_id(),
        received_at=rig.now,
        expires_at=rig.now + timedelta(days=5),
        client="kassa",
        client_address="192.168.1.20",
        envelope=Envelope(
            "info@b.nl", tuple(Recipient(f"k{n}@e.net") for n in range(len(placements)))
        ),
        placements=tuple(placements),
        message_id="<1@b.nl>",
    )
    body = rig.spool.queue.body_writer(message.id)
    await body.write(CONTENT)
    return message, body


async def idle_worker(rig: Rig) -> Taker:
    """One that has delivered a message and waits for the next."""
    await rig.accept("info@b.nl", ["eerst@e.net"])
    await rig.event("delivered")
    while (taker := rig.dispatcher.taker(LANE)) is None:
        await rig.settled()
    return taker


async def test_an_idle_worker_gets_it_without_looking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Smarthost() as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            taker = await idle_worker(rig)
            looked: list[str] = []
            monkeypatch.setattr(rig.spool.queue, "claim", lambda *given: looked.append("?"))
            message, body = await coming(rig, LANE * 2)
            claim = await rig.spool.queue.accept(message, body, claim=True)
            assert claim is not None
            assert await taker.take(claim)
            await rig.event("delivered", 2)
            monkeypatch.undo()
            assert looked == []
            view = await rig.show(message.id)
            assert [each.state for each in view.recipients] == [State.DELIVERED] * 2
            assert [attempt.recipients for attempt in view.attempts] == [("k0@e.net", "k1@e.net")]
        assert fake.received[-1].content == fake.received[0].content
        assert len(fake.sessions) == 1


async def test_what_is_claimed_at_once_is_the_same_as_claimed_later(tmp_path: Path) -> None:
    with Smarthost() as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            await rig.dispatcher.stop(0)
            message, body = await coming(rig)
            claim = await rig.spool.queue.accept(message, body, claim=True)
            assert claim is not None
            assert await rig.spool.queue.claim("isp", 1) == ()
            await rig.spool.queue.unclaim(claim)
            (later,) = await rig.spool.queue.claim("isp", 1)
            assert (later.token, claim.token) == (2, 1)
            assert {name: getattr(later, name) for name in Claim.__slots__ if name != "token"} == {
                name: getattr(claim, name) for name in Claim.__slots__ if name != "token"
            }


async def test_nobody_takes_what_has_to_wait(tmp_path: Path) -> None:
    with Smarthost() as fake:
        two = [rig_smarthost(fake), rig_smarthost(fake, "other", max_connections=1)]
        async with Rig(tmp_path, two) as rig:
            assert rig.dispatcher.taker(LANE) is None  # nobody is connected
            (await idle_worker(rig)).release()
            for placements in (
                (Placement("isp", HeldFor.TRIAL),),
                (Placement("isp"), Placement("other")),
                (Placement("nowhere"),),
            ):
                assert rig.dispatcher.taker(placements) is None


async def test_where_a_limit_counts_it_goes_through_the_queue(tmp_path: Path) -> None:
    with Smarthost() as fake:
        limited = rig_smarthost(fake, messages_per_minute=600)
        async with Rig(tmp_path, [limited]) as rig:
            await rig.accept("info@b.nl", ["eerst@e.net"])
            await rig.event("delivered")
            await rig.settled()
            assert rig.dispatcher.taker(LANE) is None


async def test_a_message_that_does_not_come_leaves_the_worker_to_others(tmp_path: Path) -> None:
    with Smarthost() as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            (await idle_worker(rig)).release()
            await rig.accept("info@b.nl", ["dan@e.net"])
            await rig.event("delivered", 2)
        assert len(fake.sessions) == 1


async def test_a_store_that_gives_no_claim_leaves_it_in_the_queue(tmp_path: Path) -> None:
    with Smarthost() as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            taker = await idle_worker(rig)
            message, body = await coming(rig)
            assert await rig.spool.queue.accept(message, body) is None
            assert not await taker.take(None)
            rig.dispatcher.wake({"isp"})
            await rig.event("delivered", 2)


async def test_a_worker_that_ends_meanwhile_puts_it_back(tmp_path: Path) -> None:
    with Smarthost() as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            taker = await idle_worker(rig)
            message, body = await coming(rig)
            await rig.dispatcher.stop(0)
            claim = await rig.spool.queue.accept(message, body, claim=True)
            assert await taker.take(claim)
            (view,) = await rig.waiting()
            assert not view.leased
            await rig.start()
            await rig.event("delivered", 2)
            shown = await rig.show(message.id)
            assert not shown.in_doubt
            assert len(shown.attempts) == 1


async def test_a_worker_cut_off_with_it_in_hand_puts_it_back(tmp_path: Path) -> None:
    with Smarthost() as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            lane = rig.dispatcher._crews["isp"].lane
            await rig.dispatcher.stop(0)
            resting = asyncio.create_task(lane.rest(20))
            while (waiter := lane._next_idle()) is None:
                await asyncio.sleep(0)
            message, body = await coming(rig)
            claim = await rig.spool.queue.accept(message, body, claim=True)
            assert await Taker(waiter, lane.put_back).take(claim)
            resting.cancel()  # before it had a turn
            with pytest.raises(asyncio.CancelledError):
                await resting
            view = await rig.show(message.id)
            assert not view.leased
            assert view.attempts == ()


async def test_a_client_that_leaves_during_the_commit_leaves_no_claim_behind(
    tmp_path: Path,
) -> None:
    """The commit goes on without its session, and the worker gets the message."""
    with Smarthost() as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            taker = await idle_worker(rig)
            message, body = await coming(rig)
            session = asyncio.create_task(
                taker.accept(rig.spool.queue.accept(message, body, claim=True))
            )
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert not session.done()
            session.cancel()
            with pytest.raises(asyncio.CancelledError):
                await session
            await rig.event("delivered", 2)
            assert await rig.states(message.id) == [State.DELIVERED]


async def test_a_commit_that_fails_lets_the_worker_go(tmp_path: Path) -> None:
    async def failing() -> Claim | None:
        raise SpoolError("no")

    with Smarthost() as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            taker = await idle_worker(rig)
            with pytest.raises(SpoolError):
                await taker.accept(failing())
            await rig.accept("info@b.nl", ["dan@e.net"])
            await rig.event("delivered", 2)
        assert len(fake.sessions) == 1


async def test_after_a_crash_it_is_there_and_in_doubt(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    with Smarthost() as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            await rig.dispatcher.stop(0)
            message, body = await coming(rig)
            assert await rig.spool.queue.accept(message, body, claim=True) is not None
        spool = open_spool(path)
        try:
            view = await spool.queue.show(message.id)
            assert view is not None
            assert (view.in_doubt, view.leased) == (True, False)
            assert [claim.message for claim in await spool.queue.claim("isp", 10)] == [message.id]
        finally:
            await spool.close()


async def test_a_large_message_goes_through_the_queue(tmp_path: Path) -> None:
    with Smarthost() as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            message, body = await coming(rig)
            await body.write(b"x" * 300_000 + b"\r\n")
            assert await rig.spool.queue.accept(message, body, claim=True) is None
            rig.dispatcher.wake({"isp"})
            await rig.event("delivered")
