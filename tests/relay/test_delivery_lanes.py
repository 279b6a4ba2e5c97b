"""Lanes at work: connections, limits, failover, reload, and an end in time."""

import asyncio
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes.delivery_rig import CONTENT, Rig, Route, rig_smarthost
from fakes.ports import free_port
from fakes.script import Action, Behaviour, Command, when
from fakes.smarthost import Smarthost

from relay.config.model import Smarthost as Entry
from relay.config.model import TlsMode
from relay.delivery import worker as worker_module
from relay.delivery.lane import Lane
from relay.spool.errors import SpoolError
from relay.spool.model import Outcome, State

SENDER = "info@bakkerij.nl"


async def accept_many(rig: Rig, count: int, domain: str = "example.net") -> None:
    for n in range(count):
        await rig.accept(SENDER, [f"r{n}@{domain}"])


async def test_connections_are_reused_and_never_more_than_allowed(tmp_path: Path) -> None:
    with Smarthost() as fake:
        async with Rig(tmp_path, [rig_smarthost(fake, max_connections=3)]) as rig:
            await accept_many(rig, 60)
            await rig.event("delivered", 60)
        assert len(fake.accepted) == 60
        assert 1 <= len(fake.sessions) <= 3
        assert fake.most_connections <= 3


async def test_several_connections_are_used_where_one_is_slow(tmp_path: Path) -> None:
    resume = threading.Event()
    with Smarthost(Behaviour({"DOT": Action(wait_for=resume)})) as fake:
        async with Rig(tmp_path, [rig_smarthost(fake, max_connections=3)]) as rig:
            await accept_many(rig, 5)
            await asyncio.to_thread(fake.wait_until, lambda: len(fake.received) == 3)
            resume.set()
            await rig.event("delivered", 5)
        assert fake.most_connections == 3


IDLE_ENDS = [
    Action(reply="421 4.4.2 idle too long", drop="after"),
    Action(drop="before"),
    Action(drop="before", reset=True),
]


@pytest.mark.parametrize("end", IDLE_ENDS, ids=["421", "FIN", "RST"])
async def test_an_idle_connection_that_was_ended_costs_no_attempt(
    tmp_path: Path, end: Action
) -> None:
    def second(command: Command) -> Action | None:
        return end if command.nth == 2 else None

    with Smarthost(Behaviour({"MAIL": second})) as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            await rig.accept(SENDER, ["een@example.net"])
            await rig.event("delivered")
            message = await rig.accept(SENDER, ["twee@example.net"])
            await rig.event("delivered", 2)
            assert rig.events.named("deferred") == []
            assert rig.events.named("paused") == []
            attempts = (await rig.show(message)).attempts
            assert [attempt.outcome for attempt in attempts] == [Outcome.DELIVERED]
        assert len(fake.sessions) == 2
        assert len(fake.received) == 2


async def test_a_421_on_a_new_connection_slows_the_lane_and_burns_no_attempt(
    tmp_path: Path,
) -> None:
    # It stays open: a reset, for what was sent along with MAIL, may overtake the reply.
    with Smarthost(Behaviour({"MAIL": "421 4.7.0 busy"})) as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            await accept_many(rig, 3)
            for failures in (1, 2, 3):
                await rig.event("paused", failures)
                await rig.settled()
                assert len(fake.sessions) == failures
                if failures == 3:
                    fake.behaviour.script = {}
                rig.advance(minutes=10, seconds=30)
            await rig.event("delivered", 3)
            assert len(rig.events.named("resumed")) == 1
            assert len(rig.events.named("paused")) == 3


async def test_the_waits_of_a_smarthost_grow_until_mail_passes(tmp_path: Path) -> None:
    with Smarthost(Behaviour({"MAIL": "452 4.3.1 Insufficient system storage"})) as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            await rig.accept(SENDER, ["een@example.net"])
            minutes = []
            for failures in range(1, 6):
                await rig.event("paused", failures)
                block = (await rig.spool.ledger.lanes())["isp"].block
                assert block is not None
                assert block.until is not None
                minutes.append((block.until - rig.now).total_seconds() / 60)
                rig.advance(minutes=11)
            assert minutes == [1, 2, 5, 10, 10]
            assert len(rig.events.named("alert", cause="smarthost-fails")) == 1


async def test_a_drop_in_mid_transaction_is_no_sign_that_the_smarthost_works(
    tmp_path: Path,
) -> None:
    with Smarthost(Behaviour({"MAIL": "452 4.3.1 Insufficient system storage"})) as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            await rig.accept(SENDER, ["een@example.net"])
            await rig.event("paused")
            fake.behaviour.script = {"RCPT": Action(drop="before")}
            rig.advance(minutes=2)
            await rig.event("deferred", 2)
            await rig.settled()
            assert rig.events.named("resumed") == []
            assert rig.dispatcher.blocks.has_failed("isp")
            fake.behaviour.script = {}
            rig.advance(minutes=2)
            await rig.event("delivered")
            await rig.event("resumed")


async def test_a_server_that_wants_fewer_connections_gets_fewer(tmp_path: Path) -> None:
    resume = threading.Event()

    def one_at_a_time(command: Command) -> str | None:
        return "421 4.7.0 too many connections" if fake.open_connections > 1 else None

    script = {"CONNECT": one_at_a_time, "DOT": Action(wait_for=resume)}
    with Smarthost(Behaviour(script)) as fake:
        async with Rig(tmp_path, [rig_smarthost(fake, max_connections=4)]) as rig:
            await accept_many(rig, 10)
            await asyncio.to_thread(fake.wait_until, lambda: len(fake.sessions) == 2)
            resume.set()
            await rig.event("delivered", 10)
            assert rig.events.named("paused") == []
        assert len(fake.sessions) <= 3


async def test_the_other_smarthost_takes_over_and_gives_back(tmp_path: Path) -> None:
    with Smarthost() as first, Smarthost() as second:
        routes = (Route(smarthosts=("isp", "other")),)
        smarthosts = [rig_smarthost(first), rig_smarthost(second, "other")]
        async with Rig(tmp_path, smarthosts, routes=routes) as rig:
            first.stop()
            await accept_many(rig, 3)
            await rig.event("delivered", 3, smarthost="other")
            first.start()
            await accept_many(rig, 1)
            await rig.event("delivered", 4, smarthost="other")
            rig.advance(minutes=2)
            await accept_many(rig, 1)
            await rig.event("delivered", smarthost="isp")
            await rig.event("resumed", smarthost="isp")
        assert (len(first.accepted), len(second.accepted)) == (1, 4)


async def test_a_black_hole_delays_no_other_lane(tmp_path: Path) -> None:
    never = threading.Event()
    routes = (Route(recipient="*@zwart.net", smarthosts=("hole",)),)
    with Smarthost(Behaviour({"CONNECT": Action(wait_for=never)})) as hole, Smarthost() as good:
        smarthosts = [rig_smarthost(good), rig_smarthost(hole, "hole", max_connections=5)]
        async with Rig(tmp_path, smarthosts, routes=routes) as rig:
            await accept_many(rig, 20, "zwart.net")
            await asyncio.to_thread(hole.wait_until, lambda: bool(hole.sessions))
            began = time.monotonic()
            await accept_many(rig, 50)
            await rig.event("delivered", 50)
            assert time.monotonic() - began < 4
            assert rig.events.named("deferred") == []
        # One alone waits for its greeting; the others have not even been claimed.
        assert len(hole.sessions) == 1


async def test_a_limit_a_minute_is_kept(tmp_path: Path) -> None:
    with Smarthost() as fake:
        async with Rig(tmp_path, [rig_smarthost(fake, messages_per_minute=5)]) as rig:
            await accept_many(rig, 4)
            for sent in (1, 2, 3, 4):
                await rig.event("delivered", sent)
                rig.dispatcher.wake()
                await rig.settled()
                assert len(fake.received) == sent
                assert all(not message.leased for message in await rig.waiting())
                rig.advance(seconds=12.1)


async def test_the_parts_of_a_message_wait_for_each_other(tmp_path: Path) -> None:
    with Smarthost() as fake:
        smarthost = rig_smarthost(fake, messages_per_minute=5, max_recipients=1)
        async with Rig(tmp_path, [smarthost]) as rig:
            message = await rig.accept(SENDER, ["a@example.net", "b@example.net"])
            await rig.event("delivered")
            await rig.settled()
            assert await rig.states(message) == [State.DELIVERED, State.QUEUED]
            await rig.accept(SENDER, ["c@example.net"])
            for sent in (2, 3):
                assert len(fake.received) == sent - 1
                rig.advance(seconds=12.1)
                await rig.event("delivered", sent)
                await rig.settled()
            attempts = (await rig.show(message)).attempts
            assert [attempt.outcome for attempt in attempts] == [Outcome.DELIVERED] * 2


async def test_a_reload_moves_mail_from_a_smarthost_that_is_gone(tmp_path: Path) -> None:
    with Smarthost() as fake:
        gone = Entry(name="old", host="127.0.0.1", port=free_port(), tls=TlsMode.NONE)
        async with Rig(tmp_path, [gone]) as rig:
            message = await rig.accept(SENDER, ["een@example.net"])
            await rig.event("paused", smarthost="old")
            await rig.reload(smarthosts=(rig_smarthost(fake, "new"),))
            await rig.event("delivered", smarthost="new")
            assert await rig.states(message) == [State.DELIVERED]


async def test_a_reload_moves_what_was_under_way_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.delivery.dispatcher._CLOSING_SECONDS", 0.1)
    never = threading.Event()
    with Smarthost(Behaviour({"MAIL": Action(wait_for=never)})) as old, Smarthost() as new:
        async with Rig(tmp_path, [rig_smarthost(old, "old")]) as rig:
            message = await rig.accept(SENDER, ["een@example.net"])
            await asyncio.to_thread(
                old.wait_until, lambda: bool(old.sessions) and "MAIL" in old.sessions[0].verbs
            )
            await rig.reload(smarthosts=(rig_smarthost(new, "new"),))
            await rig.event("delivered", smarthost="new")
            assert not (await rig.show(message)).in_doubt
        assert [got.content for got in new.accepted] == [CONTENT]
        assert old.received == []


async def test_a_reload_takes_a_warm_connection_out_of_use(tmp_path: Path) -> None:
    with Smarthost() as old, Smarthost() as new:
        async with Rig(tmp_path, [rig_smarthost(old)]) as rig:
            await rig.accept(SENDER, ["een@example.net"])
            await rig.event("delivered")
            await rig.reload(smarthosts=(rig_smarthost(new),))
            await rig.accept(SENDER, ["twee@example.net"])
            await rig.event("delivered", 2)
        assert (len(old.accepted), len(new.accepted)) == (1, 1)


async def test_a_reload_brings_new_routes_to_queued_mail(tmp_path: Path) -> None:
    never = Entry(name="isp", host="127.0.0.1", port=free_port(), tls=TlsMode.NONE)
    with Smarthost() as fake:
        async with Rig(tmp_path, [never, rig_smarthost(fake, "other")]) as rig:
            await rig.accept(SENDER, ["een@example.net"])
            await rig.event("paused")
            await rig.reload(routes=(Route(sender="*@bakkerij.nl", smarthosts=("other",)),))
            await rig.event("delivered", smarthost="other")


async def test_a_reload_during_an_attempt_brings_the_new_route_at_its_end(tmp_path: Path) -> None:
    resume = threading.Event()
    stalled = Behaviour({"MAIL": Action(wait_for=resume, reply="451 4.3.0 later")})
    with Smarthost(stalled) as old, Smarthost() as new:
        async with Rig(tmp_path, [rig_smarthost(old), rig_smarthost(new, "other")]) as rig:
            await rig.accept(SENDER, ["een@example.net"])
            await asyncio.to_thread(
                old.wait_until, lambda: bool(old.sessions) and "MAIL" in old.sessions[0].verbs
            )
            await rig.reload(routes=(Route(smarthosts=("other",)),))
            resume.set()
            await rig.event("deferred")
            rig.advance(seconds=61)
            await rig.event("delivered", smarthost="other")


async def test_mail_accepted_by_routes_of_before_finds_its_lane(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.delivery.dispatcher._WATCH_EVERY_SECONDS", 0.02)
    with Smarthost() as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            now, rig.config = (
                rig.config,
                replace(rig.config, smarthosts=(Entry(name="old", host="x"),)),
            )
            await rig.accept(SENDER, ["een@example.net"])
            rig.config = now
            await rig.event("delivered", smarthost="isp", seconds=5)


async def test_a_report_for_another_lane_leaves_at_once(tmp_path: Path) -> None:
    routes = (Route(recipient="*@bakkerij.nl", smarthosts=("other",)),)
    with Smarthost(Behaviour({"RCPT": "550 5.1.1 unknown"})) as fake, Smarthost() as other:
        smarthosts = [rig_smarthost(fake), rig_smarthost(other, "other")]
        async with Rig(tmp_path, smarthosts, routes=routes) as rig:
            await rig.accept(SENDER, ["weg@example.net"])
            await rig.event("delivered", smarthost="other", seconds=5)


async def test_try_now_ends_the_wait_of_a_smarthost(tmp_path: Path) -> None:
    fake = Smarthost()
    fake.start()
    fake.stop()
    async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
        await rig.accept(SENDER, ["een@example.net"])
        await rig.event("paused")
        with fake:
            await rig.dispatcher.try_now()
            await rig.event("delivered")


async def test_an_attempt_tells_why_there_was_no_connection(tmp_path: Path) -> None:
    with Smarthost() as fake:
        entry = rig_smarthost(fake, tls=TlsMode.STARTTLS)
        async with Rig(tmp_path, [entry]) as rig:
            message = await rig.accept(SENDER, ["een@example.net"])
            await rig.event("paused")
            await rig.settled()
            (attempt,) = (await rig.show(message)).attempts
    assert attempt.outcome is Outcome.DEFERRED
    assert attempt.reply is not None
    assert attempt.reply.code == 0
    assert "offers no STARTTLS" in attempt.reply.text


async def test_a_wait_survives_a_restart(tmp_path: Path) -> None:
    fake = Smarthost()
    fake.start()
    fake.stop()
    async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
        await rig.accept(SENDER, ["een@example.net"])
        await rig.event("paused")
        with fake:
            await rig.restart()
            assert rig.dispatcher.blocked_names() == {"isp"}
            await rig.settled()
            assert fake.sessions == []
            rig.advance(minutes=2)
            await rig.event("delivered")


@pytest.mark.parametrize("moment", ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "BODY", "DOT"])
async def test_it_stops_in_time_while_a_server_stalls(tmp_path: Path, moment: str) -> None:
    never = threading.Event()
    with Smarthost(Behaviour({moment: Action(wait_for=never)}, capabilities=())) as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            message = await rig.accept(SENDER, ["een@example.net"], CONTENT + b"x\r\n" * 3_000_000)
            await asyncio.to_thread(
                fake.wait_until, lambda: any(session.times[moment] for session in fake.sessions)
            )
            began = time.monotonic()
            await rig.dispatcher.stop(0.2)
            assert time.monotonic() - began < 2
            view = await rig.show(message)
            assert not view.leased
            assert await rig.states(message) == [State.QUEUED]
            assert view.in_doubt is (moment == "DOT")
            await rig.start()


async def test_stopping_lets_a_running_attempt_end_and_begins_none(tmp_path: Path) -> None:
    resume = threading.Event()
    with Smarthost(Behaviour({"DOT": Action(wait_for=resume)})) as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            await accept_many(rig, 3)
            await asyncio.to_thread(fake.wait_until, lambda: len(fake.received) == 1)
            stopping = asyncio.create_task(rig.dispatcher.stop(5))
            await asyncio.sleep(0)
            resume.set()
            await stopping
            assert len(fake.received) == 1
            assert len(rig.events.named("delivered")) == 1
            await rig.start()


async def test_an_idle_worker_claims_nothing_once_it_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Smarthost() as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            await rig.accept(SENDER, ["een@example.net"])
            await rig.event("delivered")
            while not rig.dispatcher._crews["isp"].lane.idle:
                await rig.settled()
            with monkeypatch.context() as patch:
                patch.setattr(rig.dispatcher, "wake", lambda _: None)
                await rig.accept(SENDER, ["twee@example.net"])
            await rig.dispatcher.stop(5)
            assert len(fake.received) == 1
            await rig.start()


async def test_without_work_it_does_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns: list[str] = []
    real = Lane.seconds_to_work

    async def counted(self: Lane, workers: int) -> float | None:
        turns.append(self.smarthost.name)
        return await real(self, workers)

    monkeypatch.setattr(Lane, "seconds_to_work", counted)
    monkeypatch.setattr(worker_module, "_IDLE_SECONDS", 0.05)
    dead = Entry(name="dead", host="127.0.0.1", port=free_port(), tls=TlsMode.NONE)
    routes = (Route(recipient="*@dood.net", smarthosts=("dead",)),)
    with Smarthost(Behaviour({"RCPT": when({"laat@": "451 4.2.1 later"})})) as fake:
        smarthosts = [rig_smarthost(fake, max_connections=3), dead]
        async with Rig(tmp_path, smarthosts, routes=routes) as rig:
            await rig.accept(SENDER, ["een@example.net"])
            await rig.accept(SENDER, ["laat@example.net"])
            await rig.accept(SENDER, ["een@dood.net"])
            await rig.event("delivered")
            await rig.event("deferred", 2)
            await rig.event("paused")
            await asyncio.to_thread(fake.wait_until, lambda: fake.open_connections == 0)
            turns.clear()
            used = time.process_time()
            await asyncio.sleep(2)
            assert len(turns) <= 3
            assert time.process_time() - used < 0.2


async def test_a_spool_that_fails_is_not_asked_again_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Smarthost() as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            asked: list[Any] = []
            real = rig.spool.queue.claim

            async def failing(*arguments: Any) -> Any:
                asked.append(arguments)
                raise SpoolError("disk I/O error")

            monkeypatch.setattr(rig.spool.queue, "claim", failing)
            await rig.accept(SENDER, ["een@example.net"])
            await rig.settled()
            assert len(asked) == 1
            monkeypatch.setattr(rig.spool.queue, "claim", real)
            rig.dispatcher.wake()
            await rig.event("delivered")


async def test_a_fault_while_connecting_leaks_no_claim(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def faulty(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    real = worker_module.connect
    with Smarthost() as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            monkeypatch.setattr(worker_module, "connect", faulty)
            message = await rig.accept(SENDER, ["een@example.net"])
            await rig.event("deferred")
            assert not (await rig.show(message)).leased
            monkeypatch.setattr(worker_module, "connect", real)
            rig.advance(seconds=61)
            await rig.event("delivered")


async def test_where_bdat_did_not_work_mail_goes_by_data_for_an_hour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.smarthost.bdat._WARM_SECONDS", 1e9)  # whatever the machine does
    monkeypatch.setattr(worker_module, "_MOST_TRANSACTIONS", 4)
    behaviour = Behaviour({"BDAT": "502 5.5.1 not here"}, capabilities=("PIPELINING", "CHUNKING"))
    with Smarthost(behaviour) as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            for number in (1, 2):  # a connection's first go by DATA
                await rig.accept(SENDER, ["een@example.net"])
                await rig.event("delivered", number)
            await rig.accept(SENDER, ["een@example.net"])
            await rig.event("deferred")
            rig.advance(minutes=5)
            await rig.event("delivered", 3)
            behaviour.script = {}
            for number in range(4, 8):  # over a new connection
                await rig.accept(SENDER, ["een@example.net"])
                await rig.event("delivered", number)
            assert not any(got.chunked for got in fake.accepted)
            rig.advance(hours=1)
            for number in range(8, 15):  # the last of them over another one
                await rig.accept(SENDER, ["een@example.net"])
                await rig.event("delivered", number)
            assert fake.accepted[-1].chunked
