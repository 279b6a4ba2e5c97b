"""Limits at work: what exceeds waits and nothing bounces; replies about them teach new ones."""

import asyncio
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from fakes.certificates import Authority
from fakes.delivery_rig import Rig, rig_smarthost, with_login
from fakes.script import Action, Behaviour, Command
from fakes.smarthost import Smarthost

from relay.config.model import Route, TlsMode
from relay.control.usage import usage_documents
from relay.delivery.learned import Kind, parse
from relay.delivery.window import DAY
from relay.spool.ledger_entry import BlockedBy, LaneAccount
from relay.spool.model import Outcome, State
from relay.spool.sqlite import open_spool

SENDER = "info@bakkerij.nl"


async def accept_many(rig: Rig, count: int, domain: str = "example.net") -> None:
    for n in range(count):
        await rig.accept(SENDER, [f"r{n}@{domain}"])


async def learned(rig: Rig) -> dict[Kind, int]:
    found = await rig.spool.ledger.paces()
    return {kind: lesson.limit for each in found for kind, lesson in parse(each.learned).items()}


def nothing_lost(rig: Rig) -> None:
    assert rig.events.named("failed") == rig.events.named("held") == rig.events.named("dsn") == []


async def test_what_exceeds_the_day_waits_also_across_restarts(tmp_path: Path) -> None:
    with Smarthost() as fake:
        async with Rig(tmp_path, [rig_smarthost(fake, messages_per_day=3)]) as rig:
            await accept_many(rig, 5)
            await rig.event("delivered", 3)
            await rig.event("paused", by="quota")
            await rig.restart()
            for _ in range(4):
                rig.advance(hours=5, minutes=59)
                await rig.settled()
            assert len(fake.received) == 3
            waiting = await rig.waiting()
            assert {message.waiting_for for message in waiting} == {"quota"}
            assert {message.next_attempt_at for message in waiting} == {
                rig.now - timedelta(hours=23, minutes=56) + DAY + timedelta(minutes=1)
            }
            rig.advance(minutes=5)
            await rig.event("delivered", 5)
            attempts = (await rig.show(waiting[0].id)).attempts
            assert [attempt.outcome for attempt in attempts] == [Outcome.DELIVERED]
            assert rig.events.named("deferred") == []
            nothing_lost(rig)


async def test_copies_and_recipients_count_and_a_large_message_goes_in_parts(
    tmp_path: Path,
) -> None:
    with Smarthost() as fake:
        async with Rig(tmp_path, [rig_smarthost(fake, recipients_per_day=4)]) as rig:
            message = await rig.accept(SENDER, [f"r{n}@example.net" for n in range(10)])
            for sent in (4, 8, 10):
                await rig.event("delivered", -(-sent // 4))
                await rig.settled()
                states = await rig.states(message)
                assert states.count(State.DELIVERED) == sent
                rig.advance(hours=24, minutes=1)
            assert [len(got.recipients) for got in fake.accepted] == [4, 4, 2]
            nothing_lost(rig)


async def test_four_fifths_warn_once(tmp_path: Path) -> None:
    with Smarthost() as fake:
        async with Rig(tmp_path, [rig_smarthost(fake, messages_per_day=10)]) as rig:
            await accept_many(rig, 7)
            await rig.event("delivered", 7)
            assert rig.events.named("alert") == []
            await accept_many(rig, 2)
            await rig.event("delivered", 9)
            await rig.settled()
            (warned,) = rig.events.named("alert", cause="quota-nearly-used")
            assert warned["text"] == "8 of 10 used in 24 hours"
            (account,) = await usage_documents(rig.config, rig.spool.ledger, rig.now)
            assert account["warning"]
            assert account["messages"]["left"] == 1
            await rig.restart()
            await accept_many(rig, 1)
            await rig.event("delivered", 10)
            assert len(rig.events.named("alert")) == 1


async def test_what_a_crash_interrupts_counts_as_used(tmp_path: Path) -> None:
    with Smarthost() as fake:
        entry = rig_smarthost(fake, messages_per_day=10)
        async with Rig(tmp_path, [entry]) as rig:
            await rig.dispatcher.stop(0)
            await rig.spool.ledger.lane_accounts([LaneAccount("isp", "h", "u", 2)])
            await rig.accept(SENDER, ["a@example.net", "b@example.net", "c@example.net"])
            (claim,) = await rig.spool.queue.claim("isp", 1)
            assert len(claim.recipients) == 3
            await rig.spool.close()
            rig.now += timedelta(hours=1)
            rig.spool = open_spool(rig.path, lambda: rig.now)
            (used,) = await rig.spool.ledger.usage(rig.now)
            assert (used.host, used.username) == ("h", "u")
            assert (used.messages, used.recipients, used.transactions) == (2, 3, 2)
            assert used.minute <= rig.now < used.minute + timedelta(minutes=1)


async def test_old_minutes_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.delivery.dispatcher._WATCH_EVERY_SECONDS", 0.02)
    with Smarthost() as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            began = rig.now
            await accept_many(rig, 1)
            await rig.event("delivered")
            assert len(await rig.spool.ledger.usage(began)) == 1
            rig.advance(hours=24, minutes=3)
            async with asyncio.timeout(5):
                while await rig.spool.ledger.usage(began):
                    await asyncio.sleep(0.02)


async def test_a_concurrency_refusal_means_fewer_connections_at_once(tmp_path: Path) -> None:
    refused, once = threading.Event(), threading.Lock()

    def busy(_: Command) -> str | Action | None:
        # The third at once is one too many; the others go on when it has been told.
        if fake.open_connections >= 3 and once.acquire(blocking=False):
            refused.set()
            return (
                "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded "
                "[Hostname=AM0PR01MB1234.eurprd01.prod.exchangelabs.com]"
            )
        return Action(wait_for=refused)

    with Smarthost(Behaviour({"DOT": busy})) as fake:
        entry = rig_smarthost(fake, max_connections=3, preset="microsoft365")
        async with Rig(tmp_path, [entry]) as rig:
            await accept_many(rig, 8)
            await rig.event("deferred")
            await rig.event("delivered", 7)
            assert rig.events.named("paused") == []
            assert await learned(rig) == {Kind.CONNECTIONS: 2}
            rig.advance(minutes=2)
            await rig.event("delivered", 8)
            await rig.settled()
            assert fake.open_connections <= 2
            nothing_lost(rig)
            rig.advance(hours=24)
            (account,) = await usage_documents(rig.config, rig.spool.ledger, rig.now)
            assert account["max_connections"]["limit_now"] == 3


async def test_too_fast_pauses_a_minute_and_lowers_the_pace(tmp_path: Path) -> None:
    def fast(command: Command) -> str | None:
        if command.nth == 25:
            return "421 4.4.2 Message submission rate for this client has exceeded the configured limit"
        return None

    with Smarthost(Behaviour({"MAIL": fast})) as fake:
        entry = rig_smarthost(fake, preset="microsoft365")
        async with Rig(tmp_path, [entry]) as rig:
            await accept_many(rig, 26)
            await rig.event("paused", by="quota", cause="rate-limit")
            await rig.settled()
            assert len(fake.received) == 24
            block = (await rig.spool.ledger.lanes())["isp"].block
            assert block is not None
            assert (block.by, block.until) == (BlockedBy.QUOTA, rig.now + timedelta(minutes=1))
            assert await learned(rig) == {Kind.PER_MINUTE: 24}
            await rig.restart()
            rig.advance(minutes=2)
            await rig.event("delivered", 25)
            rig.advance(minutes=2)
            await rig.event("delivered", 26)
            assert rig.events.named("alert") == []
            nothing_lost(rig)


@pytest.mark.parametrize(
    ("reply", "preset", "kind"),
    [
        ("550 5.4.5 Daily user sending limit exceeded.", "gmail", Kind.MESSAGES),
        (
            "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException",
            "microsoft365",
            Kind.RECIPIENTS,
        ),
    ],
)
async def test_a_used_up_day_is_tried_hourly_and_bounces_nothing(
    tmp_path: Path, reply: str, preset: str, kind: Kind
) -> None:
    with Smarthost() as fake:
        entry = rig_smarthost(fake, preset=preset, **{kind.value: 30})
        async with Rig(tmp_path, [entry]) as rig:
            await accept_many(rig, 20)
            await rig.event("delivered", 20)
            fake.behaviour.script = {"DOT": reply}
            message = await rig.accept(SENDER, ["een@example.net"])
            await rig.event("paused", by="quota", cause="daily-quota")
            await rig.settled()
            assert await learned(rig) == {kind: 20}
            assert len(rig.events.named("alert", cause="quota-reached")) == 1
            rig.advance(minutes=59)
            await rig.settled()
            assert len(rig.events.named("deferred")) == 1
            rig.advance(minutes=1.5)
            await rig.event("paused", 2, by="quota", cause="daily-quota")
            await rig.settled()
            fake.behaviour.script = {}
            rig.advance(minutes=61)
            await rig.event("delivered", 21)
            async with asyncio.timeout(5):
                while await learned(rig):
                    await rig.settled()
            assert [each.outcome for each in (await rig.show(message)).attempts] == [
                Outcome.DEFERRED,
                Outcome.DEFERRED,
                Outcome.DELIVERED,
            ]
            nothing_lost(rig)


async def test_too_many_recipients_at_once_teach_smaller_transactions(tmp_path: Path) -> None:
    def two(command: Command) -> str | None:
        return "452 4.5.3 Too many recipients" if taken(command) > 2 else None

    counts: dict[tuple[int, int], int] = {}

    def taken(command: Command) -> int:
        key = (command.session, len(fake.received))
        counts[key] = counts.get(key, 0) + 1
        return counts[key]

    with Smarthost(Behaviour({"RCPT": two})) as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            message = await rig.accept(SENDER, [f"r{n}@example.net" for n in range(7)])
            await rig.event("delivered", 2)
            await rig.settled()
            assert await rig.states(message) == [State.DELIVERED] * 7
            assert [len(got.recipients) for got in fake.accepted] == [2, 2, 2, 1]
            assert await learned(rig) == {Kind.TRANSACTION: 2}
            nothing_lost(rig)


async def test_too_many_recipients_at_the_very_first_is_a_quota(tmp_path: Path) -> None:
    with Smarthost(Behaviour({"RCPT": "452 4.5.3 Too many recipients"})) as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            message = await rig.accept(SENDER, ["a@example.net", "b@example.net"])
            await rig.event("paused", by="quota", cause="too-many-recipients")
            await rig.settled()
            (view,) = await rig.waiting()
            assert view.waiting_for == "quota"
            fake.behaviour.script = {}
            rig.advance(minutes=2)
            await rig.event("delivered")
            assert await rig.states(message) == [State.DELIVERED] * 2


async def test_a_count_that_only_the_dot_refuses_is_halved(tmp_path: Path) -> None:
    def four(command: Command) -> str | None:
        return "550 5.5.3 too many recipients" if command.nth < 3 else None

    with Smarthost(Behaviour({"DOT": four})) as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            message = await rig.accept(SENDER, [f"r{n}@example.net" for n in range(8)])
            async with asyncio.timeout(10):
                while set(await rig.states(message)) != {State.DELIVERED}:
                    await rig.settled()
            assert await learned(rig) == {Kind.TRANSACTION: 2}
            nothing_lost(rig)


async def test_entries_of_one_login_share_its_connections(
    tmp_path: Path, authority: Authority
) -> None:
    context = authority.issue().server_context()
    behaviour = Behaviour(tls="starttls", context=context, users={"bakker": "geheim"})
    login = with_login(tmp_path / "isp.secret")
    keys = {"tls": TlsMode.STARTTLS, "ca_file": authority.ca_file, **login}
    with Smarthost(behaviour) as fake:
        entries = [
            rig_smarthost(fake, "isp", max_connections=3, **keys),
            rig_smarthost(fake, "two", max_connections=1, **keys),
        ]
        routes = (Route(recipient="*@twee.net", smarthosts=("two",)),)
        async with Rig(tmp_path, entries, routes=routes) as rig:
            await accept_many(rig, 45)
            await accept_many(rig, 30, "twee.net")
            await rig.event("delivered", 75)
            assert fake.most_connections == 1
            # Neither waited for the other to be done.
            names = [fields["smarthost"] for fields in rig.events.named("delivered")]
            assert names.index("two") < 45
            (account,) = await usage_documents(rig.config, rig.spool.ledger, rig.now)
            assert account["smarthosts"] == ["isp", "two"]
            assert account["messages"]["used"] == account["recipients"]["used"] == 75


async def test_refused_mail_counts_for_the_pace_and_not_for_the_day(tmp_path: Path) -> None:
    with Smarthost(Behaviour({"RCPT": "450 4.2.0 later"})) as fake:
        entry = rig_smarthost(fake, messages_per_minute=1, messages_per_day=1)
        async with Rig(tmp_path, [entry]) as rig:
            await accept_many(rig, 2)
            await rig.event("deferred")
            await rig.settled()
            assert len(rig.events.named("deferred")) == 1
            (used,) = await rig.spool.ledger.usage(rig.now)
            assert (used.messages, used.recipients, used.transactions) == (0, 0, 1)
            fake.behaviour.script = {}
            rig.advance(seconds=61)
            await rig.event("delivered")
            (pace,) = await rig.spool.ledger.paces()
            assert pace.arrival_at is not None
            assert pace.arrival_at > rig.now


async def test_a_message_in_doubt_counts_as_sent(tmp_path: Path) -> None:
    with Smarthost(Behaviour({"DOT": Action(drop="before")})) as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            await rig.accept(SENDER, ["a@example.net", "b@example.net"])
            await rig.event("deferred", in_doubt=True)
            (used,) = await rig.spool.ledger.usage(rig.now)
            assert (used.messages, used.recipients) == (1, 2)
