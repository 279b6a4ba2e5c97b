"""Failover: the next smarthost of a route when the first is down, paused or out of quota, and back."""

import asyncio
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from fakes.certificates import Authority
from fakes.delivery_rig import Rig, rig_smarthost, with_login
from fakes.script import Action, Behaviour
from fakes.smarthost import Smarthost

from relay.config.model import PolicyKind, Route, SenderPolicy, TlsMode
from relay.delivery.moving import Mover, Standing, lane_for
from relay.spool.model import State, Waiting

SENDER = "info@bakkerij.nl"
ROUTES = (Route(smarthosts=("isp", "other")),)


async def accept_many(rig: Rig, count: int) -> list[int]:
    return [await rig.accept(SENDER, [f"r{n}@example.net"]) for n in range(count)]


async def test_out_of_quota_the_next_takes_over_and_the_first_takes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.delivery.dispatcher._WATCH_EVERY_SECONDS", 0.02)
    never = threading.Event()
    with Smarthost() as first, Smarthost() as second:
        entries = [rig_smarthost(first, messages_per_day=2), rig_smarthost(second, "other")]
        async with Rig(tmp_path, entries, routes=ROUTES) as rig:
            await accept_many(rig, 4)
            await rig.event("delivered", 2, smarthost="other")
            assert rig.dispatcher.blocked_names() == {"isp"}
            # The other stalls; what waits for it goes back as soon as the first has room again.
            second.behaviour.script = {"MAIL": Action(wait_for=never)}
            await accept_many(rig, 3)
            await asyncio.to_thread(
                second.wait_until, lambda: "MAIL" in second.sessions[-1].verbs[-1:]
            )
            rig.advance(hours=24, minutes=1)
            async with asyncio.timeout(60):
                # What had been claimed ahead is put back, and moved with the next strays.
                while len(rig.events.named("delivered", smarthost="isp")) < 4:
                    await rig.settled()
                    rig.advance(seconds=20)
            assert rig.events.named("deferred") == []


async def test_a_paused_login_sends_mail_the_other_way_under_its_own_rules(
    tmp_path: Path, authority: Authority
) -> None:
    context = authority.issue().server_context()
    refusing = Behaviour(tls="starttls", context=context, users={"bakker": "nieuw"})
    taking = Behaviour(tls="starttls", context=context, users={"reserve": "geheim"})
    forced = SenderPolicy(PolicyKind.FORCE, "reserve@elders.nl")
    keys = {"tls": TlsMode.STARTTLS, "ca_file": authority.ca_file}
    with Smarthost(refusing) as first, Smarthost(taking) as second:
        entries = [
            rig_smarthost(first, **keys, **with_login(tmp_path / "one.secret")),
            rig_smarthost(
                second, "other", sender=forced, **keys, **with_login(tmp_path / "two", "reserve")
            ),
        ]
        async with Rig(tmp_path, entries, routes=ROUTES) as rig:
            await accept_many(rig, 3)
            await rig.event("paused", by="account", smarthost="isp")
            await rig.event("delivered", 3, smarthost="other")
            assert {got.sender.address for got in second.accepted} == {"reserve@elders.nl"}
            (tmp_path / "one.secret").write_text("nieuw")
            await rig.reload()
            await accept_many(rig, 1)
            await rig.event("delivered", smarthost="isp")
            assert [got.sender.address for got in first.accepted] == [SENDER]


async def test_a_4yz_about_a_message_moves_nothing(tmp_path: Path) -> None:
    with Smarthost(Behaviour({"RCPT": "450 4.2.0 greylisted"})) as first, Smarthost() as second:
        entries = [rig_smarthost(first), rig_smarthost(second, "other")]
        async with Rig(tmp_path, entries, routes=ROUTES) as rig:
            (message,) = await accept_many(rig, 1)
            for tries in (1, 2, 3):
                await rig.event("deferred", tries)
                await rig.settled()
                rig.advance(minutes=6)
            first.behaviour.script = {}
            rig.advance(minutes=20)
            await rig.event("delivered", smarthost="isp")
            assert second.sessions == []
            assert await rig.states(message) == [State.DELIVERED]


async def test_what_is_in_doubt_stays_where_it_may_have_arrived(tmp_path: Path) -> None:
    with Smarthost(Behaviour({"DOT": Action(drop="before")})) as first, Smarthost() as second:
        entries = [rig_smarthost(first), rig_smarthost(second, "other")]
        async with Rig(tmp_path, entries, routes=ROUTES) as rig:
            (doubtful,) = await accept_many(rig, 1)
            await rig.event("deferred", in_doubt=True)
            first.stop()
            (later,) = await accept_many(rig, 1)
            await rig.event("delivered", smarthost="other")
            assert await rig.states(later) == [State.DELIVERED]
            assert (await rig.show(doubtful)).recipients[0].lane == "isp"
            first.behaviour.script = {}
            first.start()
            rig.advance(minutes=12)
            await rig.event("delivered", smarthost="isp")
            assert len(second.received) == 1


async def test_with_both_down_the_first_that_recovers_delivers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.delivery.dispatcher._WATCH_EVERY_SECONDS", 0.02)
    with Smarthost() as first, Smarthost() as second:
        entries = [rig_smarthost(first), rig_smarthost(second, "other")]
        async with Rig(tmp_path, entries, routes=ROUTES) as rig:
            first.stop()
            second.stop()
            await accept_many(rig, 3)
            await rig.event("paused", smarthost="isp")
            await rig.event("paused", smarthost="other")
            second.start()
            rig.advance(minutes=2)
            await rig.event("delivered", 3, smarthost="other")


async def test_mail_that_waits_for_a_paused_one_leaves_when_the_other_has_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.delivery.dispatcher._WATCH_EVERY_SECONDS", 0.02)
    with Smarthost() as first, Smarthost() as second:
        entries = [rig_smarthost(first), rig_smarthost(second, "other")]
        async with Rig(tmp_path, entries, routes=ROUTES) as rig:
            blocks = rig.dispatcher.blocks
            await blocks.used_up(entries[0], rig.now.replace(year=2027), "x")
            await blocks.used_up(entries[1], rig.now + timedelta(minutes=5), "x")
            (message,) = await accept_many(rig, 1)
            await rig.settled()
            assert (await rig.show(message)).recipients[0].lane == "isp"
            rig.advance(minutes=6)
            await rig.event("delivered", smarthost="other")


async def test_what_was_under_way_when_the_others_moved_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.delivery.dispatcher._WATCH_EVERY_SECONDS", 0.02)
    resume = threading.Event()
    stalled = Behaviour({"RCPT": Action(wait_for=resume, reply="450 4.2.0 later")})
    with Smarthost(stalled) as first, Smarthost() as second:
        entries = [rig_smarthost(first), rig_smarthost(second, "other")]
        async with Rig(tmp_path, entries, routes=ROUTES) as rig:
            (message,) = await accept_many(rig, 1)
            await asyncio.to_thread(
                first.wait_until, lambda: bool(first.sessions) and "RCPT" in first.sessions[0].verbs
            )
            rig.advance(seconds=1)
            await rig.dispatcher.blocks.used_up(entries[0], rig.now.replace(year=2027), "x")
            await rig.dispatcher._fail_over()
            await rig.settled()
            assert (await rig.show(message)).recipients[0].lane == "isp"
            resume.set()
            await rig.event("deferred")
            rig.advance(minutes=11)
            await rig.event("delivered", smarthost="other")


def waiting(lane: str, **keys: object) -> Waiting:
    values = {
        "message": 1,
        "position": 0,
        "address": "a@example.net",
        "lane": lane,
        "pinned": None,
        "client": "kassa",
        "sender": SENDER,
        "in_doubt": False,
        **keys,
    }
    return Waiting(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("lane", "blocked", "doubtful", "expected"),
    [
        ("a", "", "", "a"),
        ("a", "a", "", "b"),
        ("a", "ab", "", "c"),
        ("a", "abc", "", "a"),
        ("b", "", "", "a"),
        ("b", "a", "", "b"),
        # New mail finds out whether one works again; the others wait for that, unless stuck.
        ("b", "", "a", "b"),
        ("b", "b", "a", "c"),
        ("b", "bc", "a", "a"),
        ("c", "", "a", "b"),
        ("c", "c", "ab", "a"),
        ("gone", "", "", "a"),
        ("gone", "a", "", "b"),
    ],
)
def test_who_takes_the_mail_of_a_lane(
    lane: str, blocked: str, doubtful: str, expected: str, tmp_path: Path
) -> None:
    config = Rig(tmp_path, [], routes=(Route(smarthosts=("a", "b", "c")),)).config
    standing = Standing(frozenset(blocked), frozenset(doubtful))
    assert lane_for(config, {"a", "b", "c"}, waiting(lane), standing) == expected
    assert lane_for(config, {"a", "b", "c"}, waiting(lane, pinned="c"), standing) == "c"
    if lane != "gone":
        assert lane_for(config, {"a", "b", "c"}, waiting(lane, in_doubt=True), standing) == lane


async def test_only_lanes_whose_mail_has_another_way_are_looked_at(tmp_path: Path) -> None:
    looked: list[str | None] = []

    class Queue:
        async def waiting(self, lane: str | None, _after: int, _limit: int) -> object:
            looked.append(lane)
            await asyncio.sleep(0)
            return (), None

    routes = (Route(smarthosts=("a", "b")), Route(smarthosts=("c",)))
    config = Rig(tmp_path, [], routes=routes).config
    standing = Standing(frozenset({"a", "c"}))
    mover = Mover(Queue(), lambda: standing)  # type: ignore[arg-type]
    assert mover.is_stale
    assert not await mover.fail_over(config)
    assert looked == ["a"]
    assert not mover.is_stale
    await asyncio.gather(*(mover.fail_over(config) for _ in range(5)))
    assert looked == ["a"] * 3  # five asked: the first, and once more for all the others
