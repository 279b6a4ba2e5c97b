"""What becomes of a message at a smarthost that takes, refuses and puts off."""

import asyncio
import hashlib
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from fakes.delivery_rig import CONTENT, Rig, Route, rig_smarthost
from fakes.script import Action, Behaviour, nth_time, when
from fakes.smarthost import Smarthost

from relay.config.model import Client, PolicyKind, SenderPolicy
from relay.envelope import Recipient
from relay.spool.model import HeldFor, Outcome, State

SENDER = "info@bakkerij.nl"


async def test_a_message_is_delivered(tmp_path: Path) -> None:
    with Smarthost() as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            message = await rig.accept(SENDER, ["een@example.net", "twee@example.net"])
            await rig.event("delivered")
            assert await rig.states(message) == [State.DELIVERED, State.DELIVERED]
            (attempt,) = (await rig.show(message)).attempts
            assert attempt.outcome is Outcome.DELIVERED
            assert attempt.address == "127.0.0.1"
            assert attempt.reply is not None
        (got,) = fake.accepted
        assert got.content == CONTENT
        assert got.sender.address == SENDER


async def test_five_megabytes_are_streamed_byte_for_byte(tmp_path: Path) -> None:
    content = CONTENT + b"".join(b".%07d%s\r\n" % (n, b"x" * (n % 150)) for n in range(60_000))
    assert len(content) > 5_000_000
    with Smarthost() as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            await rig.accept(SENDER, ["een@example.net"], content)
            await rig.event("delivered")
        assert hashlib.sha256(fake.accepted[0].content).digest() == hashlib.sha256(content).digest()


async def test_only_the_recipient_who_was_put_off_is_tried_again(tmp_path: Path) -> None:
    script = {"RCPT": when({"laat@": "451 4.2.1 later", "weg@": "550 5.1.1 unknown"})}
    names = ["een@example.net", "laat@example.net", "weg@example.net", "vier@example.net"]
    with Smarthost(Behaviour(script=script)) as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            message = await rig.accept(SENDER, list(names))
            report = await rig.event("dsn")
            await rig.event("delivered", 2)
            assert await rig.states(message) == [
                State.DELIVERED,
                State.QUEUED,
                State.FAILED,
                State.DELIVERED,
            ]
            assert report["to"] == SENDER
            fake.behaviour.script = {}
            rig.advance(seconds=61)
            await rig.event("delivered", 3)
            assert await rig.waiting() == ()
        first, dsn, last = fake.accepted
        assert [path.address for path in first.recipients] == [names[0], names[3]]
        assert [path.address for path in last.recipients] == [names[1]]
        text = dsn.content.decode()
        assert "Final-Recipient: rfc822; weg@example.net" in text
        assert "laat@example.net" not in text
        assert last.content == first.content == CONTENT


async def test_the_drop_after_the_final_dot_is_in_doubt_and_sent_again(tmp_path: Path) -> None:
    with (
        Smarthost(Behaviour(script={"DOT": nth_time({1: Action(drop="before")})})) as first,
        Smarthost() as second,
    ):
        routes = (Route(smarthosts=("isp", "other")),)
        smarthosts = [rig_smarthost(first), rig_smarthost(second, "other")]
        async with Rig(tmp_path, smarthosts, routes=routes) as rig:
            message = await rig.accept(SENDER, ["een@example.net"])
            await rig.event("deferred", in_doubt=True)
            assert (await rig.show(message)).in_doubt
            # Even while this smarthost is away, the other must not send it a second time.
            first.stop()
            rig.advance(seconds=61)
            await rig.event("paused")
            await rig.dispatcher.realign()
            assert [each.lane for each in (await rig.show(message)).recipients] == ["isp"]
            first.start()
            rig.advance(seconds=61)
            await rig.event("delivered")
            view = await rig.show(message)
            assert [attempt.in_doubt for attempt in view.attempts] == [True, False, False]
        assert [got.content for got in first.received] == [CONTENT, CONTENT]
        assert second.received == []


@pytest.mark.parametrize("where", ["MAIL", "RCPT", "DATA"])
async def test_a_drop_before_the_dot_is_put_off_without_doubt(tmp_path: Path, where: str) -> None:
    with Smarthost(Behaviour(script={where: Action(drop="before")})) as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            message = await rig.accept(SENDER, ["een@example.net"])
            await rig.event("deferred")
            view = await rig.show(message)
            assert not view.in_doubt
            assert view.next_attempt_at == rig.now + timedelta(minutes=1)


async def test_a_sender_whom_the_account_may_not_use_is_held(tmp_path: Path) -> None:
    refusal = "553 5.7.1 <info@bakkerij.nl>: Sender address rejected: not owned by user bakker"
    with Smarthost(Behaviour(script={"MAIL": refusal})) as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            message = await rig.accept(SENDER, ["een@example.net"])
            await rig.event("held")
            (recipient,) = (await rig.show(message)).recipients
            assert (recipient.state, recipient.held_for) == (State.HELD, HeldFor.SENDER)
            assert rig.events.named("dsn") == []


async def test_too_large_for_the_smarthost_fails_before_the_body_is_sent(tmp_path: Path) -> None:
    with Smarthost(Behaviour(capabilities=("SIZE 100000", "PIPELINING"))) as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            message = await rig.accept(SENDER, ["een@example.net"], CONTENT + b"x" * 100_000)
            await rig.event("delivered")  # the report
            (recipient,) = (await rig.show(message)).recipients
            assert recipient.reply is not None
            assert recipient.reply.enhanced == "5.3.4"
            assert rig.dispatcher.blocks.sizes == {"isp": 100_000}
        assert [got.recipients[0].address for got in fake.received] == [SENDER]


async def test_an_address_beyond_ascii_harms_only_itself(tmp_path: Path) -> None:
    with Smarthost(Behaviour(capabilities=("PIPELINING",))) as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            names: list[str | Recipient] = ["een@example.net", "jós@example.net"]
            message = await rig.accept(SENDER, names, smtputf8=True)
            await rig.event("delivered", 2)
            view = await rig.show(message)
            assert [each.state for each in view.recipients] == [State.DELIVERED, State.FAILED]
            assert view.recipients[1].reply is not None
            assert view.recipients[1].reply.enhanced == "5.6.7"
        assert [path.address for path in fake.accepted[0].recipients] == ["een@example.net"]


@pytest.mark.parametrize("offered", [True, False])
async def test_8_bit_text_goes_as_it_is_and_is_announced_where_it_can_be(
    tmp_path: Path, offered: bool
) -> None:
    content = CONTENT + "Crème brûlée € 3,50\r\n".encode()
    capabilities = ("PIPELINING", *(("8BITMIME",) if offered else ()))
    with Smarthost(Behaviour(capabilities=capabilities)) as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            await rig.accept(SENDER, ["een@example.net"], content, body_8bit=True)
            await rig.event("delivered")
        (got,) = fake.accepted
        assert got.content == content
        assert got.sender.parameters == (("BODY=8BITMIME",) if offered else ())


async def test_recipients_are_divided_by_what_the_smarthost_takes(tmp_path: Path) -> None:
    with Smarthost() as fake:
        async with Rig(tmp_path, [rig_smarthost(fake, max_recipients=3)]) as rig:
            message = await rig.accept(SENDER, [f"r{n}@example.net" for n in range(7)])
            await rig.event("delivered")
            assert set(await rig.states(message)) == {State.DELIVERED}
        assert [len(got.recipients) for got in fake.accepted] == [3, 3, 1]
        assert len(fake.sessions) == 1


async def test_a_connection_that_ends_between_parts_loses_and_doubles_nothing(
    tmp_path: Path,
) -> None:
    script = {"DOT": nth_time({1: Action(drop="after")})}
    with Smarthost(Behaviour(script=script)) as fake:
        async with Rig(tmp_path, [rig_smarthost(fake, max_recipients=2)]) as rig:
            message = await rig.accept(SENDER, [f"r{n}@example.net" for n in range(4)])
            await rig.event("delivered", 2)
            assert set(await rig.states(message)) == {State.DELIVERED}
        taken = [path.address for got in fake.accepted for path in got.recipients]
        assert sorted(taken) == [f"r{n}@example.net" for n in range(4)]


@pytest.mark.parametrize("policy", [PolicyKind.FORCE, PolicyKind.REWRITE])
async def test_the_sender_policy_of_each_route(tmp_path: Path, policy: PolicyKind) -> None:
    routes = (
        Route(recipient="*@een.net", smarthosts=("isp",),
              policy=SenderPolicy(policy, "mijnbakkerij@ziggo.nl")),
        Route(recipient="*@twee.net", smarthosts=("isp",), policy=SenderPolicy()),
    )  # fmt: skip
    with Smarthost() as fake:
        smarthost = rig_smarthost(fake, allowed_senders=("mijnbakkerij@ziggo.nl",))
        async with Rig(tmp_path, [smarthost], routes=routes) as rig:
            await rig.accept(SENDER, ["a@een.net", "b@twee.net"])
            await rig.event("delivered")
        forced, kept = fake.accepted
        assert forced.sender.address == "mijnbakkerij@ziggo.nl"
        assert b"From: mijnbakkerij@ziggo.nl\r\n" in forced.content
        assert b"Reply-To: <info@bakkerij.nl>" in forced.content
        assert (kept.sender.address, kept.content) == (SENDER, CONTENT)


async def test_rewrite_keeps_what_the_account_may_send_as(tmp_path: Path) -> None:
    policy = SenderPolicy(PolicyKind.REWRITE, "mijnbakkerij@ziggo.nl")
    client = Client("kassa", (), sender=policy)
    with Smarthost() as fake:
        smarthost = rig_smarthost(fake, allowed_senders=("*@bakkerij.nl",))
        async with Rig(tmp_path, [smarthost], clients=(client,)) as rig:
            await rig.accept(SENDER, ["a@een.net"])
            await rig.accept("vreemd@elders.nl", ["a@een.net"])
            await rig.event("delivered", 2)
        assert [got.sender.address for got in fake.accepted] == [SENDER, "mijnbakkerij@ziggo.nl"]


async def test_a_message_that_always_provokes_a_fault_of_ours_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from relay.delivery import packing

    real = packing.address_message

    def faulty(config: object, claim: object, *rest: object) -> object:
        if claim.envelope.reverse_path == "poison@bakkerij.nl":
            raise RuntimeError("a fault of ours")
        return real(config, claim, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(packing, "address_message", faulty)
    with Smarthost() as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            poison = await rig.accept("poison@bakkerij.nl", ["een@example.net"])
            await rig.event("deferred", 1)
            for tries, minutes in ((2, 1), (3, 2)):
                await rig.accept(SENDER, ["twee@example.net"])
                await rig.event("delivered", tries - 1)
                rig.advance(minutes=minutes, seconds=1)
                await (rig.event("held") if tries == 3 else rig.event("deferred", tries))
            (recipient,) = (await rig.show(poison)).recipients
            assert (recipient.state, recipient.held_for) == (State.HELD, HeldFor.POISON)
        assert len(fake.accepted) == 2


async def test_a_message_without_its_bytes_is_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(*_: object) -> None:
        return None

    with Smarthost() as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            monkeypatch.setattr("relay.delivery.courier.load_claimed", gone)
            message = await rig.accept(SENDER, ["een@example.net"])
            await rig.event("deferred")
            rig.advance(minutes=2)
            await rig.event("deferred", 2)
            rig.advance(minutes=3)
            await rig.event("held")
            assert (await rig.show(message)).recipients[0].held_for is HeldFor.POISON


async def test_a_fault_after_a_part_was_delivered_does_not_send_that_part_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from relay.delivery import courier

    real, calls = courier.wire_body, []

    def faulty(*arguments: object) -> object:
        calls.append(arguments)
        if len(calls) == 2:
            raise OSError("disk")
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(courier, "wire_body", faulty)
    with Smarthost() as fake:
        async with Rig(tmp_path, [rig_smarthost(fake, max_recipients=1)]) as rig:
            message = await rig.accept(SENDER, ["een@example.net", "twee@example.net"])
            await rig.event("deferred")
            assert await rig.states(message) == [State.DELIVERED, State.QUEUED]
            rig.advance(seconds=61)
            await rig.event("delivered", 2)
        taken = [path.address for got in fake.accepted for path in got.recipients]
        assert taken == ["een@example.net", "twee@example.net"]


async def test_an_outcome_that_cannot_be_recorded_is_recorded_later_and_not_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from relay.spool.errors import SpoolFull

    real_sleep, pauses = asyncio.sleep, []

    async def no_pause(seconds: float) -> None:
        pauses.append(seconds)
        await real_sleep(0)

    with Smarthost() as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            settle, failures = rig.spool.queue.settle, [SpoolFull("no room")] * 3

            async def refused(settlement: object) -> bool:
                if failures:
                    raise failures.pop()
                return await settle(settlement)  # type: ignore[arg-type]

            monkeypatch.setattr(rig.spool.queue, "settle", refused)
            monkeypatch.setattr("relay.delivery.courier.asyncio.sleep", no_pause)
            message = await rig.accept(SENDER, ["een@example.net"])
            await rig.event("delivered")
            monkeypatch.undo()
            assert await rig.states(message) == [State.DELIVERED]
            assert len(rig.events.named("alert", cause="outcome-not-recorded")) == 1
        assert len(fake.received) == 1
        assert [each for each in pauses if each in (1, 2, 4)] == [1, 2, 4]


async def test_a_fault_in_writing_the_report_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr("relay.delivery.reports.dsn.failure", faulty)
    script = {"RCPT": when({"weg@": "550 5.1.1 unknown"})}
    with Smarthost(Behaviour(script=script)) as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            message = await rig.accept(SENDER, ["een@example.net", "weg@example.net"])
            await rig.event("held")
            assert await rig.states(message) == [State.DELIVERED, State.HELD]


async def test_cancelled_after_the_dot_the_message_is_marked_in_doubt(tmp_path: Path) -> None:
    with Smarthost(Behaviour(script={"DOT": Action(wait_for=threading.Event())})) as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            message = await rig.accept(SENDER, ["een@example.net"])
            await asyncio.to_thread(fake.wait_until, lambda: bool(fake.received))
            await rig.dispatcher.stop(0)
            view = await rig.show(message)
            assert view.in_doubt
            assert not view.leased
            assert [attempt.outcome for attempt in view.attempts] == [Outcome.INTERRUPTED]
            await rig.start()
