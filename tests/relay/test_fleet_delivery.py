"""Nodes that share a queue: together they keep what one would, and follow what another does."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from fakes.certificates import Authority
from fakes.counting_provider import CountingProvider
from fakes.delivery_rig import rig_smarthost, with_login
from fakes.fleet_rig import FleetRig, NodeRig
from fakes.peers import needs
from fakes.smarthost import Behaviour, Smarthost
from fakes.stores import PostgresStore

from relay.access.rules import AccessRules
from relay.clock import utc_now
from relay.config.model import Alarm, AuthMethod, Dkim, OAuth2, TlsMode
from relay.config.model import Smarthost as Entry
from relay.config.secret import SecretRef
from relay.control.daemon import Offline
from relay.control.page_desk import PageDesk
from relay.delivery.pacing import spread
from relay.delivery.trouble import Trouble
from relay.monitor.alarm_paths import Telling, Told
from relay.monitor.watch import Surroundings, Watch
from relay.spool.ledger_entry import BlockedBy, SenderRule
from relay.spool.vault_entry import Grant
from relay.web.shapes.service import Today

pytestmark = needs("postgres")


def login(authority: Authority) -> Behaviour:
    context = authority.issue().server_context()
    return Behaviour(tls="starttls", context=context, users={"bakker": "geheim"})


def wrong_login(fake: Smarthost, authority: Authority, secret: Path) -> Entry:
    keys = with_login(secret, password="verkeerd")
    return rig_smarthost(fake, tls=TlsMode.STARTTLS, ca_file=authority.ca_file, **keys)


async def test_connections_are_never_more_than_one_node_may_have(
    postgres_store: PostgresStore,
) -> None:
    with Smarthost() as fake:
        entry = rig_smarthost(fake, max_connections=2)
        async with FleetRig(postgres_store, [entry], 3) as rig:
            for node in range(3):
                await rig.accept(40, node)
            await rig.sent(120)
        assert fake.most_connections <= 2
        assert len(fake.accepted) == 120


async def test_the_pace_of_all_is_that_of_one(postgres_store: PostgresStore) -> None:
    with Smarthost() as fake:
        entry = rig_smarthost(fake, max_connections=6, messages_per_minute=120)
        async with FleetRig(postgres_store, [entry], 3) as rig:
            await rig.accept(12)
            await rig.sent(12)
        # By the server's clock, as the smarthost's own may be late by any amount.
        text = postgres_store.sql("SELECT extract(epoch FROM taken_at) FROM permit ORDER BY 1")
        taken = [float(line) for line in text.splitlines()]
        assert len(taken) == len(fake.accepted) == 12
        burst, interval = spread(120)
        for earlier, later in zip(taken, taken[burst:], strict=False):
            assert later - earlier >= interval.total_seconds() - 0.001
        nodes = postgres_store.sql("SELECT count(DISTINCT node) FROM permit")
        assert int(nodes) > 1  # or this would show nothing


async def test_a_day_of_all_is_that_of_one(postgres_store: PostgresStore) -> None:
    with Smarthost() as fake:
        entry = rig_smarthost(fake, max_connections=6, messages_per_day=10, recipients_per_day=15)
        async with FleetRig(postgres_store, [entry], 3) as rig:
            for node in range(3):
                await rig.accept(4, node)
            await rig.accept(4, recipients=3)
            blocked = "SELECT count(*) FROM lane WHERE blocked_by = 'quota'"
            open_ = "SELECT count(*) FROM permit WHERE ended_at IS NULL"
            await rig.until(
                lambda: postgres_store.sql(blocked) == "1" and postgres_store.sql(open_) == "0"
            )
        recipients = sum(len(one.recipients) for one in fake.accepted)
        assert len(fake.accepted) == 10 or recipients == 15
        assert len(fake.accepted) <= 10
        assert recipients <= 15
        used = postgres_store.sql("SELECT sum(messages), sum(recipients) FROM usage")
        assert used == f"{len(fake.accepted)}|{recipients}"


async def test_a_refused_login_pauses_the_account_on_all_nodes(
    postgres_store: PostgresStore, tmp_path: Path, authority: Authority
) -> None:
    with Smarthost(login(authority)) as fake:
        entry = wrong_login(fake, authority, tmp_path / "isp.secret")
        async with FleetRig(postgres_store, [entry], 2) as rig:
            one, other = rig.nodes
            await rig.accept(3)
            await rig.until(lambda: all(n.dispatcher.blocks.paused(entry) for n in rig.nodes))
            logins = [login for each in fake.sessions for login in each.logins]
            assert len(logins) == 1

            (tmp_path / "isp.secret").write_text("geheim")
            # What `relay account resume` does, on the other node.
            await other.spool.ledger.resume(*entry.account or ("", ""))
            await other.dispatcher.account_resumed(*entry.account or ("", ""))
            await rig.until(lambda: one.dispatcher.blocks.paused(entry) is None)
            await rig.sent(3)


async def test_another_password_elsewhere_does_not_end_a_pause(
    postgres_store: PostgresStore, tmp_path: Path, authority: Authority
) -> None:
    """Each node would try its own for ever, in turn."""
    with Smarthost(login(authority)) as fake:
        entry = wrong_login(fake, authority, tmp_path / "one.secret")
        elsewhere = wrong_login(fake, authority, tmp_path / "other.secret")
        (tmp_path / "other.secret").write_text("an older one")
        async with FleetRig(postgres_store, [entry], 2) as rig:
            one, other = (node.dispatcher.blocks for node in rig.nodes)
            other.config = replace(rig.config, smarthosts=(elsewhere,))
            await one.refused(entry, Trouble(BlockedBy.ACCOUNT, "login-refused", None, "535"))
            await rig.until(lambda: other.paused(elsewhere) is not None)
            await rig.until(lambda: not other.pauses._unmarked)
            assert not await other.forget_changed_secrets()
            (tmp_path / "other.secret").write_text("geheim")
            await other.forget_changed_secrets()  # its own watch may be first
            await rig.until(lambda: one.paused(entry) is None)


async def test_a_smarthost_that_fails_one_node_is_left_alone_by_all(
    postgres_store: PostgresStore,
) -> None:
    with Smarthost(Behaviour(script={"CONNECT": "421 4.3.2 not now"})) as fake:
        entry = rig_smarthost(fake)
        async with FleetRig(postgres_store, [entry], 2) as rig:
            await rig.accept(1)
            await rig.until(lambda: all(n.dispatcher.blocked_names() for n in rig.nodes))
            fake.behaviour = Behaviour()
            await rig.nodes[1].dispatcher.try_now()
            await rig.sent(1)
            await rig.until(lambda: not any(n.dispatcher.blocked_names() for n in rig.nodes))


async def test_what_one_node_learns_all_heed(postgres_store: PostgresStore) -> None:
    with Smarthost() as fake:
        entry = rig_smarthost(fake, max_connections=5)
        async with FleetRig(postgres_store, [entry], 2) as rig:
            lesson = {"limit": 1, "at": utc_now().isoformat()}
            await rig.nodes[0].spool.ledger.learn(
                "", "isp", json.dumps({"max_connections": lesson})
            )
            budget = rig.nodes[1].dispatcher._tools.budget
            await rig.until(lambda: budget.of(entry).limits().max_connections == 1)


async def test_a_sender_rule_counts_on_all_nodes(postgres_store: PostgresStore) -> None:
    with Smarthost() as fake:
        async with FleetRig(postgres_store, [rig_smarthost(fake)], 2) as rig:
            rule = SenderRule("isp", "a@bakkerij.nl", "bakker@isp.example", utc_now())
            await rig.nodes[0].spool.ledger.adopt_sender(rule)
            courier = rig.nodes[1].dispatcher._tools.courier
            await rig.until(lambda: courier.sender_rules == (rule,))


async def test_a_block_of_ones_own_is_not_lost_to_what_was_read_before(
    postgres_store: PostgresStore,
) -> None:
    with Smarthost() as fake:
        entry = rig_smarthost(fake)
        async with FleetRig(postgres_store, [entry], 2) as rig:
            blocks = rig.nodes[0].dispatcher.blocks
            until = utc_now() + timedelta(hours=1)
            reading = asyncio.create_task(blocks.reread())
            await blocks.used_up(entry, until, "quota-used-up")
            await reading
            found = blocks.blocked(entry)
            assert found is not None
            assert (found.by, found.until) == (BlockedBy.QUOTA, until)


async def test_two_nodes_refresh_a_token_once(
    postgres_store: PostgresStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = CountingProvider()
    monkeypatch.setattr("relay.account.provider.provider_of", lambda _: provider)
    key = tmp_path / "spool.key"
    key.touch(0o600)
    key.write_text("sleutel")
    secret = tmp_path / "client.secret"
    secret.touch(0o600)
    secret.write_text("x")
    entry = Entry(
        name="m365",
        host="smtp.office365.com",
        auth=AuthMethod.OAUTH2,
        username="boekhouding@bakkerij.example",
        oauth2=OAuth2(client_id="app"),
    )
    async with FleetRig(postgres_store, [entry], 3, key) as rig:
        provider.go.clear()
        now = utc_now()
        grant = Grant("refresh-0", None, None, now, now)
        await rig.nodes[0].spool.vault.keep(*entry.account or ("", ""), grant)
        asked = [
            asyncio.create_task(node.dispatcher.tokens.access_token(entry)) for node in rig.nodes
        ]
        await rig.until(lambda: len(provider.asked) == 1)
        turns = postgres_store.sql("SELECT count(*) FROM turn")
        assert turns == "1"
        provider.go.set()
        async with asyncio.timeout(60):
            found = await asyncio.gather(*asked)
        assert len(provider.asked) == 1
        assert len(set(found)) == 1
        assert isinstance(found[0], str)


class Paths:
    """Stands for the ways out of all nodes."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    async def tell(self, telling: Telling, skipped: object = ()) -> list[Told]:
        self.told.append((telling.notice.stage.value, telling.notice.kind))
        return [Told("syslog", "x")]


def watch_of(node: NodeRig, paths: Paths) -> Watch:
    config = replace(node.config, alarms=(Alarm(syslog=True),))
    around = Surroundings(
        lambda: config, lambda: AccessRules.build((), {}), lambda: node.fleet.leads
    )
    return Watch(node.spool, around, paths, utc_now)  # type: ignore[arg-type]


async def test_what_all_see_is_told_once_whoever_leads(postgres_store: PostgresStore) -> None:
    with Smarthost() as fake:
        async with FleetRig(postgres_store, [rig_smarthost(fake)], 2) as rig:
            one, other = rig.nodes
            other.config = replace(other.config, digest="another")
            await other.fleet.join()
            await rig.until(lambda: one.fleet.leads)
            paths = Paths()
            watches = [watch_of(node, paths) for node in rig.nodes]
            for _ in range(2):
                for watch in watches:
                    await watch.look()
            assert paths.told == [("raised", "nodes-differ")]

            # The first one goes, another of its kind comes: who leads now knows what was told.
            one.fleet.leads, other.fleet.leads = False, True
            for watch in reversed(watches):
                await watch.look()
            assert paths.told == [("raised", "nodes-differ")]


async def test_what_one_node_alone_sees_it_tells_itself(
    postgres_store: PostgresStore, tmp_path: Path
) -> None:
    with Smarthost() as fake:
        async with FleetRig(postgres_store, [rig_smarthost(fake)], 2) as rig:
            follower = rig.nodes[1]
            key = SecretRef("file", str(tmp_path / "missing.key"))
            follower.config = replace(follower.config, dkim=(Dkim("bakkerij.nl", "s1", key),))
            paths = Paths()
            await watch_of(rig.nodes[0], paths).look()
            await watch_of(follower, paths).look()
            assert paths.told == [("raised", "dkim-key")]


async def test_a_node_that_was_taken_for_gone_asks_anew(postgres_store: PostgresStore) -> None:
    with Smarthost() as fake:
        async with FleetRig(postgres_store, [rig_smarthost(fake)], 1) as rig:
            await rig.accept(1)
            await rig.sent(1)
            rig.nodes[0].dispatcher.outlived()
            await rig.accept(1)
            await rig.sent(2)
        assert len(fake.sessions) == 2  # not over the connection that it had


async def test_the_page_tells_of_every_node(postgres_store: PostgresStore) -> None:
    with Smarthost() as fake:
        async with FleetRig(postgres_store, [rig_smarthost(fake)], 2) as rig:
            one, other = rig.nodes
            other.config = replace(other.config, digest="another")
            await other.fleet.join()
            desk = PageDesk(one.spool, Offline(one.config, one.spool), utc_now)
            found = await desk.today()
            Today.model_validate(found)
            told = [(each["id"], each["here"], each["differs"]) for each in found["nodes"]]
            assert told == [("node0", True, False), ("node1", False, True)]
            assert "nodes-differ" in {each["slug"] for each in found["health"]["causes"]}


async def test_the_oldest_node_tells_of_what_all_see(postgres_store: PostgresStore) -> None:
    with Smarthost() as fake:
        async with FleetRig(postgres_store, [rig_smarthost(fake)], 2) as rig:
            await rig.until(lambda: rig.nodes[0].fleet.leads)
            assert not rig.nodes[1].fleet.leads
