"""Reports, retries, warnings and the end of a message's lifetime."""

import email
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fakes.certificates import Authority
from fakes.delivery_rig import CONTENT, START, Delivery, Rig, rig_smarthost, with_login
from fakes.script import Action, Behaviour, when
from fakes.smarthost import Smarthost

from relay.config.model import NullSender, TlsMode
from relay.envelope import Recipient
from relay.spool.model import HeldFor, State

SENDER = "info@bakkerij.nl"
ACCOUNT = "bakkerij@ziggo.nl"
REFUSE_WEG = {"RCPT": when({"weg@": "550 5.1.1 unknown"})}
LATER = {"RCPT": when({"een@": "450 4.2.1 mailbox busy"})}
NO_DSN = ("PIPELINING", "8BITMIME")


def logging_in(fake: Smarthost, authority: Authority, tmp_path: Path) -> Any:
    return rig_smarthost(
        fake,
        tls=TlsMode.STARTTLS,
        ca_file=authority.ca_file,
        **with_login(tmp_path / "isp.secret", username=ACCOUNT),
    )


def demanding(authority: Authority) -> Behaviour:
    """Takes nothing with a null reverse-path, as submission services do."""
    context = authority.issue().server_context()
    script = {**REFUSE_WEG, "MAIL": when({"<>": "501 5.1.7 null sender not allowed"})}
    return Behaviour(script, tls="starttls", context=context, users={ACCOUNT: "geheim"})


async def test_with_a_login_the_report_leaves_as_the_account(
    tmp_path: Path, authority: Authority
) -> None:
    with Smarthost(demanding(authority)) as fake:
        async with Rig(tmp_path, [logging_in(fake, authority, tmp_path)]) as rig:
            await rig.accept(SENDER, ["weg@example.net"])
            await rig.event("delivered")
        (report,) = fake.accepted
        assert report.sender.address == ACCOUNT
        message = email.message_from_bytes(report.content)
        assert ACCOUNT in message["From"]
        assert message["Auto-Submitted"] == "auto-replied"


async def test_without_a_login_the_report_has_the_null_reverse_path(tmp_path: Path) -> None:
    with Smarthost(Behaviour(REFUSE_WEG)) as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            await rig.accept(SENDER, ["weg@example.net"])
            await rig.event("delivered")
        assert fake.accepted[0].sender.address == ""


async def test_null_sender_keep_keeps_it_with_a_login_too(
    tmp_path: Path, authority: Authority
) -> None:
    behaviour = demanding(authority)
    behaviour.script = REFUSE_WEG
    delivery = Delivery(null_sender=NullSender.KEEP)
    with Smarthost(behaviour) as fake:
        smarthosts = [logging_in(fake, authority, tmp_path)]
        async with Rig(tmp_path, smarthosts, delivery=delivery) as rig:
            await rig.accept(SENDER, ["weg@example.net"])
            await rig.event("delivered")
        assert fake.accepted[0].sender.address == ""


@pytest.mark.parametrize(
    ("sender", "notify"), [(None, None), (SENDER, "NEVER"), (SENDER, "SUCCESS"), (SENDER, "DELAY")]
)
async def test_no_report_for_who_cannot_or_does_not_want_to_hear_it(
    tmp_path: Path, sender: str | None, notify: str | None
) -> None:
    wish = frozenset({notify}) if notify else None
    with Smarthost(Behaviour(REFUSE_WEG)) as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            await rig.accept(sender, [Recipient("weg@example.net", wish)])
            await rig.event("failed")
            assert await rig.waiting() == ()
            assert rig.events.named("dsn") == []


@pytest.mark.parametrize("offers_dsn", [True, False])
async def test_success_is_reported_where_the_smarthost_will_not(
    tmp_path: Path, offers_dsn: bool
) -> None:
    capabilities = (*NO_DSN, "DSN") if offers_dsn else NO_DSN
    with Smarthost(Behaviour(capabilities=capabilities)) as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            wish = frozenset({"SUCCESS"})
            await rig.accept(SENDER, [Recipient("een@example.net", wish), "twee@example.net"])
            await rig.event("delivered", 1 if offers_dsn else 2)
            assert await rig.waiting() == ()
        if offers_dsn:
            (only,) = fake.accepted
            assert only.recipients[0].parameters == ("NOTIFY=SUCCESS",)
        else:
            text = fake.accepted[1].content.decode()
            assert "Action: relayed" in text
            assert "twee@example.net" not in text


async def test_a_report_that_fails_goes_to_the_postmaster_and_no_further(tmp_path: Path) -> None:
    with Smarthost(Behaviour({"RCPT": "550 5.1.1 unknown"})) as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            await rig.accept(SENDER, ["weg@example.net"])
            await rig.event("failed", 3)
            assert [each["to"] for each in rig.events.named("dsn")] == [
                SENDER,
                "beheer@bakkerij.nl",
            ]
            assert len(rig.events.named("alert", cause="dsn-undeliverable")) == 2
            assert await rig.waiting() == ()


async def test_a_thousand_recipients_that_fail_are_one_report(tmp_path: Path) -> None:
    with Smarthost(Behaviour(REFUSE_WEG)) as fake:
        async with Rig(tmp_path, [rig_smarthost(fake, max_recipients=100)]) as rig:
            names: list[str | Recipient] = [f"weg@{n}.example.net" for n in range(1000)]
            await rig.accept(SENDER, names)
            await rig.event("delivered")
            assert len(rig.events.named("dsn")) == 1
        assert fake.accepted[0].content.count(b"Final-Recipient:") == 1000


async def test_the_schedule_of_a_message_that_is_put_off(tmp_path: Path) -> None:
    with Smarthost(Behaviour(LATER)) as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)], delivery=Delivery()) as rig:
            message = await rig.accept(SENDER, ["een@example.net"])
            for tries, minutes in enumerate((1, 2, 5, 10, 20, 40, 60, 60), start=1):
                await rig.event("deferred", tries)
                due_at = (await rig.show(message)).next_attempt_at
                assert due_at == rig.now + timedelta(minutes=minutes)
                rig.advance(minutes=minutes)
            assert rig.events.named("paused") == []
        assert len(fake.sessions[0].commands) > 0


async def test_a_delay_is_told_once(tmp_path: Path) -> None:
    with Smarthost(Behaviour(LATER)) as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            await rig.accept(SENDER, ["een@example.net"])
            await rig.event("deferred")
            rig.advance(hours=3)
            await rig.event("deferred", 2)
            assert rig.events.named("dsn") == []
            for tries in (3, 4, 5):
                rig.advance(hours=2)
                await rig.event("deferred", tries)
            await rig.event("delivered")
            assert len(rig.events.named("dsn")) == 1
        (warning,) = fake.accepted
        assert b"Action: delayed" in warning.content
        assert b"mailbox busy" in warning.content


async def test_no_delay_is_told_while_the_trouble_is_ours(tmp_path: Path) -> None:
    with Smarthost(Behaviour({"MAIL": "452 4.3.1 Insufficient system storage"})) as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            await rig.accept(SENDER, ["een@example.net"])
            for tries in (1, 2, 3):
                await rig.event("deferred", tries)
                await rig.event("paused", tries)
                rig.advance(hours=5)
            await rig.event("deferred", 4)
            assert rig.events.named("dsn") == []


async def test_at_its_lifetimes_end_a_message_that_was_put_off_fails(tmp_path: Path) -> None:
    with Smarthost(Behaviour(LATER)) as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            message = await rig.accept(SENDER, ["een@example.net"])
            await rig.event("deferred")
            rig.advance(days=5)
            await rig.event("delivered")
            (recipient,) = (await rig.show(message)).recipients
            assert recipient.state is State.FAILED
            assert recipient.reply is not None
            assert recipient.reply.enhanced == "5.4.7"
        (report,) = fake.accepted
        assert b"Status: 4.4.7" in report.content
        assert b"Action: failed" in report.content
        assert b"mailbox busy" in report.content


OURS = [
    ({"MAIL": "452 4.3.1 Insufficient system storage"}, "service"),
    ({"MAIL": "530 5.7.0 log in first"}, "account"),
    ({"CONNECT": "554 5.7.1 go away"}, "banner"),
    ({"RCPT": "503 5.5.1 what"}, "confusion"),
    ({"RCPT": "850 odd"}, "odd"),
]


@pytest.mark.parametrize(("script", "what"), OURS, ids=[what for _, what in OURS])
async def test_at_its_lifetimes_end_trouble_of_ours_holds_it(
    tmp_path: Path, script: Any, what: str
) -> None:
    with Smarthost(Behaviour(script)) as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            message = await rig.accept(SENDER, ["een@example.net"])
            await rig.event("deferred")
            rig.advance(days=5, seconds=1)
            await rig.event("alert", cause="lifetime")
            (recipient,) = (await rig.show(message)).recipients
            assert (recipient.state, recipient.held_for) == (State.HELD, HeldFor.LIFETIME)
            assert rig.events.named("dsn") == []
            assert rig.events.named("failed") == []


async def test_in_a_lane_that_is_blocked_it_is_held_without_an_attempt(tmp_path: Path) -> None:
    fake = Smarthost()
    fake.start()
    fake.stop()
    async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
        message = await rig.accept(SENDER, ["een@example.net"])
        await rig.event("paused")
        assert await rig.spool.queue.hold_expired() == ()
        late = START + timedelta(days=5)
        block = (await rig.spool.ledger.lanes())["isp"].block
        assert block is not None
        await rig.spool.ledger.block("isp", replace(block, until=late + timedelta(minutes=9)))
        rig.now = late
        assert await rig.spool.queue.hold_expired() == (message,)
        assert await rig.states(message) == [State.HELD]


async def test_a_drop_after_the_dot_each_time_ends_held_and_not_failed(tmp_path: Path) -> None:
    with Smarthost(Behaviour({"DOT": Action(drop="before")})) as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            await rig.accept(SENDER, ["een@example.net"])
            await rig.event("deferred", in_doubt=True)
            rig.advance(days=6)
            await rig.event("alert", cause="lifetime")
            assert rig.events.named("dsn") == []
        assert {got.content for got in fake.received} == {CONTENT}


async def test_a_mailbox_with_a_filter_for_us_does_not_stop_the_others(tmp_path: Path) -> None:
    """A reply about one recipient reads like one about us, each time that recipient is tried."""
    blocked = "550 5.7.1 blocked using zen.spamhaus.org"
    with Smarthost(Behaviour({"RCPT": when({"streng@": blocked})})) as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)]) as rig:
            bad = await rig.accept(SENDER, ["streng@example.net"])
            await rig.event("paused")
            for n in range(3):
                await rig.accept(SENDER, [f"goed{n}@example.net"])
            rig.advance(minutes=2)
            # The others go first, and when it is its turn again the lane does not stop for it.
            await rig.event("deferred", 2)
            assert len(rig.events.named("paused")) == 1
            assert len(fake.accepted) == 3
            await rig.accept(SENDER, ["goed3@example.net"])
            await rig.event("delivered", 4)
            assert (await rig.show(bad)).next_attempt_at == rig.now + timedelta(minutes=1)
