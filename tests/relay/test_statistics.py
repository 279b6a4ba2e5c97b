"""What the mail came to by the hour: each message once, whatever happens in between."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from fakes.certificates import Authority
from fakes.listening import MESSAGE, Listening, client
from fakes.past_mail import BODY, Mail, put
from fakes.relay_process import RelayProcess
from fakes.script import Behaviour
from fakes.smarthost import Smarthost
from fakes.stocked_spool import NOON
from fakes.stores import AnySpool, Store

from relay.config.model import Listener, TlsMode
from relay.monitor.statistics import LOOK_BACK, ArrivalTally, RollUp, by_day, silence, total
from relay.spool.errors import SpoolFailing
from relay.spool.model import State
from relay.spool.postgres.statistics import count as count_shared
from relay.spool.sqlite import SqliteSpool, open_spool
from relay.spool.sqlite.statistics import SQL, count
from relay.spool.statistics import Arrivals, HourCount

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
KEPT = timedelta(days=100)


class Clock:
    """Time that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def spool(store: Store, clock: Clock) -> AsyncIterator[AnySpool]:
    opened = await store.open(clock)
    yield opened
    await opened.close()


def roll_up(spool: AnySpool, clock: Clock, tally: ArrivalTally | None = None) -> RollUp:
    return RollUp(spool, tally or ArrivalTally(), clock, lambda: KEPT)


async def hours(spool: AnySpool) -> tuple[HourCount, ...]:
    return (await spool.queue.statistics(NOON - LOOK_BACK)).hours


async def a_days_mail(spool: AnySpool) -> None:
    """Five of the kassa, one of the scanner; three delivered, one failed, one deleted, one waits."""
    await put(spool, Mail(NOON - 3 * HOUR))
    await put(spool, Mail(NOON - 3 * HOUR, lane="m365"))
    await put(spool, Mail(NOON - HOUR, State.FAILED))
    await put(spool, Mail(NOON - HOUR, State.DELETED))
    await put(spool, Mail(NOON - HOUR, client="scanner", recipients=("a@b.nl", "c@d.nl")))
    await put(spool, Mail(NOON - HOUR, is_dsn=True, client="relay"))
    await put(spool, Mail(NOON, State.QUEUED))


COUNTED = (
    HourCount(NOON - 3 * HOUR, "kassa", "isp", 1, 1, 0, len(BODY)),
    HourCount(NOON - 3 * HOUR, "kassa", "m365", 1, 1, 0, len(BODY)),
    HourCount(NOON - HOUR, "kassa", "isp", 2, 0, 1, 2 * len(BODY)),
    HourCount(NOON - HOUR, "scanner", "isp", 1, 1, 0, len(BODY)),
    HourCount(NOON, "kassa", "isp", 1, 0, 0, len(BODY)),
)


async def test_each_message_is_counted_once(spool: AnySpool, clock: Clock) -> None:
    await a_days_mail(spool)
    rolling = roll_up(spool, clock)
    for _ in range(3):
        await rolling.run()
        await roll_up(spool, clock).run()  # as after a restart
    assert await hours(spool) == COUNTED


async def test_a_page_at_a_time_counts_the_same(spool: AnySpool) -> None:
    await a_days_mail(spool)
    since: datetime | None = NOON - DAY
    pages = 0
    while since is not None:
        since = await spool.queue.roll_up(since, 1)
        pages += 1
    assert pages == 7  # six finished ones, and the look that finds no more
    assert await hours(spool) == COUNTED


async def test_what_was_not_rolled_up_yet_is_told_all_the_same(
    spool: AnySpool, clock: Clock
) -> None:
    await put(spool, Mail(NOON - HOUR))
    await put(spool, Mail(NOON, State.FAILED))
    await put(spool, Mail(NOON, State.HELD))
    before = await spool.queue.statistics(NOON - DAY)
    assert total(before.hours).accepted == 3
    assert total(before.hours).failed == 1
    await roll_up(spool, clock).run()
    assert await spool.queue.statistics(NOON - DAY) == before


async def test_forgetting_messages_loses_no_history(
    spool: AnySpool, clock: Clock, store: Store
) -> None:
    await a_days_mail(spool)
    assert await spool.queue.purge(NOON + HOUR, 2) == 2  # before any roll-up
    await roll_up(spool, clock).run()
    assert await spool.queue.purge(NOON + HOUR, 500) == 4
    await roll_up(spool, clock).run()
    assert await hours(spool) == COUNTED
    assert store.rows("SELECT count(*) FROM counted") == [("0",)]


async def test_counting_the_same_messages_twice_adds_nothing(spool: AnySpool) -> None:
    number = await put(spool, Mail(NOON))
    await spool.queue.roll_up(NOON - DAY, 10)
    if isinstance(spool, SqliteSpool):
        await spool._writer.run(lambda connection: count(connection, [number, number]))
    else:
        twice = [number, number]
        await spool.writers.delivery.run(lambda connection: count_shared(connection, twice))
    assert total(await hours(spool)).accepted == 1


async def test_a_clock_that_is_set_back_hides_nothing(
    spool: AnySpool, clock: Clock, store: Store
) -> None:
    rolling = roll_up(spool, clock)
    await put(spool, Mail(NOON))
    await rolling.run()
    clock.now = NOON - 2 * DAY
    await put(spool, Mail(clock.now, client="scanner"))
    await rolling.run()
    found = store.rows("SELECT client, accepted FROM hour ORDER BY hour")
    assert found == [("scanner", "1"), ("kassa", "1")]


async def test_an_hour_is_forgotten_after_its_time(spool: AnySpool, clock: Clock) -> None:
    rolling = roll_up(spool, clock)
    await put(spool, Mail(NOON))
    await rolling.run()
    clock.now = NOON + KEPT - DAY
    await rolling.run()
    assert len(await hours(spool)) == 1
    clock.now = NOON + KEPT + DAY
    await rolling.run()
    assert await hours(spool) == ()
    seen = (await spool.queue.statistics(NOON)).seen
    assert seen["kassa"].last_at == NOON, "when it was seen last is known still"


async def test_tls_and_refusals_come_from_intake(spool: AnySpool, clock: Clock) -> None:
    tally = ArrivalTally()
    rolling = roll_up(spool, clock, tally)
    tally.accepted("kassa", NOON, tls=True)
    tally.accepted("kassa", NOON + timedelta(minutes=59), tls=False)
    tally.refused("kassa", NOON)
    tally.accepted("scanner", NOON, tls=True)
    await rolling.run()
    tally.accepted("kassa", NOON + timedelta(minutes=59), tls=True)
    await rolling.run()
    await rolling.run()
    found = await spool.queue.statistics(NOON)
    assert found.hours == (
        HourCount(NOON, "kassa", "", tls=2, refused=1),
        HourCount(NOON, "scanner", "", tls=1),
    )
    assert found.seen["kassa"].tls is True
    assert found.seen["kassa"].last_at == NOON + timedelta(minutes=59)


async def test_what_a_failing_disk_does_not_take_is_kept_for_later(
    spool: AnySpool, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    tally = ArrivalTally()
    tally.accepted("kassa", NOON, tls=True)
    rolling = roll_up(spool, clock, tally)

    async def fail(arrivals: Arrivals) -> None:
        tally.accepted("kassa", NOON, tls=False)  # meanwhile
        raise SpoolFailing("disk I/O error")

    with monkeypatch.context() as patched:
        patched.setattr(spool.queue, "note_arrivals", fail)
        with pytest.raises(SpoolFailing):
            await rolling.run()
    await rolling.run()
    found = await spool.queue.statistics(NOON)
    assert found.hours == (HourCount(NOON, "kassa", "", tls=1),)
    assert found.seen["kassa"].tls is False


@pytest.mark.parametrize("statement", ["uncounted", "fresh"])
async def test_only_what_finished_lately_is_read(tmp_path: Path, statement: str) -> None:
    spool = open_spool(tmp_path / "spool.db")
    values = (0, 1) if statement == "uncounted" else (0,)
    with closing(sqlite3.connect(spool.path)) as connection:
        plan = connection.execute(f"EXPLAIN QUERY PLAN {SQL[statement]}", values).fetchall()
    await spool.close()
    details = [row[3] for row in plan]
    assert any(
        "m USING INDEX message_finished" in each.replace("COVERING ", "") for each in details
    )
    assert not any(each.startswith("SCAN") for each in details)


def test_a_session_notes_tls_and_what_it_refuses(tmp_path: Path, authority: Authority) -> None:
    pair = authority.issue()
    secured = Listener("127.0.0.1", 0, TlsMode.STARTTLS, pair.chain, pair.key)
    with Listening(tmp_path, client(), listener=secured) as listening:
        with listening.greeted() as peer:
            peer.mail()
            assert peer.message(MESSAGE).startswith("250")
            assert peer.command("MAIL FROM:<not an address").startswith("5")
        with listening.greeted() as peer:
            assert peer.command("STARTTLS").startswith("220")
            peer.start_tls(authority.client_context())
            peer.command("EHLO kassa")
            peer.mail()
            assert peer.message(MESSAGE).startswith("250")
        listening.until(lambda: listening.connections == 0)
        arrivals = listening.intake.door.arrivals.drain()
    assert sorted(arrivals.hours.values()) == [(1, 1)]
    ((_, tls),) = arrivals.seen.values()
    assert tls


def test_days_are_those_of_the_calendar_there() -> None:
    from zoneinfo import ZoneInfo

    late = HourCount(datetime(2026, 11, 20, 23, tzinfo=UTC), "kassa", "isp", 1)
    zone = ZoneInfo("Europe/Amsterdam")
    assert by_day([late], zone) == {date(2026, 11, 21): [late]}
    assert by_day([late], UTC) == {date(2026, 11, 20): [late]}


FRIDAY = date(2026, 11, 20)


def each_working_day(until: date, weeks: int, missing: int = 0) -> dict[date, int]:
    days = [until - timedelta(days=back) for back in range(7 * weeks)]
    working = [day for day in days if day.weekday() < 5]
    return dict.fromkeys(working[: len(working) - missing], 3)


@pytest.mark.parametrize(
    ("today", "working_days", "alarm"),
    [
        (date(2026, 11, 20), 0, False),
        (date(2026, 11, 23), 0, False),  # the weekend is no silence
        (date(2026, 11, 25), 2, False),  # Monday and Tuesday
        (date(2026, 11, 26), 3, True),  # Wednesday is over
        (date(2026, 12, 4), 9, True),
    ],
)
def test_three_working_days_without_mail_alarm(
    today: date, working_days: int, *, alarm: bool
) -> None:
    found = silence(each_working_day(FRIDAY, 3), FRIDAY, today)
    assert found is not None
    assert (found.days, found.working_days, found.alarm) == (
        (today - FRIDAY).days,
        working_days,
        alarm,
    )


@pytest.mark.parametrize(("missing", "alarm"), [(0, True), (2, True), (3, False)])
def test_who_does_not_send_each_working_day_may_be_silent(missing: int, *, alarm: bool) -> None:
    sent = each_working_day(FRIDAY, 2, missing)
    found = silence(sent, FRIDAY, FRIDAY + timedelta(days=10))
    assert found is not None
    assert found.alarm is alarm


def test_who_never_sent_is_not_silent() -> None:
    assert silence({}, None, FRIDAY) is None


def test_a_last_mail_in_the_future_is_no_silence() -> None:
    found = silence({}, FRIDAY + timedelta(days=5), FRIDAY)
    assert found is not None
    assert (found.days, found.working_days, found.alarm) == (0, 0, False)


async def test_a_roll_up_at_the_same_time_as_another_counts_once(
    spool: AnySpool, clock: Clock
) -> None:
    for _ in range(20):
        await put(spool, Mail(NOON))
    await asyncio.gather(*(roll_up(spool, clock).run() for _ in range(5)))
    assert total(await hours(spool)).delivered == 20


def test_a_killed_relay_loses_no_count(tmp_path: Path, authority: Authority) -> None:
    context = authority.issue().server_context()
    behaviour = Behaviour(tls="starttls", context=context, users={"bakker": "geheim"})
    relay = RelayProcess(tmp_path)
    with Smarthost(behaviour) as smarthost:
        relay.add_smarthost(smarthost.port, authority.ca_file)
        for life in (1, 2):
            with relay:  # it is killed at the end of its first life
                relay.send("info@mijnbakkerij.nl", ["een@example.net"], MESSAGE)
                smarthost.wait_for(life)
                relay.wait_until(lambda: relay.queue() == [])
                if life == 2:
                    assert relay.sigterm() == 0
    with closing(sqlite3.connect(relay.spool)) as connection:
        counts = connection.execute("SELECT sum(accepted), sum(delivered), sum(failed) FROM hour")
        assert counts.fetchone() == (2, 2, 0)
        assert connection.execute("SELECT count(*) FROM counted").fetchone() == (2,)
