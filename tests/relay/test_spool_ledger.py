"""The ledger of a spool of either kind: what outlives a restart beside the messages."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from fakes.stores import AnySpool, Store

from presets.reply import Reply
from relay.spool.ledger_entry import (
    AccountPace,
    AdoptedDevice,
    Block,
    BlockedBy,
    PausedAccount,
    RefusedDevice,
)

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


@pytest.fixture
async def spool(store: Store) -> AsyncIterator[AnySpool]:
    opened = await store.open()
    yield opened
    await opened.close()


async def test_a_block_is_kept_and_taken_back(spool: AnySpool) -> None:
    block = Block(
        BlockedBy.SMARTHOST, NOW + timedelta(minutes=2), 2, NOW, "x", Reply(421, "4.3.2", "busy")
    )
    await spool.ledger.learn_size("isp", 20_000_000)
    await spool.ledger.block("isp", block)
    lane = (await spool.ledger.lanes())["isp"]
    assert (lane.block, lane.size_bytes) == (block, 20_000_000)
    await spool.ledger.unblock("isp")
    lane = (await spool.ledger.lanes())["isp"]
    assert (lane.block, lane.size_bytes) == (None, 20_000_000)


async def test_a_paused_account_is_kept_until_resumed(spool: AnySpool) -> None:
    paused = PausedAccount(
        "smtp.ziggo.nl", "a@ziggo.nl", NOW, None, 3, "wrong-password", Reply(535, None, "no"), "ab"
    )
    await spool.ledger.pause(paused)
    assert await spool.ledger.paused() == (paused,)
    assert await spool.ledger.resume("smtp.ziggo.nl", "a@ziggo.nl")
    assert await spool.ledger.paused() == ()
    assert not await spool.ledger.resume("smtp.ziggo.nl", "a@ziggo.nl")


async def test_refusals_add_up_and_adoption_takes_the_device_off_the_list(
    spool: AnySpool,
) -> None:
    later = NOW + timedelta(minutes=1)
    await spool.ledger.note_refused([RefusedDevice("192.168.1.40", 2, NOW, NOW)])
    await spool.ledger.note_refused([RefusedDevice("192.168.1.40", 3, later, later)])
    assert await spool.ledger.refused() == (RefusedDevice("192.168.1.40", 5, NOW, later),)
    device = AdoptedDevice("192.168.1.40", "scanner", later)
    await spool.ledger.adopt(device)
    assert await spool.ledger.refused() == ()
    assert await spool.ledger.adopted() == (device,)
    assert await spool.ledger.disown("192.168.1.40")
    assert not await spool.ledger.disown("192.168.1.40")


async def test_who_was_refused_is_forgotten_by_when_it_was_seen_last(spool: AnySpool) -> None:
    later = NOW + timedelta(minutes=1)
    again = RefusedDevice("192.168.1.40", 2, NOW, later)
    await spool.ledger.note_refused([again, RefusedDevice("192.168.1.41", 1, NOW, NOW)])
    assert await spool.ledger.forget_refused(NOW) == 0
    assert await spool.ledger.forget_refused(later) == 1
    assert await spool.ledger.refused() == (again,)


async def test_settings_are_remembered_and_forgotten(spool: AnySpool) -> None:
    assert await spool.ledger.setting("learning_until") is None
    await spool.ledger.remember("learning_until", "x")
    assert await spool.ledger.setting("learning_until") == "x"
    await spool.ledger.remember("learning_until", None)
    assert await spool.ledger.setting("learning_until") is None


async def test_what_was_learned_of_an_account_is_kept_beside_its_pause(spool: AnySpool) -> None:
    assert await spool.ledger.paces() == ()
    await spool.ledger.learn("h", "u", "{}")
    await spool.ledger.pause(PausedAccount("h", "u", NOW, None, 1, "x", None, None))
    await spool.ledger.resume("h", "u")
    assert await spool.ledger.paces() == (AccountPace("h", "u", None, "{}"),)
    await spool.ledger.learn("h", "u", None)
    assert await spool.ledger.paces() == ()
