"""A daily quota pauses and bounces nothing; a second smarthost takes over, as its own sender."""

import threading
from datetime import datetime
from pathlib import Path

from fakes.certificates import Authority
from fakes.hurried_relay import HurriedRelay
from fakes.invoice import body, invoice, parsed
from fakes.microsoft365 import Limits, Microsoft365
from fakes.relay_file import RelayFile
from fakes.relay_process import RelayProcess
from fakes.scaled_time import ScaledClock
from fakes.script import Action, Behaviour, nth_time
from fakes.smarthost import Smarthost

ACCOUNT = "facturen@mijnbakkerij.example"
PASSWORD = "CANARY-zuurdesem-42"
SECOND = "mijnbakkerij@ziggo.example"
HOUR = 3600.0
DAY = 24 * HOUR
A_DAY_IN_TWELVE_SECONDS = 7200
A_DAY = 20
SMALL = Limits(messages_per_minute=10_000, recipients_per_day=A_DAY)
ROUTE = """
[[route]]
sender = "*"
smarthost = ["m365", "ziggo"]
"""


def content(number: int) -> bytes:
    return invoice(f"Mijn Bakkerij <{ACCOUNT}>", [f"klant{number}@example.net"], number=number)


def submit(relay: RelayProcess, numbers: range) -> None:
    for number in numbers:
        relay.send(ACCOUNT, [f"klant{number}@example.net"], content(number))


def customers(numbers: range) -> list[str]:
    return sorted(f"klant{number}@example.net" for number in numbers)


def add_microsoft(
    relay: RelayFile, microsoft: Microsoft365, authority: Authority, more: str = ""
) -> None:
    relay.add_smarthost(
        microsoft.port,
        authority.ca_file,
        name="m365",
        preset="microsoft365",
        username=ACCOUNT,
        password=PASSWORD,
        more=f"messages_per_minute = 10000\n{more}",
    )


def add_second(relay: HurriedRelay, second: Smarthost, authority: Authority) -> None:
    relay.add_smarthost(
        second.port,
        authority.ca_file,
        name="ziggo",
        username=SECOND,
        password="geheim",
        more=f'sender = {{ policy = "force", address = "{SECOND}" }}',
    )
    relay.tables += ROUTE


def second_smarthost(authority: Authority) -> Smarthost:
    context = authority.issue().server_context()
    return Smarthost(Behaviour(tls="starttls", context=context, users={SECOND: "geheim"}))


def by_first(microsoft: Microsoft365) -> list[str]:
    return sorted(message.recipients[0] for message in microsoft.messages)


def by_second(second: Smarthost) -> list[str]:
    return sorted(one.recipients[0].address for one in second.accepted)


def check_second(second: Smarthost) -> None:
    """What it took left as its own account, the original in Reply-To."""
    for one in second.accepted:
        message = parsed(one.content)
        assert one.sender.address == SECOND
        assert message["From"].addresses[0].addr_spec == SECOND
        assert message["Reply-To"].addresses[0].addr_spec == ACCOUNT
        number = int(one.recipients[0].address.partition("@")[0].removeprefix("klant"))
        assert body(one.content) == body(content(number))


def test_what_exceeds_the_quota_of_a_day_waits_for_the_next(
    tmp_path: Path, authority: Authority
) -> None:
    clock = ScaledClock(A_DAY_IN_TWELVE_SECONDS)
    relay = HurriedRelay(tmp_path, clock)
    run = range(A_DAY + 8)
    with Microsoft365(
        authority.issue().server_context(), clock, passwords={ACCOUNT: PASSWORD}, limits=SMALL
    ) as microsoft:
        add_microsoft(relay, microsoft, authority)
        with relay:
            submit(relay, run)
            microsoft.wait_until(lambda: len(microsoft.messages) == A_DAY)
            relay.wait_for_event("paused")
            # Not at the very moment of the hourly try, which a loaded machine may draw out.
            relay.wait_until(
                lambda: "quota" in {one["waiting_for"] for one in relay.queue()}, timeout_seconds=10
            )
            assert {one["state"] for one in relay.queue()} <= {"queued"}
            microsoft.wait_until(lambda: len(microsoft.messages) == len(run), 30)
            relay.wait_until(lambda: relay.queue() == [])
            assert {one["by"] for one in relay.log_events("paused")} == {"quota"}
            assert relay.log_events("failed") == relay.log_events("dsn") == []
            assert relay.log_events("held") == []
    assert by_first(microsoft) == customers(run)
    assert microsoft.messages[A_DAY].at - microsoft.messages[0].at >= DAY
    tries = [each.at for each in microsoft.violations]
    assert {each.limit for each in microsoft.violations} == {"recipients"}
    # Each connection hears of it once; then one message an hour finds out whether it still holds.
    later = [at for at in tries if at > tries[0] + HOUR / 2]
    assert len(tries) - len(later) <= 3
    assert len(later) <= (tries[-1] - tries[0]) / HOUR + 1


def test_a_crash_and_a_restart_forget_nothing_of_what_the_day_has_used(
    tmp_path: Path, authority: Authority
) -> None:
    run, a_day, killed = range(120), 80, threading.Event()
    limits = Limits(messages_per_minute=10_000, recipients_per_day=a_day)
    relay = RelayProcess(tmp_path)
    with Microsoft365(
        authority.issue().server_context(), passwords={ACCOUNT: PASSWORD}, limits=limits
    ) as microsoft:
        # Microsoft has taken it, and the relay never hears so.
        taken = nth_time({15: Action(wait_for=killed)})
        microsoft.behaviour.script = {"BDAT": taken, "DOT": taken}
        add_microsoft(relay, microsoft, authority, f"recipients_per_day = {a_day}")
        with relay:
            submit(relay, range(20))
            microsoft.wait_until(lambda: len(microsoft.messages) >= 15)
            relay.kill9()
            killed.set()  # a server notices that its client is gone
            relay.start()
            submit(relay, range(20, 40))
            microsoft.wait_until(lambda: len(microsoft.messages) >= 30)
            relay.restart()
            submit(relay, run[40:])
            relay.wait_until(lambda: {"quota"} == {one["waiting_for"] for one in relay.queue()})
            queue = relay.queue()
            assert {one["state"] for one in queue} == {"queued"}
            assert relay.log_events("failed") == relay.log_events("dsn") == []
    assert microsoft.violations == []
    # What the crash interrupted counts, whether or not it had left: one a connection at most.
    assert a_day - 3 <= len(microsoft.messages) <= a_day
    delivered = set(by_first(microsoft))
    assert len(delivered) < a_day  # one at least arrived twice, and counts twice
    assert len(delivered) + len(queue) == len(run)


def test_the_second_smarthost_takes_over_when_the_quota_is_used_up_until_the_next_day(
    tmp_path: Path, authority: Authority
) -> None:
    clock = ScaledClock(A_DAY_IN_TWELVE_SECONDS)
    relay = HurriedRelay(tmp_path, clock)
    today, tomorrow = range(A_DAY + 6), range(100, 105)
    with (
        second_smarthost(authority) as second,
        Microsoft365(
            authority.issue().server_context(), clock, passwords={ACCOUNT: PASSWORD}, limits=SMALL
        ) as microsoft,
    ):
        add_microsoft(relay, microsoft, authority)
        add_second(relay, second, authority)
        with relay:
            submit(relay, today)
            relay.wait_until(lambda: relay.queue() == [])
            assert len(microsoft.messages) == A_DAY
            next_day = microsoft.messages[-1].at + 1.1 * DAY
            relay.wait_until(lambda: clock.seconds() > next_day)
            submit(relay, tomorrow)
            relay.wait_until(lambda: relay.queue() == [])
            assert relay.log_events("failed") == relay.log_events("dsn") == []
    assert sorted([*by_first(microsoft), *by_second(second)]) == sorted(
        [*customers(today), *customers(tomorrow)]
    )
    assert set(customers(tomorrow)) <= set(by_first(microsoft))
    assert {message.authors for message in microsoft.messages} == {(ACCOUNT,)}
    check_second(second)


def test_the_second_smarthost_takes_over_while_the_first_is_down(
    tmp_path: Path, authority: Authority
) -> None:
    clock = ScaledClock(60)
    relay = HurriedRelay(tmp_path, clock)
    before, during, after = range(5), range(10, 15), range(20, 25)
    with (
        second_smarthost(authority) as second,
        Microsoft365(
            authority.issue().server_context(), clock, passwords={ACCOUNT: PASSWORD}
        ) as microsoft,
    ):
        add_microsoft(relay, microsoft, authority)
        add_second(relay, second, authority)
        with relay:
            submit(relay, before)
            relay.wait_until(lambda: relay.queue() == [])
            microsoft.stop()
            submit(relay, during)
            second.wait_for(len(during))
            microsoft.start()
            paused = [one for one in relay.log_events("paused") if one["smarthost"] == "m365"]
            until = max(datetime.fromisoformat(one["until"]) for one in paused)
            relay.wait_until(lambda: clock.now() > until)
            submit(relay, after)
            microsoft.wait_until(lambda: len(microsoft.messages) == len(before) + len(after))
            relay.wait_until(lambda: relay.queue() == [])
            assert relay.log_events("failed") == relay.log_events("dsn") == []
    assert by_first(microsoft) == sorted([*customers(before), *customers(after)])
    assert by_second(second) == customers(during)
    check_second(second)
