"""What nodes use up together of an account, in a real PostgreSQL: never more than one may alone."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pytest
from fakes.peers import needs
from fakes.pgbouncer import PgBouncer
from fakes.stores import PostgresStore

from relay.delivery.pacing import spread
from relay.spool.alone import ALONE
from relay.spool.errors import SpoolError
from relay.spool.postgres.store import PostgresSpool
from relay.spool.sharing import NotYet, Permit, Slot, Terms, Topic, Vitals

pytestmark = needs("postgres")

T = TypeVar("T")

KEY = ("smtp.example.net", "bakker")
VITALS = Vitals("1.0", "digest", datetime(2026, 11, 2, tzinfo=UTC))
FREE = Terms(None, 1, timedelta(), None, None)
GONE = "UPDATE node SET seen_at = seen_at - interval '31 seconds' WHERE id = "


class Nodes(AsyncExitStack):
    """Nodes of one database, each as its process would have it open."""

    def __init__(self, store: PostgresStore) -> None:
        super().__init__()
        self.store = store

    async def add(self, name: str) -> PostgresSpool:
        spool = await self.store.open(node=name)
        self.push_async_callback(spool.close)
        await spool.nodes.beat(VITALS)
        return spool

    async def add_many(self, count: int) -> list[PostgresSpool]:
        return [await self.add(f"node{number}") for number in range(count)]


@pytest.fixture
async def nodes(postgres_store: PostgresStore) -> AsyncIterator[Nodes]:
    async with Nodes(postgres_store) as found:
        yield found


async def until(asked: Awaitable[T]) -> T:
    async with asyncio.timeout(30):
        return await asked


async def took(spool: PostgresSpool, terms: Terms, recipients: int = 1) -> Permit:
    found = await spool.shares.begin(KEY, terms, recipients)
    assert isinstance(found, Permit)
    return found


async def told(spool: PostgresSpool) -> None:
    """What was given back is known to the server."""
    while spool.shares._telling is not None and not spool.shares._telling.done():
        await until(asyncio.wait_for(asyncio.shield(spool.shares._telling), 30))


def paced(per_minute: int) -> Terms:
    return Terms(per_minute, *spread(per_minute), None, None)


def daily(messages: int | None, recipients: int | None) -> Terms:
    return Terms(None, 1, timedelta(), messages, recipients)


async def test_connections_are_shared_however_many_ask_at_once(nodes: Nodes) -> None:
    spools = await nodes.add_many(3)
    asked = [spool.shares.connect(KEY, 4) for spool in spools for _ in range(5)]
    slots = await until(asyncio.gather(*asked))
    assert sum(slot.taken for slot in slots) == 4
    assert nodes.store.sql("SELECT sum(connections) FROM slot") == "4"

    holder = next(spool for spool in spools if spool.shares.connections[KEY])
    other = next(spool for spool in spools if spool is not holder)
    holder.shares.hang_up(KEY)
    await told(holder)
    assert (await other.shares.connect(KEY, 4)).taken
    assert not (await holder.shares.connect(KEY, 4)).taken
    assert (await other.shares.connect(("elsewhere", "bakker"), 1)) == Slot(True, 0)


async def test_a_node_that_is_gone_has_no_connections(nodes: Nodes) -> None:
    dead, living = await nodes.add_many(2)
    assert (await dead.shares.connect(KEY, 1)).taken
    assert await living.shares.connect(KEY, 1) == Slot(False, 1)
    nodes.store.sql(f"{GONE} 'node0'")
    assert await living.shares.connect(KEY, 1) == Slot(True, 0)
    # It only stood still: it takes nothing before it has beaten, and then tells what it has.
    dead.shares.hang_up(KEY)
    assert not (await dead.shares.connect(KEY, 5)).taken
    await dead.nodes.beat(VITALS)
    assert await dead.shares.connect(KEY, 5) == Slot(True, 1)


async def test_a_beat_tells_what_is_really_held(nodes: Nodes) -> None:
    """Where an answer was lost, server and node think otherwise."""
    one, other = await nodes.add_many(2)
    nodes.store.sql(f"INSERT INTO slot VALUES ('{KEY[0]}', '{KEY[1]}', 'node0', 3)")
    nodes.store.sql(
        "INSERT INTO permit (host, username, node, recipients, spread, taken_at)"
        f" VALUES ('{KEY[0]}', '{KEY[1]}', 'node0', 1, '0', now() - interval '2 minutes')"
    )
    assert not (await other.shares.connect(KEY, 3)).taken
    await one.nodes.beat(VITALS)
    assert (await other.shares.connect(KEY, 3)).taken
    assert nodes.store.sql("SELECT count(*) FROM permit WHERE ended_at IS NULL") == "0"


async def test_no_connection_while_the_account_is_paused(nodes: Nodes) -> None:
    (one,) = await nodes.add_many(1)
    pause = f"INSERT INTO account (host, username, paused_at) VALUES ('{KEY[0]}', '{KEY[1]}', 1)"
    nodes.store.sql(pause)
    assert not (await one.shares.connect(KEY, 3)).taken
    nodes.store.sql("UPDATE account SET paused_until = 2")  # its time is over: a try is due
    assert (await one.shares.connect(KEY, 3)).taken


async def test_no_sixty_seconds_see_more_than_the_limit(nodes: Nodes) -> None:
    spools = await nodes.add_many(3)
    terms = Terms(7, 7, timedelta(), None, None)  # all at once, were it not for the minute
    asked = [spool.shares.begin(KEY, terms, 1) for spool in spools for _ in range(6)]
    found = await until(asyncio.gather(*asked))
    permits = [each for each in found if isinstance(each, Permit)]
    assert len(permits) == 7
    assert len({each.id for each in permits}) == 7
    waits = [each.wait for each in found if isinstance(each, NotYet)]
    assert set(waits) == {timedelta(minutes=1)}  # what is under way ends now at the earliest

    for spool in spools:
        mine = [each for each in permits if each.id in spool.shares.permits]
        spool.shares.end(mine, len(mine))
        await told(spool)
    refused = await spools[0].shares.begin(KEY, terms, 1)
    assert isinstance(refused, NotYet)
    assert timedelta(seconds=30) < refused.wait <= timedelta(minutes=1)
    nodes.store.sql("UPDATE permit SET ended_at = ended_at - interval '1 minute' WHERE id < 4")
    again = [await spool.shares.begin(KEY, terms, 1) for spool in spools for _ in range(2)]
    assert sum(isinstance(each, Permit) for each in again) == 3


async def test_messages_are_spread_over_the_minute(nodes: Nodes) -> None:
    one, other = await nodes.add_many(2)
    terms = paced(30)
    for spool in (one, other, one):  # a burst of three
        await took(spool, terms)
    refused = await other.shares.begin(KEY, terms, 1)
    assert isinstance(refused, NotYet)
    assert timedelta() < refused.wait <= terms.interval
    # One that never began gives its place in the row back.
    permit = Permit(max(one.shares.permits), 1)
    one.shares.end([permit], 0)
    await told(one)
    await took(other, terms)


async def test_the_pace_is_one_however_many_ask_at_once(nodes: Nodes) -> None:
    spools = await nodes.add_many(3)
    asked = [spool.shares.begin(KEY, paced(60), 1) for spool in spools for _ in range(10)]
    began = asyncio.get_running_loop().time()
    found = await until(asyncio.gather(*asked))
    seconds = asyncio.get_running_loop().time() - began
    most = 3 + seconds / paced(60).interval.total_seconds() + 1
    assert 3 <= sum(isinstance(each, Permit) for each in found) <= most


async def test_a_day_is_never_overdrawn(nodes: Nodes) -> None:
    spools = await nodes.add_many(3)
    minute = int(datetime.now(UTC).timestamp()) // 60
    used = "INSERT INTO usage (host, username, minute, node, messages, recipients, transactions)"
    nodes.store.sql(f"{used} VALUES ('{KEY[0]}', '{KEY[1]}', {minute - 1439}, 'x', 3, 5, 3)")
    nodes.store.sql(f"{used} VALUES ('{KEY[0]}', '{KEY[1]}', {minute - 1442}, 'x', 9, 9, 9)")
    asked = [spool.shares.begin(KEY, daily(10, None), 1) for spool in spools for _ in range(5)]
    found = await until(asyncio.gather(*asked))
    assert sum(isinstance(each, Permit) for each in found) == 7
    assert {each.day for each in found if isinstance(each, NotYet)} == {True}


async def test_recipients_are_reserved_as_far_as_there_is_room(nodes: Nodes) -> None:
    one, other = await nodes.add_many(2)
    terms = daily(None, 10)
    first = await took(one, terms, 1)
    assert (await one.shares.widen(KEY, terms, first, 6)).recipients == 6
    second = await took(other, terms, 9)
    assert second.recipients == 4
    assert isinstance(await one.shares.begin(KEY, terms, 1), NotYet)
    assert (await one.shares.widen(KEY, terms, first, 9)).recipients == 6
    # What was not used is there for others at once.
    other.shares.end([second], 0)
    await told(other)
    assert (await one.shares.widen(KEY, terms, first, 9)).recipients == 9


async def test_what_a_dead_node_had_under_way_counts_for_a_minute(nodes: Nodes) -> None:
    dead, living = await nodes.add_many(2)
    both = Terms(1, 1, timedelta(), 1, None)
    await took(dead, both)
    nodes.store.sql(f"{GONE} 'node0'")
    await living.nodes.beat(VITALS)  # and buries it
    assert isinstance(await living.shares.begin(KEY, both, 1), NotYet)
    nodes.store.sql("UPDATE permit SET ended_at = ended_at - interval '61 seconds'")
    await took(living, both)


async def test_how_much_others_sent_in_the_last_minute(nodes: Nodes) -> None:
    one, _ = await nodes.add_many(2)
    row = f"'{KEY[0]}', '{KEY[1]}', relay_now() / 60000000"
    nodes.store.sql(f"INSERT INTO usage VALUES ({row}, 'node0', 5, 5, 5)")
    nodes.store.sql(f"INSERT INTO usage VALUES ({row} - 2, 'node1', 7, 7, 7)")
    assert await one.shares.recent(KEY) == 0
    nodes.store.sql(f"INSERT INTO usage VALUES ({row}, 'node1', 3, 3, 4)")
    assert await one.shares.recent(KEY) in (3, 4)  # or the minute has just ended


@needs("pgbouncer")
async def test_a_pooler_may_stand_between(nodes: Nodes) -> None:
    with PgBouncer(nodes.store.postgresql) as pooler:
        url = nodes.store.postgresql.url(nodes.store.database, port=pooler.port)
        spools = [await nodes.store.open(node=name, url=url) for name in ("one", "other")]
        try:
            for spool in spools:
                await spool.nodes.beat(VITALS)
            asked = [spool.shares.connect(KEY, 3) for spool in spools for _ in range(3)]
            slots = await until(asyncio.gather(*asked))
            assert sum(slot.taken for slot in slots) == 3
            begun = [spool.shares.begin(KEY, paced(10), 1) for spool in spools for _ in range(3)]
            found = await until(asyncio.gather(*begun))
            assert sum(isinstance(each, Permit) for each in found) == 3
            async with asyncio.timeout(30), spools[0].shares.turn("token x"):
                assert await spools[1].nodes.changed() == frozenset(Topic)
        finally:
            for spool in spools:
                await spool.close()


async def test_one_has_the_turn(nodes: Nodes) -> None:
    spools = await nodes.add_many(3)
    inside = most = 0

    async def work(spool: PostgresSpool) -> None:
        nonlocal inside, most
        async with spool.shares.turn("token x"):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            await spool.ledger.setting("x")
            inside -= 1

    await until(asyncio.gather(*(work(spool) for spool in spools * 2)))
    assert most == 1


async def test_the_turn_of_a_dead_node_is_over(nodes: Nodes) -> None:
    dead, living = await nodes.add_many(2)
    await dead.shares.turn("token x").__aenter__()
    nodes.store.sql(f"{GONE} 'node0'")
    async with asyncio.timeout(30), living.shares.turn("token x"):
        pass


async def test_a_change_is_known_to_all_once(nodes: Nodes) -> None:
    one, other = await nodes.add_many(2)
    assert await one.nodes.changed() == await other.nodes.changed() == frozenset(Topic)
    assert await one.nodes.changed() == frozenset()
    nodes.store.sql("INSERT INTO adopted VALUES ('192.168.1.9', 'kassa', 0)")
    assert await one.nodes.changed() == await other.nodes.changed() == {Topic.ACCESS}
    await one.ledger.learn(*KEY, '{"max_connections": {"limit": 1, "at": "2026-11-02T09:00:00Z"}}')
    assert await other.nodes.changed() == {Topic.LIMITS}
    await one.ledger.remember("seen:isp", "x")
    await one.ledger.remember("learning_until", "2026-11-02T09:00:00+00:00")
    assert await other.nodes.changed() == {Topic.ACCESS}
    await one.ledger.unblock("isp")
    assert await other.nodes.changed() <= {Topic.LANES}


async def test_a_change_is_told_at_once(nodes: Nodes) -> None:
    """To who is connected to the server itself."""
    one = await nodes.add("one")
    listening = await nodes.store.open(node="listening", serving=True)
    nodes.push_async_callback(listening.close)
    await listening.nodes.changed()
    async with asyncio.timeout(60):
        while not await listening.nodes.changed():
            await one.ledger.remember("learning_until", "2026-11-02T09:00:00+00:00")
            await listening.nodes.wait(600)


async def test_the_nodes_as_the_status_tells_them(nodes: Nodes) -> None:
    old = await nodes.add("old")
    young = await nodes.store.open(node="young")
    nodes.push_async_callback(young.close)
    later = Vitals("1.1", "other", VITALS.started_at + timedelta(hours=1))
    await young.nodes.beat(later)
    await young.shares.connect(KEY, 2)
    found = await old.nodes.listed()
    assert [(each.id, each.version, each.configuration) for each in found] == [
        ("old", "1.0", "digest"),
        ("young", "1.1", "other"),
    ]
    assert [each.connections for each in found] == [0, 1]
    await old.nodes.leave()
    assert [(each.id, each.gone) for each in await young.nodes.listed()] == [
        ("young", False),
        ("old", True),
    ]


async def test_without_the_server_nothing_may_be_used(nodes: Nodes) -> None:
    (one,) = await nodes.add_many(1)
    nodes.store.forget()
    with pytest.raises(SpoolError):
        await until(one.shares.connect(KEY, 1))
    with pytest.raises(SpoolError):
        await until(one.shares.begin(KEY, paced(10), 1))


async def test_the_only_process_asks_nobody() -> None:
    assert await ALONE.connect(KEY, 1) == Slot(True, 0)
    assert await ALONE.begin(KEY, paced(1), 3) == Permit(0, 3)
    assert await ALONE.listed() == ()
    async with ALONE.turn("x"):
        pass
