"""The page Devices: what each sent, who fell silent, who was refused."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fakes.past_mail import BODY, Mail, put
from fakes.stocked_spool import NOON, TABLES, FakeDaemon, office_config

from relay.access.learning import WINDOW_SETTING
from relay.control.device_report import DeviceReport
from relay.control.documents import Document
from relay.control.page_desk import PageDesk
from relay.monitor.statistics import LOOK_BACK, ArrivalTally, RollUp
from relay.spool.ledger_entry import AdoptedDevice, RefusedDevice
from relay.spool.model import State
from relay.spool.sqlite import SqliteSpool, open_spool

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[SqliteSpool]:
    opened = open_spool(tmp_path / "spool.db", lambda: NOON)
    yield opened
    await opened.close()


async def report(tmp_path: Path, spool: SqliteSpool, tables: str = TABLES) -> Document:
    """Days are those of UTC, wherever the test runs."""
    return await DeviceReport(spool, office_config(tmp_path, tables), NOON, UTC).listed()


async def roll_up(spool: SqliteSpool, tally: ArrivalTally | None = None) -> None:
    await RollUp(spool, tally or ArrivalTally(), lambda: NOON, lambda: LOOK_BACK).run()


async def test_a_device_that_never_sent(tmp_path: Path, spool: SqliteSpool) -> None:
    found = await report(tmp_path, spool)
    assert found == {
        "schema": "relay/1",
        "command": "devices",
        "devices": [
            {
                "name": "kassa",
                "source": "file",
                "networks": ["192.168.1.20/32", "192.168.1.64/26"],
                "addresses": [],
                "last_mail_at": None,
                "messages_24h": 0,
                "messages_30d": 0,
                "bytes_30d": 0,
                "tls": None,
                "errors_24h": 0,
                "silent_days": None,
                "silent_working_days": None,
                "silent_alarm": False,
            }
        ],
        "refused": [],
        "learning_until": None,
    }


@pytest.mark.parametrize("rolled_up", [False, True])
async def test_what_a_device_sent(tmp_path: Path, spool: SqliteSpool, *, rolled_up: bool) -> None:
    tally = ArrivalTally()
    for mail in (
        Mail(NOON - 40 * DAY),
        Mail(NOON - 29 * DAY),
        Mail(NOON - 23 * HOUR, State.FAILED),
        Mail(NOON - HOUR),
        Mail(NOON - HOUR, State.QUEUED),
        Mail(NOON - HOUR, client="relay", is_dsn=True),
    ):
        await put(spool, mail)
    tally.accepted("kassa", NOON - HOUR, tls=True)
    tally.refused("kassa", NOON - HOUR)
    await roll_up(spool, tally)
    if rolled_up:
        await spool.queue.purge(NOON + DAY, 500)
    (kassa,) = (await report(tmp_path, spool))["devices"]
    assert kassa["last_mail_at"] == "2026-11-21T11:00:00.000Z"
    assert (kassa["messages_24h"], kassa["messages_30d"]) == (3, 4)
    assert kassa["bytes_30d"] == 4 * len(BODY)
    assert kassa["errors_24h"] == 2, "one failed, one was not taken"
    assert kassa["tls"] is True
    assert (kassa["silent_days"], kassa["silent_alarm"]) == (0, False)


async def test_mail_is_seen_before_it_is_rolled_up(tmp_path: Path, spool: SqliteSpool) -> None:
    await put(spool, Mail(NOON - HOUR))
    await put(spool, Mail(NOON, State.HELD))
    (kassa,) = (await report(tmp_path, spool))["devices"]
    assert kassa["messages_24h"] == 2
    assert kassa["last_mail_at"] == "2026-11-21T12:00:00.000Z"
    assert kassa["tls"] is None, "nobody knows it yet"


async def test_a_device_that_fell_silent(tmp_path: Path, spool: SqliteSpool) -> None:
    tables = TABLES + '\n[[client]]\nname = "scanner"\nnetworks = ["192.168.1.30"]\n'
    friday = datetime(2026, 11, 13, 9, 0, tzinfo=UTC)
    for back in range(14):
        await put(spool, Mail(friday - back * DAY))
    await put(spool, Mail(friday - 2 * DAY, client="scanner"))  # which sends now and then
    await roll_up(spool)
    kassa, scanner = (await report(tmp_path, spool, tables))["devices"]
    assert (kassa["name"], scanner["name"]) == ("kassa", "scanner")
    # It is Saturday the 21st: Monday to Friday went by.
    assert (kassa["silent_days"], kassa["silent_working_days"]) == (8, 5)
    assert kassa["silent_alarm"]
    assert (scanner["silent_days"], scanner["silent_alarm"]) == (10, False)


async def test_adopted_devices(tmp_path: Path, spool: SqliteSpool) -> None:
    for address, name in (
        ("192.168.1.40", "scanner"),
        ("192.168.1.41", "scanner"),
        ("192.168.1.42", "kassa"),
    ):
        await spool.ledger.adopt(AdoptedDevice(address, name, NOON))
    await put(spool, Mail(NOON, client="scanner"))
    kassa, scanner = (await report(tmp_path, spool))["devices"]
    assert (kassa["source"], kassa["addresses"]) == ("file", ["192.168.1.42"])
    assert (scanner["source"], scanner["networks"]) == ("adopted", [])
    assert sorted(scanner["addresses"]) == ["192.168.1.40", "192.168.1.41"]
    assert scanner["messages_24h"] == 1


async def test_without_clients_this_machine_may(tmp_path: Path, spool: SqliteSpool) -> None:
    smarthost = TABLES[TABLES.index("[[smarthost]]") :]
    (local,) = (await report(tmp_path, spool, smarthost))["devices"]
    assert (local["name"], local["source"]) == ("local", "default")
    assert "127.0.0.1/32" in local["networks"]


async def test_refused_devices_until_they_are_allowed(tmp_path: Path, spool: SqliteSpool) -> None:
    await spool.ledger.note_refused([RefusedDevice("192.168.1.200", 3, NOON - HOUR, NOON)])
    await spool.ledger.remember(WINDOW_SETTING, (NOON + HOUR).isoformat())
    found = await report(tmp_path, spool)
    (refused,) = found["refused"]
    reply = refused.pop("last_reply")
    assert refused == {
        "address": "192.168.1.200",
        "count": 3,
        "first_at": "2026-11-21T11:00:00.000Z",
        "last_at": "2026-11-21T12:00:00.000Z",
    }
    assert reply["nl"] != reply["en"]
    assert all(text.startswith("554 5.7.1 192.168.1.200") for text in reply.values())
    assert found["learning_until"] == "2026-11-21T13:00:00.000Z"
    desk = PageDesk(spool, FakeDaemon(office_config(tmp_path), spool), lambda: NOON)
    await desk.client_allow("192.168.1.200", "printer")
    found = await desk.devices()
    assert found["refused"] == []
    names: list[Any] = [each["name"] for each in found["devices"]]
    assert names == ["kassa", "printer"]
