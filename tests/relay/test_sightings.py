"""What the relay remembers of each smarthost, and what its status tells of the past."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fakes.certificates import Authority
from fakes.delivery_rig import START, Rig, rig_smarthost
from fakes.script import Behaviour, nth_time
from fakes.smarthost import Smarthost as Fake

import relay
from presets.reply import Reply
from relay.config.model import TlsMode
from relay.control import health
from relay.control.documents import history_document
from relay.delivery.sightings import Sightings, certificate_seen, read_seen
from relay.smarthost.connect import Connection
from relay.spool.errors import SpoolError
from relay.spool.model import Outcome
from relay.spool.protocol import Ledger
from relay.spool.statistics import Failure, History


class CountedLedger:
    """The settings of a ledger, and how often they were read and written."""

    def __init__(self) -> None:
        self.settings: dict[str, str] = {}
        self.reads = 0
        self.writes = 0
        self.broken = False

    async def setting(self, name: str) -> str | None:
        self.reads += 1
        return self.settings.get(name)

    async def remember(self, name: str, value: str) -> None:
        if self.broken:
            raise SpoolError("disk full")
        self.writes += 1
        self.settings[name] = value


def peercert(serial: str = "0A", issuer: str = "R3") -> dict[str, Any]:
    return {
        "issuer": ((("organizationName", "Let's Encrypt"),), (("commonName", issuer),)),
        "serialNumber": serial,
        "notAfter": "Dec 31 12:00:00 2026 GMT",
    }


def connection(address: str, certificate: Mapping[str, Any] | None = None) -> Connection:
    exchange = SimpleNamespace(certificate=certificate)
    return cast(Connection, SimpleNamespace(exchange=exchange, address=address))


class Watch:
    """Sightings over a counted ledger, and a clock that moves a minute with each note."""

    def __init__(self) -> None:
        self.ledger = CountedLedger()
        self.now = START
        self.sightings = self.fresh()

    def fresh(self) -> Sightings:
        """As after a restart of the process."""
        return Sightings(cast(Ledger, self.ledger), lambda: self.now)

    async def see(self, address: str, certificate: Mapping[str, Any] | None = None) -> Any:
        self.now += timedelta(minutes=1)
        await self.sightings.note("isp", connection(address, certificate))
        return await read_seen(cast(Ledger, self.ledger), "isp")


async def test_what_stays_the_same_is_written_once() -> None:
    watch = Watch()
    first = await watch.see("192.0.2.1", peercert())
    reads = watch.ledger.reads
    for _ in range(3):
        await watch.sightings.note("isp", connection("192.0.2.1", peercert()))
    assert (watch.ledger.reads, watch.ledger.writes) == (reads, 1)
    assert first["certificate"] == {
        "value": {
            "issuer": "Let's Encrypt, R3",
            "serial": "0A",
            "not_after": "2026-12-31T12:00:00.000Z",
        },
        "since": "2026-11-02T09:01:00.000Z",
        "before": None,
    }
    assert first["version"]["value"] == relay.__version__


async def test_a_change_keeps_what_was_before_and_since_when(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watch = Watch()
    before = await watch.see("192.0.2.1", peercert())
    watch.sightings = watch.fresh()  # a restart forgets nothing
    after = await watch.see("192.0.2.2", peercert("0B"))
    assert after["certificate"]["before"] == before["certificate"]["value"]
    assert (after["certificate"]["value"]["serial"], after["certificate"]["since"]) == (
        "0B",
        "2026-11-02T09:02:00.000Z",
    )
    assert (after["address"]["before"], after["address"]["value"]) == ("192.0.2.1", "192.0.2.2")
    assert after["version"] == before["version"]
    monkeypatch.setattr(relay, "__version__", "99")
    updated = await watch.see("192.0.2.2", peercert("0B"))
    assert updated["version"]["before"] == before["version"]["value"]
    assert updated["certificate"] == after["certificate"]


async def test_addresses_that_take_turns_are_no_news() -> None:
    watch = Watch()
    for _ in range(3):
        for number in range(5):
            seen = await watch.see(f"192.0.2.{number}")
    assert watch.ledger.writes == 5
    assert len(seen["address"]["met"]) == 5
    for number in range(100):
        seen = await watch.see(f"198.51.100.{number}")
    assert len(seen["address"]["met"]) == 64


async def test_no_trouble_with_a_note_reaches_the_mail(caplog: pytest.LogCaptureFixture) -> None:
    watch = Watch()
    watch.ledger.settings["seen:isp"] = '{"certificate": 5}'
    await watch.see("192.0.2.1", {"notAfter": "never"})
    watch.ledger.settings["seen:isp"] = "no JSON"
    watch.sightings = watch.fresh()
    watch.ledger.broken = True
    assert await watch.see("192.0.2.1") is None
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    watch.ledger.broken = False
    assert (await watch.see("192.0.2.1"))["address"]["value"] == "192.0.2.1"


def test_without_tls_there_is_no_certificate() -> None:
    assert certificate_seen(None) is None
    assert certificate_seen({}) is None


@pytest.fixture
async def rig(tmp_path: Path, authority: Authority) -> AsyncIterator[tuple[Rig, Fake]]:
    """A smarthost with STARTTLS, and the outgoing side that delivers to it."""
    behaviour = Behaviour(tls="starttls", context=authority.issue().server_context())
    with Fake(behaviour) as fake:
        smarthost = rig_smarthost(fake, tls=TlsMode.STARTTLS, ca_file=authority.ca_file)
        async with Rig(tmp_path, [smarthost]) as rig:
            yield rig, fake


async def test_the_status_tells_the_past(rig: tuple[Rig, Fake]) -> None:
    delivering, fake = rig
    await delivering.accept("info@bakkerij.nl", ["klant@example.org"])
    await delivering.event("delivered")
    await asyncio.to_thread(fake.stop)
    delivering.advance(minutes=5)
    failed_at = delivering.now
    await delivering.accept("info@bakkerij.nl", ["klant@example.org"])
    await delivering.event("deferred")
    found = await health.health(delivering.spool, delivering.config, delivering.now)
    (entry,) = found["smarthosts"]
    assert entry["worked_until"] == "2026-11-02T09:00:00.000Z"
    assert entry["failing_since"] == failed_at.isoformat(timespec="milliseconds").replace(
        "+00:00", "Z"
    )
    assert entry["worked_address"] == fake.host
    assert entry["first_failure"]["phase"] in ("mail", "connect")
    assert entry["seen"]["address"]["value"] == fake.host
    assert entry["seen"]["certificate"]["value"]["serial"]
    assert json.dumps(found["smarthosts"])  # as it goes over the API


async def test_what_works_again_is_not_failing(rig: tuple[Rig, Fake]) -> None:
    delivering, fake = rig
    fake.behaviour = replace(fake.behaviour, script={"MAIL": nth_time({1: "451 4.3.2 later"})})
    message = await delivering.accept("info@bakkerij.nl", ["klant@example.org"])
    await delivering.event("deferred")
    history = await delivering.spool.queue.history("isp")
    assert (history.delivered_at, len(history.failures)) == (None, 1)
    assert history.failures[0].reply == Reply(451, "4.3.2", "later")
    delivering.advance(hours=1)
    await delivering.spool.queue.retry([message])
    delivering.dispatcher.wake()
    await delivering.event("delivered")
    assert await delivering.spool.queue.history("isp") == History(delivering.now, fake.host, ())
    assert await delivering.spool.queue.history("elsewhere") == History()


def failure(code: int, enhanced: str | None, text: str, phase: str) -> Failure:
    return Failure(START, Outcome.FAILED, phase, Reply(code, enhanced, text), "192.0.2.1")


@pytest.mark.parametrize(
    ("reply", "failing"),
    [
        ((550, "5.1.1", "User unknown", "rcpt"), False),
        ((550, None, "mailbox unavailable", "mail"), True),
        ((552, "5.3.4", "Message too big", "dot"), False),
        ((535, "5.7.8", "Authentication failed", "auth"), True),
        ((421, "4.3.2", "Service not available", "mail"), True),
        ((550, "5.7.26", "This message fails SPF and DKIM checks", "dot"), True),
    ],
)
def test_one_message_says_nothing_about_the_smarthost(
    reply: tuple[int, str | None, str, str], failing: bool
) -> None:
    found = history_document(History(START, "192.0.2.1", (failure(*reply),)), None)
    assert (found["failing_since"] is not None) is failing


def test_a_failure_without_a_reply_counts() -> None:
    silent = Failure(START, Outcome.DEFERRED, "connect", None, None)
    unknown = failure(550, "5.1.1", "User unknown", "rcpt")
    found = history_document(History(None, None, (unknown, silent)), "ziggo")
    assert found["first_failure"] == {
        "at": "2026-11-02T09:00:00.000Z",
        "phase": "connect",
        "address": None,
        "reply": None,
    }
