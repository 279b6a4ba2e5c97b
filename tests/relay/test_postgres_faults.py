"""A spool in PostgreSQL when the server, or the way to it, fails at the worst moment: who was told
that a message is there finds it there, and once."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from fakes.cutting import CuttingProxy
from fakes.peers import needs
from fakes.pgbouncer import PgBouncer
from fakes.postgresql import GUARDED, PASSWORD, PostgreSQL
from fakes.stores import PostgresStore

from relay.config.secret import SecretRef
from relay.envelope import Envelope, Recipient
from relay.spool.errors import SpoolError, SpoolFailing, SpoolTooNew, VaultError
from relay.spool.model import (
    AttemptRecord,
    Claim,
    NewMessage,
    Outcome,
    Placement,
    RecipientResult,
    Settlement,
    State,
)
from relay.spool.postgres import Server, open_spool
from relay.spool.postgres.sql import migrations
from relay.spool.postgres.store import PostgresSpool

pytestmark = needs("postgres")

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
BODY = b"Subject: factuur\r\n\r\nzie bijlage\r\n"
PATIENCE = 60.0


@pytest.fixture
def own() -> Iterator[PostgreSQL]:
    """A server that may be stopped."""
    with PostgreSQL() as server:
        yield server


@pytest.fixture
async def proxy(postgresql: PostgreSQL) -> AsyncIterator[CuttingProxy]:
    async with CuttingProxy(postgresql.port) as proxy:
        yield proxy


@pytest.fixture
async def spool(postgres_store: PostgresStore, proxy: CuttingProxy) -> AsyncIterator[PostgresSpool]:
    url = postgres_store.postgresql.url(postgres_store.database, port=proxy.port)
    opened = await postgres_store.open(lambda: NOW, url=url)
    yield opened
    await opened.close()


async def accept(spool: PostgresSpool, number: int | None = None, size: int = 0) -> int:
    number = number or spool.queue.new_id()
    writer = spool.queue.body_writer(number)
    await writer.write(BODY + b"x" * size)
    message = NewMessage(
        id=number,
        received_at=NOW,
        expires_at=NOW + timedelta(days=5),
        client="kassa",
        client_address="192.168.1.20",
        envelope=Envelope("info@bakkerij.nl", (Recipient("klant@example.net"),)),
        placements=(Placement("isp"),),
        message_id=f"<{number}@kassa>",
    )
    await spool.queue.accept(message, writer)
    return number


async def accept_on(spool: PostgresSpool) -> None:
    while True:
        await accept(spool)


def delivered(claim: Claim) -> Settlement:
    record = AttemptRecord(Outcome.DELIVERED, (0,), "dot", "192.0.2.1", 0.1)
    return Settlement(claim, NOW, (RecipientResult(0, State.DELIVERED),), (record,))


async def patiently(spool: PostgresSpool, settlement: Settlement) -> bool:
    """As the recorder does: until the spool takes it."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                return await spool.queue.settle(settlement)
            except SpoolError:
                await asyncio.sleep(0.1)


async def works_again(spool: PostgresSpool) -> None:
    async with asyncio.timeout(PATIENCE):
        while spool.trouble is not None:
            await asyncio.sleep(0.05)


WORDS = [b"relay_accept", b"COMMIT\x00"]


@pytest.mark.parametrize("answer", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("words", WORDS, ids=["insert", "commit"])
async def test_a_connection_cut_while_a_message_is_accepted(
    spool: PostgresSpool, proxy: CuttingProxy, words: bytes, answer: bool
) -> None:
    proxy.cut(words, answer=answer)
    message = await accept(spool)
    assert proxy.cuts == 1
    assert await spool.queue.ids() == [message]
    (claim,) = await spool.queue.claim("isp", 10)
    assert claim.body == BODY


@pytest.mark.parametrize("answer", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("words", [b"relay_settle", b"COMMIT\x00"], ids=["update", "commit"])
async def test_a_connection_cut_while_an_outcome_is_recorded(
    spool: PostgresSpool, proxy: CuttingProxy, words: bytes, answer: bool
) -> None:
    message = await accept(spool)
    (claim,) = await spool.queue.claim("isp", 1)
    proxy.cut(words, answer=answer)
    assert await spool.queue.settle(delivered(claim))
    assert proxy.cuts == 1
    view = await spool.queue.show(message)
    assert view is not None
    assert (view.state, view.in_doubt) == (State.DELIVERED, False)
    assert [each.outcome for each in view.attempts] == [Outcome.DELIVERED]


async def test_a_claim_whose_answer_was_lost_is_given_back(
    spool: PostgresSpool, proxy: CuttingProxy
) -> None:
    message = await accept(spool)
    proxy.cut(b"COMMIT\x00", answer=True)
    with pytest.raises(SpoolError):
        await spool.queue.claim("isp", 1)
    assert await spool.queue.claim("isp", 1) == ()
    await spool.leases.renew()
    (claim,) = await spool.queue.claim("isp", 1)
    view = await spool.queue.show(message)
    assert view is not None
    assert (claim.message, view.in_doubt) == (message, False)
    # And what is held is not given back.
    await spool.leases.renew()
    assert await spool.queue.claim("isp", 1) == ()


async def test_a_large_message_whose_connection_is_cut_between_two_pieces(
    spool: PostgresSpool, proxy: CuttingProxy
) -> None:
    number = spool.queue.new_id()
    proxy.cut(b"INSERT INTO body", answer=False)
    await accept(spool, number, 2_000_000)
    pieces = [piece async for piece in spool.queue.body(number)]
    assert b"".join(pieces) == BODY + b"x" * 2_000_000


async def test_without_a_server_mail_is_refused_and_taken_again(
    spool: PostgresSpool, proxy: CuttingProxy
) -> None:
    first = await accept(spool)
    proxy.closed = True
    proxy.hang_up()
    with pytest.raises(SpoolFailing):
        await accept(spool)
    assert spool.trouble is not None
    with pytest.raises(SpoolFailing):
        await spool.queue.next_due("isp")
    proxy.closed = False
    await works_again(spool)
    second = await accept(spool)
    assert await spool.queue.ids() == [first, second]


async def test_a_server_without_a_connection_left(postgres_store: PostgresStore) -> None:
    spool = await postgres_store.open(lambda: NOW)
    try:
        await accept(spool)
        postgres_store.postgresql.psql(
            f"ALTER DATABASE {postgres_store.database} CONNECTION LIMIT 0"
        )
        postgres_store.postgresql.psql("ALTER ROLE relay NOSUPERUSER")
        cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname ="
        postgres_store.postgresql.psql(f"{cut} '{postgres_store.database}'")
        with pytest.raises(SpoolFailing):
            await accept(spool)
        postgres_store.postgresql.psql(
            f"ALTER DATABASE {postgres_store.database} CONNECTION LIMIT -1"
        )
        await works_again(spool)
        await accept(spool)
        assert len(await spool.queue.ids()) == 2
    finally:
        postgres_store.postgresql.psql("ALTER ROLE relay SUPERUSER")
        await spool.close()


@dataclass
class Office:
    """Sends, and delivers what is there, while the server is killed."""

    spool: PostgresSpool
    taken: set[int]
    sent: list[int]
    refused: int = 0

    async def send(self, count: int) -> None:
        for _ in range(count):
            number = self.spool.queue.new_id()
            while True:
                try:
                    await accept(self.spool, number, 20_000)
                except SpoolError:
                    self.refused += 1
                    await asyncio.sleep(0.05)
                    number = self.spool.queue.new_id()  # the client comes again
                else:
                    break
            self.taken.add(number)

    async def deliver(self, ended: asyncio.Event) -> None:
        while True:
            try:
                claims = await self.spool.queue.claim("isp", 3)
                done = not claims and ended.is_set() and not await self.spool.queue.ids()
            except SpoolError:
                await asyncio.sleep(0.05)
                continue
            if done:
                return
            for claim in claims:
                self.sent.append(claim.message)
                assert await patiently(self.spool, delivered(claim))
            if not claims:
                await self.spool.leases.renew() if ended.is_set() else await asyncio.sleep(0.01)


@pytest.mark.parametrize("fault", ["kill -9", "restart"])
async def test_a_server_that_dies_under_load_loses_nothing(own: PostgreSQL, fault: str) -> None:
    spool = await PostgresStore(own).open(lambda: NOW, serving=True)
    office = Office(spool, set(), [])
    ended = asyncio.Event()

    async def fail() -> None:
        for _ in range(3):
            before = len(office.taken)
            while len(office.taken) < before + 20:
                await asyncio.sleep(0.01)
            await asyncio.to_thread(own.kill9 if fault == "kill -9" else own.stop)
            await asyncio.to_thread(own.start)

    try:
        async with asyncio.timeout(110), asyncio.TaskGroup() as tasks:
            sending = [tasks.create_task(office.send(40)) for _ in range(4)]
            failing = tasks.create_task(fail())
            tasks.create_task(office.deliver(ended))
            await asyncio.gather(*sending, failing)
            ended.set()
        assert office.refused
        assert office.taken <= set(office.sent)
        # Twice at most where a claim's commit was in doubt: nothing had been sent by then.
        assert len(office.sent) == len(set(office.sent))
        # What is there beside it was refused in doubt, and came again under another id.
        assert len(set(office.sent) - office.taken) <= office.refused
    finally:
        await spool.close()
    # Nothing is left open at the server, no transaction either.
    left = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'relay'"
    async with asyncio.timeout(PATIENCE):
        while own.psql(left) != "0":
            await asyncio.sleep(0.05)


async def test_a_dead_nodes_mail_is_delivered_by_another_in_doubt(
    postgres_store: PostgresStore,
) -> None:
    dead = await postgres_store.open(lambda: NOW, node="dead")
    living = await postgres_store.open(lambda: NOW, node="living")
    try:
        message = await accept(dead)
        (lost,) = await dead.queue.claim("isp", 1)
        assert await living.leases.expire() == 0
        assert await living.queue.claim("isp", 1) == ()
        postgres_store.sql("UPDATE queue SET lease_until = 1")
        await dead.leases.renew()  # alive after all
        assert await living.leases.expire() == 0
        postgres_store.sql("UPDATE queue SET lease_until = 1")
        assert await living.leases.expire() == 1
        assert await living.leases.expire() == 0
        (claim,) = await living.queue.claim("isp", 1)
        assert (claim.message, claim.in_doubt, claim.token > lost.token) == (message, True, True)
        assert not await dead.queue.settle(delivered(lost))
        assert await living.queue.settle(delivered(claim))
        view = await living.queue.show(message)
        assert view is not None
        assert [each.outcome for each in view.attempts] == [
            Outcome.INTERRUPTED,
            Outcome.DELIVERED,
        ]
    finally:
        await dead.close()
        await living.close()


async def test_who_is_late_and_alone_may_still_tell(postgres_store: PostgresStore) -> None:
    late = await postgres_store.open(lambda: NOW, node="late")
    other = await postgres_store.open(lambda: NOW, node="other")
    try:
        message = await accept(late)
        (claim,) = await late.queue.claim("isp", 1)
        postgres_store.sql("UPDATE queue SET lease_until = 1")
        assert await other.leases.expire() == 1
        # Nobody claimed it yet: what is known now is better than the doubt.
        assert await late.queue.settle(delivered(claim))
        view = await other.queue.show(message)
        assert view is not None
        assert (view.state, view.in_doubt, len(view.attempts)) == (State.DELIVERED, False, 1)
        assert await other.queue.claim("isp", 1) == ()
    finally:
        await late.close()
        await other.close()


async def test_many_nodes_claim_each_message_once(postgres_store: PostgresStore) -> None:
    nodes = [await postgres_store.open(lambda: NOW, node=f"node{each}") for each in range(4)]
    try:
        await asyncio.gather(*(accept(nodes[each % 4]) for each in range(120)))

        async def work(node: PostgresSpool) -> list[int]:
            done = []
            while claims := await node.queue.claim("isp", 2):
                for claim in claims:
                    done.append(claim.message)
                    assert await node.queue.settle(delivered(claim))
            return done

        found = await asyncio.gather(*(work(node) for node in nodes for _ in range(3)))
        messages = [message for done in found for message in done]
        assert len(messages) == len(set(messages)) == 120
    finally:
        await asyncio.gather(*(node.close() for node in nodes))


async def test_two_nodes_that_end_the_last_two_lanes_finish_the_message(
    postgres_store: PostgresStore,
) -> None:
    nodes = [await postgres_store.open(lambda: NOW, node=f"node{each}") for each in range(2)]
    try:
        for _ in range(20):
            number = nodes[0].queue.new_id()
            body = nodes[0].queue.body_writer(number)
            await body.write(BODY)
            people = (Recipient("a@example.net"), Recipient("b@example.net"))
            envelope = Envelope("info@bakkerij.nl", people)
            places = (Placement("isp"), Placement("m365"))
            message = NewMessage(
                number, NOW, NOW + timedelta(days=5), "k", "::1", envelope, places, "<x>"
            )
            await nodes[0].queue.accept(message, body)
            (isp,) = await nodes[0].queue.claim("isp", 1)
            (m365,) = await nodes[1].queue.claim("m365", 1)
            second = Settlement(m365, NOW, (RecipientResult(1, State.DELIVERED),), ())
            await asyncio.gather(
                nodes[0].queue.settle(delivered(isp)), nodes[1].queue.settle(second)
            )
            view = await nodes[0].queue.show(number)
            assert view is not None
            assert view.state is State.DELIVERED
        assert await nodes[0].queue.ids() == []
        assert postgres_store.sql("SELECT count(*) FROM body") == "0"
    finally:
        await asyncio.gather(*(node.close() for node in nodes))


async def test_migrations_of_nodes_that_start_at_once_and_one_that_is_broken_off(
    postgresql: PostgreSQL,
) -> None:
    server = Server(postgresql.url(postgresql.database()))
    first = asyncio.create_task(open_spool(server))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    spools = await asyncio.gather(*(open_spool(server, node=f"n{each}") for each in range(3)))
    try:
        assert len(await spools[0].reader.run(lambda c: c.fetch("SELECT name FROM migration"))) == (
            len(migrations())
        )
        await accept(spools[2])
    finally:
        await asyncio.gather(*(spool.close() for spool in spools))


async def test_a_later_version_is_not_guessed_at(postgres_store: PostgresStore) -> None:
    postgres_store.sql("INSERT INTO migration (name) VALUES ('9001_later.sql')")
    with pytest.raises(SpoolTooNew, match="9001"):
        await postgres_store.open()


async def test_a_server_that_may_lose_commits_is_refused(own: PostgreSQL) -> None:
    store = PostgresStore(own)
    spool = await store.open(lambda: NOW)
    try:
        # By itself, and while it runs: a setting of the role does not weaken a commit either.
        own.psql("ALTER ROLE relay SET synchronous_commit = off")
        own.psql("ALTER SYSTEM SET fsync = off")
        own.psql("SELECT pg_reload_conf()")
        async with asyncio.timeout(PATIENCE):
            while own.psql("SHOW fsync") != "off":
                await asyncio.sleep(0.05)
        # Each process of the server rereads it in its own time.
        with pytest.raises(SpoolError, match="fsync"):
            await asyncio.wait_for(accept_on(spool), PATIENCE)
        with pytest.raises(SpoolFailing, match="fsync=off"):
            await store.open()
    finally:
        await spool.close()


async def test_a_role_that_does_not_sync_is_overruled(postgres_store: PostgresStore) -> None:
    postgres_store.sql(f"ALTER DATABASE {postgres_store.database} SET synchronous_commit = off")
    spool = await postgres_store.open(lambda: NOW)
    try:

        async def setting(connection: object) -> str:
            return str(await connection.fetchval("SHOW synchronous_commit"))  # type: ignore[attr-defined]

        assert await spool.reader.run(setting) == "off"
        assert await spool.writers.intake.run(setting) == "on"
        assert await spool.writers.delivery.run(setting) == "on"
    finally:
        await spool.close()


async def test_a_password(postgres_store: PostgresStore, tmp_path: object) -> None:
    url = postgres_store.postgresql.url(postgres_store.database, GUARDED)
    for secret, good in ((PASSWORD, True), ("verkeerd", False)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SPOOL_PASSWORD", secret)
            server = Server(url, SecretRef("env", "SPOOL_PASSWORD"))
            if good:
                await (await open_spool(server)).close()
            else:
                with pytest.raises(SpoolError, match="password"):
                    await open_spool(server)


async def test_tokens_of_a_shared_spool_need_a_key(postgres_store: PostgresStore) -> None:
    spool = await postgres_store.open(lambda: NOW)
    try:
        with pytest.raises(VaultError, match="secret_key"):
            await spool.vault.grant("h", "u")
    finally:
        await spool.close()


@needs("pgbouncer")
async def test_everything_works_behind_a_pooler(postgres_store: PostgresStore) -> None:
    with PgBouncer(postgres_store.postgresql) as pooler:
        url = postgres_store.postgresql.url(postgres_store.database, port=pooler.port)
        nodes = [
            await postgres_store.open(lambda: NOW, node=f"node{each}", url=url, serving=True)
            for each in range(3)
        ]
        try:
            messages = await asyncio.gather(
                *(accept(nodes[each % 3], size=each * 1000) for each in range(60))
            )
            large = await accept(nodes[0], size=1_500_000)

            async def work(node: PostgresSpool) -> list[int]:
                done = []
                while claims := await node.queue.claim("isp", 2):
                    for claim in claims:
                        await node.queue.next_due("isp")
                        pieces = [piece async for piece in node.queue.body(claim.message)]
                        assert len(b"".join(pieces)) == claim.bytes
                        done.append(claim.message)
                        assert await node.queue.settle(delivered(claim))
                return done

            found = await asyncio.gather(*(work(node) for node in nodes))
            assert sorted(each for done in found for each in done) == sorted([*messages, large])
            assert (await nodes[1].queue.page(State.DELIVERED, 100))[0] == 61
        finally:
            await asyncio.gather(*(node.close() for node in nodes))
