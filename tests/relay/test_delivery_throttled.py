"""A smarthost that says too fast: all its mail slows down, no message pays for it (O20)."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes.delivery_rig import Rig, rig_smarthost
from fakes.script import Behaviour, Command
from fakes.smarthost import Smarthost

SENDER = "info@bakkerij.nl"
MANY = 12
SERVER_BUSY = "451 4.7.500 Server busy. Please try again later from [192.0.2.1]. (S77714)"
STOREDRV = "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded [Hostname=AM0PR01]"
# when the server refuses, in which words, and whose words they are
THROTTLES = [
    ("MAIL", "421 4.7.0 slow down", None),
    ("MAIL", "421 4.3.2 service not available", None),
    ("MAIL", "450 4.7.1 Error: too much mail from 192.0.2.1", None),
    ("MAIL", "452 4.3.1 Insufficient system storage", None),
    ("RCPT", "450 4.7.1 rate limit exceeded", None),
    ("RCPT", "452 4.5.3 Too many recipients", None),
    ("DATA", "421 4.7.0 too many messages", None),
    ("DOT", "450 4.7.0 throttled", None),
    ("DOT", STOREDRV, "microsoft365"),
    ("MAIL", SERVER_BUSY, "microsoft365"),
]


@pytest.mark.parametrize(("verb", "reply", "preset"), THROTTLES)
async def test_all_mail_slows_down_and_no_message_pays(
    verb: str, reply: str, preset: str | None, tmp_path: Path
) -> None:
    def throttle(_: Command) -> str | None:
        return reply if len(fake.accepted) >= 4 else None

    offered = ("PIPELINING",) if verb == "DATA" else ("PIPELINING", "CHUNKING")
    with Smarthost(Behaviour({verb: throttle}, capabilities=offered)) as fake:
        async with Rig(tmp_path, [rig_smarthost(fake, preset=preset)]) as rig:
            names = [f"r{n}@example.net" for n in range(MANY)]
            for name in names:
                await rig.accept(SENDER, [name])
            for tries in range(1, 6):
                await rig.event("paused", tries)
                await rig.settled()
                # One message at a time finds out; the others have not been touched.
                assert len(rig.events.named("deferred")) == tries
                assert len(fake.accepted) == 4
                rig.advance(minutes=10, seconds=30)
            await rig.event("paused", 6)
            await rig.settled()
            assert tries_that_count(rig) == {0}
            fake.behaviour.script = {}
            await until(rig, lambda: len(fake.accepted) == MANY)
            order = [names.index(got.recipients[0].address) for got in fake.accepted]
            assert order[:4] == [0, 1, 2, 3]
            # Who found out went behind the others; these kept their order.
            untouched = [n for n in order if f"r{n}@example.net" not in refused(rig)]
            assert untouched == sorted(untouched)
            assert len(untouched) >= MANY - 6
            assert rig.events.named("failed") == rig.events.named("dsn") == []


def refused(rig: Rig) -> set[str]:
    return {name for event in rig.events.named("deferred") for name in event["recipients"]}


def tries_that_count(rig: Rig) -> set[int]:
    """How far the messages are on their own schedules."""
    with contextlib.closing(sqlite3.connect(f"file:{rig.path}?mode=ro", uri=True)) as reader:
        return {tries for (tries,) in reader.execute("SELECT tries FROM queue")}


async def until(rig: Rig, done: Callable[[], bool]) -> None:
    """Time passes; what was learned of the smarthost keeps a pace."""
    async with asyncio.timeout(20):
        while not done():
            await rig.settled()
            rig.advance(seconds=20)
