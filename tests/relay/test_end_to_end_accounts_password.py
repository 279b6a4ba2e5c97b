"""A wrong password with a hundred messages waiting: one try, one alarm, nothing lost."""

import threading
from pathlib import Path

from fakes.certificates import Authority
from fakes.hurried_relay import HurriedRelay
from fakes.invoice import invoice
from fakes.microsoft365 import Limits, Microsoft365
from fakes.relay_process import RelayProcess
from fakes.scaled_time import ScaledClock
from fakes.script import Action

ACCOUNT = "facturen@mijnbakkerij.example"
PASSWORD = "CANARY-zuurdesem-42"
WAITING = 100
QUICK = Limits(messages_per_minute=10_000)
HOUR = 3600.0


def content(number: int) -> bytes:
    return invoice(ACCOUNT, [f"klant{number}@example.net"], number=number)


def submit(relay: RelayProcess, number: int) -> None:
    relay.send(ACCOUNT, [f"klant{number}@example.net"], content(number))


def add_microsoft(relay: RelayProcess, port: int, authority: Authority, password: str) -> Path:
    return relay.add_smarthost(
        port,
        authority.ca_file,
        preset="microsoft365",
        username=ACCOUNT,
        password=password,
        more="messages_per_minute = 10000",
    )


def test_a_wrong_password_is_tried_once_and_delivery_resumes_with_the_right_one(
    tmp_path: Path, authority: Authority
) -> None:
    relay = RelayProcess(tmp_path)
    gate = threading.Event()
    with Microsoft365(
        authority.issue().server_context(), passwords={ACCOUNT: PASSWORD}, limits=QUICK
    ) as microsoft:
        # No connection comes to a login before all mail waits.
        microsoft.behaviour.script = {"CONNECT": Action(wait_for=gate)}
        secret = add_microsoft(relay, microsoft.port, authority, "verkeerd")
        with relay:
            for number in range(WAITING):
                submit(relay, number)
            gate.set()
            (alert,) = relay.wait_for_event("alert")
            assert alert["level"] == "alert"
            queue = relay.queue()
            assert len(queue) == WAITING
            assert {one["state"] for one in queue} == {"queued"}
            assert {one["waiting_for"] for one in queue} == {"account"}
            assert relay.run("status").code == 1

            # Neither a restart nor a crash, nor new mail, nor `retry` is a reason to try again.
            relay.restart()
            submit(relay, WAITING)
            relay.kill9()
            assert relay.run("status").code == 1
            relay.start()
            submit(relay, WAITING + 1)
            relay.retry_all()
            assert relay.run("status").code == 1
            assert relay.run("queue", "list", "--json").json["total"] == WAITING + 2
            assert [each.secret for each in microsoft.logins] == ["verkeerd"]

            secret.write_text(PASSWORD)
            microsoft.wait_until(lambda: len(microsoft.messages) == WAITING + 2, 30)
            relay.wait_until(lambda: relay.queue() == [])
            assert relay.run("status").code == 0
            assert len(relay.log_events("alert")) == 1
            assert relay.log_events("failed") == relay.log_events("dsn") == []
    assert [each.secret for each in microsoft.refused_logins] == ["verkeerd"]
    arrived = [message.recipients[0] for message in microsoft.messages]
    assert sorted(arrived) == sorted(f"klant{n}@example.net" for n in range(WAITING + 2))
    assert microsoft.violations == []


def test_a_password_that_stays_wrong_is_tried_after_15_minutes_and_an_hour_and_no_more(
    tmp_path: Path, authority: Authority
) -> None:
    clock = ScaledClock(1200)
    relay = HurriedRelay(tmp_path, clock)
    with Microsoft365(
        authority.issue().server_context(), clock, passwords={ACCOUNT: PASSWORD}, limits=QUICK
    ) as microsoft:
        add_microsoft(relay, microsoft.port, authority, "verkeerd")
        with relay:
            for number in range(3):
                submit(relay, number)
            relay.wait_for_event("paused", 3)
            third = clock.seconds()
            relay.wait_until(lambda: clock.seconds() > third + 2 * HOUR)
            assert len(relay.queue()) == 3
            assert len(microsoft.logins) == 3
            microsoft.passwords[ACCOUNT] = "verkeerd"
            assert relay.run("account", "resume", "isp").code == 0
            microsoft.wait_until(lambda: len(microsoft.messages) == 3)
    first, second, third = (each.at for each in microsoft.refused_logins)
    assert 15 * 60 <= second - first < 25 * 60
    assert HOUR <= third - second < 1.2 * HOUR
    assert relay.log_events("failed") == []
