"""The watch over one relay, with a clock that the tests move: which trouble becomes an alarm."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from fakes.certificates import Authority

from presets.reply import Reply
from relay.access.rules import AccessRules
from relay.config.model import (
    Alarm,
    AuthMethod,
    Client,
    Config,
    Listener,
    OAuth2,
    Smarthost,
    Spool,
    TlsMode,
)
from relay.delivery.trouble import BY_OPERATOR
from relay.envelope import Envelope, Recipient
from relay.monitor import mail_log
from relay.monitor.alarm_paths import Telling, Told
from relay.monitor.alarms import CALM, Notice, Stage
from relay.monitor.watch import BOOK_SETTING, Surroundings, Watch
from relay.spool.errors import SpoolError, SpoolFull
from relay.spool.ledger_entry import Block, BlockedBy, PausedAccount, RefusedDevice, Usage
from relay.spool.model import NewMessage, Placement, RecipientResult, Settlement, State
from relay.spool.sqlite import SqliteSpool, open_spool
from relay.spool.statistics import Arrivals
from relay.spool.vault_entry import Grant

START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)  # a Friday
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


class Paths:
    """Stands for the ways out: keeps what is told; while `broken` none of them works."""

    def __init__(self) -> None:
        self.notices: list[Notice] = []
        self.broken = False
        self.tries = 0

    async def tell(self, telling: Telling, skipped: Collection[tuple[str, str]] = ()) -> list[Told]:
        self.tries += 1
        if self.broken:
            return [Told("syslog", "x", "broken")]
        self.notices.append(telling.notice)
        return [Told("syslog", "x")]


class Office:
    """A spool, its configuration, and a watch over them."""

    def __init__(self, spool: SqliteSpool, clock: Clock) -> None:
        self.spool, self.clock = spool, clock
        self.config = Config(
            hostname="relay.test",
            spool=Spool("sqlite:///x", spool.path, reserve_bytes=0),
            clients=(Client("kassa", (ip_network("192.168.1.20/32"),)),),
            smarthosts=(
                Smarthost(
                    name="isp",
                    host="mail.isp.nl",
                    username="bakker",
                    auth=AuthMethod.PASSWORD,
                    messages_per_day=100,
                ),
            ),
            alarms=(Alarm(syslog=True),),
        )
        self.paths = Paths()
        self.watch = self.new_watch()

    def new_watch(self) -> Watch:
        rules = AccessRules.build(self.config.clients, {ip_address("192.168.1.77"): "scanner"})
        around = Surroundings(lambda: self.config, lambda: rules)
        return Watch(self.spool, around, self.paths, self.clock)  # type: ignore[arg-type]

    async def look(self, after: timedelta = timedelta()) -> list[tuple[str, str, str]]:
        """What is told of by a look so much later: stage, kind, subject."""
        self.clock.now += after
        before = len(self.paths.notices)
        await self.watch.look()
        return [(each.stage.value, each.kind, each.subject) for each in self.paths.notices[before:]]

    async def accept(self) -> None:
        number = self.spool.queue.new_id()
        body = self.spool.queue.body_writer(number)
        await body.write(b"Subject: x\r\n\r\nx\r\n")
        message = NewMessage(
            number,
            self.clock(),
            self.clock() + 5 * DAY,
            "kassa",
            "192.168.1.20",
            Envelope("a@b.nl", (Recipient("c@d.nl"),)),
            (Placement("isp"),),
            "<1@x>",
        )
        await self.spool.queue.accept(message, body)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    clock = Clock()
    spool = open_spool(tmp_path / "spool.db", clock)
    yield Office(spool, clock)
    await spool.close()


def pause(cause: str = "login-refused") -> PausedAccount:
    return PausedAccount(
        "mail.isp.nl", "bakker", START, None, 1, cause, Reply(535, "5.7.8", "no"), None
    )


async def test_a_paused_account_is_told_once_and_its_end_too(office: Office) -> None:
    await office.spool.ledger.pause(pause())
    subject = "bakker mail.isp.nl"
    assert await office.look() == [("raised", "account-paused", subject)]
    assert office.paths.notices[0].values["reason"] == "535 5.7.8 no"
    for _ in range(10):
        assert await office.look(MINUTE) == []
    await office.spool.ledger.resume("mail.isp.nl", "bakker")
    assert await office.look(MINUTE) == []
    assert await office.look(CALM) == [("cleared", "account-paused", subject)]


async def test_an_operators_own_pause_is_no_alarm(office: Office) -> None:
    await office.spool.ledger.pause(pause(BY_OPERATOR))
    assert await office.look() == []


async def test_a_restart_tells_nothing_twice(office: Office) -> None:
    await office.spool.ledger.pause(pause())
    assert len(await office.look()) == 1
    office.watch = office.new_watch()
    assert await office.look(MINUTE) == []
    assert await office.look(DAY) == [("reminder", "account-paused", "bakker mail.isp.nl")]
    await office.spool.ledger.remember(BOOK_SETTING, "broken")
    office.watch = office.new_watch()
    assert len(await office.look(MINUTE)) == 1, "better twice than never"


async def test_without_a_way_nothing_is_looked_for_until_a_reload_names_one(
    office: Office,
) -> None:
    await office.spool.ledger.pause(pause())
    alarms, office.config = office.config.alarms, replace(office.config, alarms=())
    assert await office.look() == []
    office.config = replace(office.config, alarms=alarms)
    assert len(await office.look()) == 1


async def test_paths_that_all_fail_are_tried_later_and_not_at_each_look(office: Office) -> None:
    office.paths.broken = True
    await office.spool.ledger.pause(pause())
    for _ in range(60):
        await office.look(timedelta(seconds=30))
    assert 4 <= office.paths.tries <= 8, "after 1, 2, 5, and then every 10 minutes"
    office.paths.broken = False
    assert await office.look(timedelta(minutes=11)) == [
        ("raised", "account-paused", "bakker mail.isp.nl")
    ]


async def test_the_oldest_message_may_wait_an_hour(office: Office) -> None:
    await office.accept()
    assert await office.look(59 * MINUTE) == []
    assert await office.look(2 * MINUTE) == [("raised", "queue-old", "")]


@pytest.mark.parametrize(("failures", "told"), [(1, False), (3, False), (4, True)])
async def test_a_smarthost_alarms_when_it_keeps_failing(
    office: Office, failures: int, told: bool
) -> None:
    block = Block(BlockedBy.SMARTHOST, START + HOUR, failures, START, "connect-refused", None)
    await office.spool.ledger.block("isp", block)
    assert await office.look() == ([("raised", "smarthost-fails", "isp")] if told else [])


async def test_an_alert_of_a_smarthost_counts_at_once_and_lasts_as_long_as_its_block(
    office: Office,
) -> None:
    async with watching(office):
        block = Block(BlockedBy.SMARTHOST, START + HOUR, 1, START, "certificate", None)
        await office.spool.ledger.block("isp", block)
        mail_log.alert("smarthost-fails", "the certificate has expired", smarthost="isp")
        assert await office.look() == [("raised", "smarthost-fails", "isp")]
        assert office.paths.notices[0].values["reason"] == "the certificate has expired"
        assert await office.look(10 * MINUTE) == []
        await office.spool.ledger.unblock("isp")
        await office.look(MINUTE)
        assert await office.look(CALM) == [("cleared", "smarthost-fails", "isp")]


@contextlib.asynccontextmanager
async def watching(office: Office) -> AsyncIterator[None]:
    """The watch hears the mail log, and looks only when the test says so."""
    office.watch._alerts.attach()
    try:
        yield
    finally:
        office.watch._alerts.detach()


@pytest.mark.parametrize(
    ("cause", "kind", "subject"),
    [
        ("lifetime", "lifetime", ""),
        ("outcome-not-recorded", "outcome-not-recorded", ""),
        ("dsn-undeliverable", "dsn-undeliverable", ""),
        ("token-vault", "token-vault", "isp"),
        ("account-paused", "account-paused", "isp"),
        ("disk-full", "disk-full", "isp"),
        ("some-new-cause", "log-alert", "some-new-cause"),
    ],
)
async def test_every_alert_of_the_log_is_told(
    office: Office, cause: str, kind: str, subject: str
) -> None:
    async with watching(office):
        mail_log.alert(cause, "what is wrong", smarthost="isp" if subject == "isp" else None)
        assert await office.look() == [("raised", kind, subject)]
        mail_log.alert(cause, "what is wrong", smarthost="isp" if subject == "isp" else None)
        assert await office.look(MINUTE) == []


async def test_a_refused_device_of_the_office_is_told_by_name_those_of_outside_together(
    office: Office,
) -> None:
    devices = ["192.168.1.40", "203.0.113.9", "203.0.113.10", "192.168.1.20", "192.168.1.77"]
    await office.spool.ledger.note_refused(
        [RefusedDevice(each, 2, START, START) for each in devices]
    )
    told = await office.look()
    assert told == [("raised", "refused-internet", ""), ("raised", "refused-device", devices[0])]
    assert office.paths.notices[0].values["count"] == "2"
    assert await office.look(25 * HOUR) == []
    assert {each[0] for each in await office.look(CALM)} == {"cleared"}


@pytest.mark.parametrize(("used", "told"), [(79, False), (80, True)])
async def test_four_fifths_of_a_days_quota(office: Office, used: int, told: bool) -> None:
    await office.accept()
    (claim,) = await office.spool.queue.claim("isp", 1)
    usage = Usage("mail.isp.nl", "bakker", used, used, START, used)
    result = RecipientResult(0, State.DELIVERED)
    await office.spool.queue.settle(Settlement(claim, START, (result,), (), usage=usage))
    subject = "bakker mail.isp.nl messages"
    assert await office.look() == ([("raised", "quota-nearly-used", subject)] if told else [])


async def test_a_quota_that_is_used_up(office: Office) -> None:
    block = Block(BlockedBy.QUOTA, START + HOUR, 0, START, "quota-used-up", None)
    await office.spool.ledger.block("isp", block)
    assert await office.look(MINUTE) == [("raised", "quota-reached", "isp")]


async def test_a_disk_below_its_reserve(office: Office) -> None:
    office.config = replace(office.config, spool=replace(office.config.spool, reserve_bytes=2**60))
    assert await office.look() == [("raised", "disk-low", "")]


@pytest.mark.parametrize(
    ("days", "kind"), [(20, None), (13, "certificate-ends"), (-1, "certificate-ended")]
)
async def test_a_certificate_about_to_end(
    office: Office, tmp_path: Path, days: int, kind: str | None
) -> None:
    issued = Authority(tmp_path).issue(not_after=START + days * DAY)
    listener = Listener("127.0.0.1", 25, TlsMode.STARTTLS, issued.chain, issued.key)
    office.config = replace(office.config, listeners=(listener,))
    told = await office.look()
    assert [each[1] for each in told] == ([kind] if kind else [])
    if kind == "certificate-ends":
        assert office.paths.notices[0].values["days"] == str(days)
        new = Authority(tmp_path, "new").issue(not_after=START + 400 * DAY)
        listener = replace(listener, certificate=new.chain, key=new.key)
        office.config = replace(office.config, listeners=(listener,))
        await office.look(MINUTE)
        assert await office.look(CALM) == [("cleared", kind, told[0][2])]


async def test_a_token_about_to_end(office: Office) -> None:
    oauth2 = OAuth2(secret_expires=None)
    smarthost = replace(office.config.smarthosts[0], auth=AuthMethod.OAUTH2, oauth2=oauth2)
    office.config = replace(office.config, smarthosts=(smarthost,))
    grant = Grant("r", None, None, START, START)
    await office.spool.vault.keep("mail.isp.nl", "bakker", grant)
    assert await office.look() == []
    assert await office.look(77 * DAY) == [("raised", "token-ends", "bakker mail.isp.nl")]


async def test_a_client_that_sent_each_working_day_and_fell_silent(office: Office) -> None:
    for back in range(20):
        day = START - back * DAY
        if day.weekday() < 5:
            office.clock.now = day
            await office.accept()
            number = (await office.spool.queue.ids())[0]
            await office.spool.queue.delete([number])
            hour = day.replace(minute=0)
            seen = {"kassa": (day, False)} if back == 0 else {}
            await office.spool.queue.note_arrivals(Arrivals({(hour, "kassa"): (0, 0)}, seen))
    office.clock.now = START
    await roll_up(office)
    assert await office.look(2 * DAY) == []
    assert await office.look(5 * DAY) == [("raised", "client-silent", "kassa")]
    values = office.paths.notices[0].values
    assert (values["day"], values["days"]) == ("2026-11-20", "7")
    assert await office.look(40 * DAY) == [("reminder", "client-silent", "kassa")], (
        "it does not pass by being forgotten"
    )


async def roll_up(office: Office) -> None:
    since: datetime | None = START - 100 * DAY
    while since is not None:
        since = await office.spool.queue.roll_up(since, 1000)


async def test_a_spool_that_cannot_be_asked_is_told_and_clears_nothing(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    await office.spool.ledger.pause(pause())
    assert len(await office.look()) == 1

    async def broken(*_: object) -> None:
        raise SpoolError("no disk")

    for part, name in (
        (office.spool.queue, "totals"),
        (office.spool.ledger, "refused"),
        (office.spool.ledger, "remember"),
    ):
        monkeypatch.setattr(part, name, broken)
    assert await office.look(MINUTE) == [("raised", "spool-failing", "")]
    assert await office.look(10 * MINUTE) == []
    monkeypatch.undo()
    await office.look(MINUTE)
    assert await office.look(CALM) == [("cleared", "spool-failing", "")]


async def test_a_spool_that_takes_nothing_is_told(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SqliteSpool, "trouble", SpoolFull("no room"))
    assert await office.look() == [("raised", "disk-full", "")]


async def test_the_running_watch_hears_an_alert_at_once(office: Office) -> None:
    """Not at its next look of its own, half a minute later."""
    running = asyncio.create_task(office.watch.run())
    await until(lambda: office.watch._book is not None)
    mail_log.alert("dsn-undeliverable", "550 no")
    async with asyncio.timeout(15):
        await until(lambda: bool(office.paths.notices))
    assert office.paths.notices[0].kind == "dsn-undeliverable"
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.02)


async def test_a_test_goes_over_every_path(office: Office) -> None:
    assert await office.watch.test() == [Told("syslog", "x")]
    assert office.paths.notices[0].stage is Stage.TEST
