"""What the status tells of limits: used, left, learned, and when the queue will be empty."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from fakes.stocked_spool import NOON, FakeDaemon, add_message, office_config

from relay.cli.session import Session
from relay.cli.status import _first_line, _print_details
from relay.config.model import Config
from relay.control.desk import Desk
from relay.control.usage import usage_documents
from relay.delivery.budget import USED_UP
from relay.delivery.forecast import Outlook, empty_at
from relay.delivery.learned import Kind, Lesson, dump
from relay.delivery.window import DAY, Amount
from relay.spool.ledger_entry import Block, BlockedBy, Usage
from relay.spool.model import RecipientResult, Settlement, State
from relay.spool.sqlite import SqliteSpool, open_spool

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
TABLES = """
[[smarthost]]
name = "isp"
host = "mail.example.net"
username = "bakker"
password = { file = "isp.secret" }
messages_per_minute = 10
messages_per_day = 40
recipients_per_day = 100

[[smarthost]]
name = "plain"
host = "127.0.0.1"
port = 2
tls = "none"
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return office_config(tmp_path, TABLES)


@pytest.fixture
async def spool(config: Config) -> AsyncIterator[SqliteSpool]:
    assert config.spool.path is not None
    opened = open_spool(config.spool.path, lambda: NOON)
    yield opened
    await opened.close()


async def use(spool: SqliteSpool, at: datetime, messages: int, recipients: int) -> None:
    """Record use as a settlement does."""
    await add_message(spool)
    (claim,) = await spool.queue.claim("isp", 1)
    usage = Usage("mail.example.net", "bakker", messages, recipients, at, messages)
    result = RecipientResult(0, State.DELIVERED)
    assert await spool.queue.settle(Settlement(claim, at, (result,), (), usage=usage))
    assert not await spool.queue.settle(Settlement(claim, at, (result,), (), usage=usage))


async def test_used_left_learned_and_the_forecast(spool: SqliteSpool, config: Config) -> None:
    await use(spool, NOON - 2 * HOUR, 20, 30)
    await use(spool, NOON - HOUR, 12, 18)
    await use(spool, NOON - 25 * HOUR, 99, 99)
    lesson = Lesson(5, NOON - HOUR)
    await spool.ledger.learn("mail.example.net", "bakker", dump({Kind.PER_MINUTE: lesson}))
    for _ in range(10):
        await add_message(spool)
    isp, plain = await usage_documents(config, spool.ledger, NOON, await spool.queue.totals())
    assert (isp["host"], isp["username"]) == ("mail.example.net", "bakker")
    assert isp["messages"] == {
        "used": 32,
        "left": 8,
        "limit": 40,
        "limit_now": 40,
        "learned": None,
        "warning": True,
    }
    assert (isp["recipients"]["used"], isp["recipients"]["left"]) == (48, 52)
    assert isp["messages_per_minute"] == {
        "limit": 10,
        "limit_now": 5,
        "learned": {"limit": 5, "at": "2026-11-21T11:00:00.000Z"},
    }
    # Eight go now; the other two when the first minute has left the last 24 hours.
    assert (isp["waiting"], isp["empty_at"]) == (10, "2026-11-22T10:01:00.000Z")
    assert (plain["username"], plain["smarthosts"]) == (None, ["plain"])
    assert (plain["messages"]["used"], plain["messages"]["left"]) == (0, None)
    assert plain["empty_at"] is None


async def test_a_warning_is_told_and_is_no_problem(
    spool: SqliteSpool, config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    await use(spool, NOON, 33, 50)
    block = Block(BlockedBy.QUOTA, NOON + HOUR, 0, NOON, "quota-used-up")
    await spool.ledger.block("isp", block)
    status = await Desk(spool, FakeDaemon(config, spool), lambda: NOON).status()
    assert (status["verdict"], status["problems"]) == ("pass", [])
    assert [each["id"] for each in status["warnings"]] == ["quota-waiting", "quota-nearly-used"]
    session = Session(replace(config, language="nl"), as_json=False)
    line = _first_line(session, status)
    assert line.startswith("OK - 0 wachtend")
    assert "heeft 33 van 40 berichten per 24 uur gebruikt" in line
    _print_details(session, status)
    printed = capsys.readouterr().out
    assert "33 / 40" in printed
    later = await Desk(spool, FakeDaemon(config, spool), lambda: NOON + 2 * HOUR).status()
    assert [each["id"] for each in later["warnings"]] == ["quota-nearly-used"]


async def test_a_paused_account_has_no_forecast_and_a_failing_one_a_later_one(
    spool: SqliteSpool, config: Config
) -> None:
    await add_message(spool)
    totals = await spool.queue.totals()
    expected = {None: None, NOON + HOUR: "2026-11-21T13:00:06.000Z"}
    for until, at in expected.items():
        await spool.ledger.block("isp", Block(BlockedBy.SMARTHOST, until, 1, NOON, "x"))
        isp, _ = await usage_documents(config, spool.ledger, NOON, totals)
        assert isp["empty_at"] == at


async def test_what_the_provider_refuses_for_its_quota_leaves_no_sooner_than_the_pause_ends(
    spool: SqliteSpool, config: Config
) -> None:
    await add_message(spool)
    totals = await spool.queue.totals()
    expected = {"daily-quota": "2026-11-21T13:00:06.000Z", USED_UP: "2026-11-21T12:00:06.000Z"}
    for cause, at in expected.items():
        await spool.ledger.block("isp", Block(BlockedBy.QUOTA, NOON + HOUR, 1, NOON, cause))
        isp, _ = await usage_documents(config, spool.ledger, NOON, totals)
        assert isp["empty_at"] == at, cause


def frees(*amounts: int) -> list[tuple[datetime, Amount]]:
    """So many messages an hour, with two recipients each, leave the window."""
    return [(NOON + n * HOUR, Amount(m, 2 * m)) for n, m in enumerate(amounts, start=1)]


@pytest.mark.parametrize(
    ("waiting", "limit", "used", "expected"),
    [
        (0, None, 0, None),
        (60, None, 0, NOON + 2 * MINUTE),
        (60, 100, 40, NOON + 2 * MINUTE),
        (61, 100, 40, NOON + HOUR),
        (70, 100, 40, NOON + HOUR),
        (71, 100, 40, NOON + 2 * HOUR),
        (100, 100, 40, NOON + 4 * HOUR),
        (160, 100, 40, NOON + DAY),
        (161, 100, 40, NOON + DAY + HOUR),
        (360, 100, 40, NOON + 3 * DAY),
    ],
)
def test_when_the_queue_is_empty(
    waiting: int, limit: int | None, used: int, expected: datetime | None
) -> None:
    outlook = Outlook(
        waiting=Amount(waiting, waiting),
        start=NOON,
        messages_per_minute=30,
        messages_per_day=limit,
        used=Amount(used, used),
        frees=frees(10, 10, 10, 10),
    )
    assert empty_at(outlook) == expected


def test_the_recipients_of_a_day_may_be_what_lasts_longest() -> None:
    outlook = Outlook(
        waiting=Amount(10, 30),
        start=NOON,
        messages_per_minute=30,
        messages_per_day=50,
        recipients_per_day=40,
        used=Amount(10, 20),
        frees=frees(3, 3, 4),
    )
    assert empty_at(outlook) == NOON + 2 * HOUR


def test_without_any_pace_nobody_knows() -> None:
    assert empty_at(Outlook(Amount(5, 5), NOON, None)) is None
