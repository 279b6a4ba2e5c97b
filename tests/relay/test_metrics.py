"""What monitoring programs get: counts of the log, /metrics and /readyz, and no names of persons."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from fakes.stocked_spool import NOON, FakeDaemon, add_message, office_config
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
from starlette.applications import Starlette
from starlette.testclient import TestClient

from relay.config.model import Config
from relay.control.page_desk import PageDesk
from relay.monitor import mail_log
from relay.monitor.alarm_paths import Told
from relay.monitor.counts import Counts
from relay.monitor.metrics import Live, exposition
from relay.spool.errors import SpoolError, SpoolFailing
from relay.spool.ledger_entry import Block, BlockedBy, PausedAccount
from relay.spool.model import HeldFor
from relay.spool.sqlite import SqliteSpool, open_spool
from relay.web.api import create_app

HOSTILE = 'x"\n} evil_metric 1'


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return office_config(tmp_path)


@pytest.fixture
async def spool(config: Config) -> AsyncIterator[SqliteSpool]:
    assert config.spool.path is not None
    opened = open_spool(config.spool.path, lambda: NOON)
    yield opened
    await opened.close()


@pytest.fixture
def counts() -> Iterator[Counts]:
    found = Counts()
    found.attach()
    logger_level = mail_log.logger.level
    mail_log.logger.setLevel("INFO")
    yield found
    mail_log.logger.setLevel(logger_level)
    found.detach()


def live(counts: Counts | None = None) -> Live:
    return Live("1.2.3", 4, counts, {"queue-old": 1})


def samples(text: bytes) -> dict[str, Sample]:
    """Each sample by its name and labels, as Prometheus reads it."""
    return {
        "{}{{{}}}".format(
            each.name, ",".join(f"{k}={v}" for k, v in sorted(each.labels.items()))
        ): each
        for family in text_string_to_metric_families(text.decode())
        for each in family.samples
    }


async def values(spool: SqliteSpool, config: Config, counts: Counts | None) -> dict[str, float]:
    text = await exposition(spool, config, live(counts), NOON)
    return {name: sample.value for name, sample in samples(text).items()}


def log_a_day() -> None:
    """Events of every kind that is counted."""
    number = 7
    for client in ("kassa", "kassa", "onbekend", HOSTILE):
        mail_log.event("accepted", client=client, bytes=100, sender="jan@persoon.nl")
    mail_log.refused("192.168.1.9", "554 5.7.1", count=3)
    mail_log.refused("192.168.1.20", "552", client="kassa")
    mail_log.delivered(number, "isp", ["een@persoon.nl", "twee@persoon.nl"], None)
    mail_log.deferred(number, "isp", ["een@persoon.nl"])
    mail_log.failed(number, ["een@persoon.nl"], smarthost="weg")
    for seconds in (0.03, 0.3, 4000):
        mail_log.attempt(number, smarthost="isp", address="1.2.3.4", phase=None, seconds=seconds)
    mail_log.dsn(number, 6, "report", "jan@persoon.nl")
    mail_log.alert("lifetime", "jan@persoon.nl waits")


async def test_what_the_log_tells_is_counted(
    spool: SqliteSpool, config: Config, counts: Counts
) -> None:
    log_a_day()
    found = await values(spool, config, counts)
    assert found["relay_messages_accepted_total{client=kassa}"] == 2
    assert found["relay_messages_accepted_total{client=other}"] == 2
    assert found["relay_accepted_bytes_total{client=kassa}"] == 200
    assert found["relay_refused_total{client=other}"] == 3
    assert found["relay_refused_total{client=kassa}"] == 1
    assert found["relay_recipients_total{outcome=delivered,smarthost=isp}"] == 2
    assert found["relay_recipients_total{outcome=deferred,smarthost=isp}"] == 1
    assert found["relay_recipients_total{outcome=delivered,smarthost=m365}"] == 0
    assert found["relay_recipients_total{outcome=failed,smarthost=other}"] == 1
    assert found["relay_attempt_seconds_count{smarthost=isp}"] == 3
    assert found["relay_attempt_seconds_bucket{le=0.05,smarthost=isp}"] == 1
    assert found["relay_attempt_seconds_bucket{le=0.5,smarthost=isp}"] == 2
    assert found["relay_attempt_seconds_bucket{le=300.0,smarthost=isp}"] == 2
    assert found["relay_attempt_seconds_sum{smarthost=isp}"] == pytest.approx(4000.33)
    assert found["relay_reports_total{}"] == 1
    assert found["relay_alerts_total{cause=lifetime}"] == 1


async def test_the_state_of_the_spool_is_shown(spool: SqliteSpool, config: Config) -> None:
    await add_message(spool, ["een@persoon.nl", "twee@persoon.nl"])
    await add_message(spool, held_for=HeldFor.OPERATOR)
    block = Block(BlockedBy.SMARTHOST, NOON + timedelta(hours=1), 4, NOON, "x", None)
    await spool.ledger.block("m365", block)
    (isp, _) = config.smarthosts
    pause = PausedAccount(isp.host, isp.username or "", NOON, None, 1, "x", None, None)
    await spool.ledger.pause(pause)
    found = await values(spool, config, None)
    assert found["relay_queue_messages{state=queued}"] == 1
    assert found["relay_queue_messages{state=held}"] == 1
    assert found["relay_queue_oldest_seconds{}"] == 3600
    assert found["relay_lane_messages{smarthost=isp}"] == 1
    assert found["relay_smarthost_blocked{by=smarthost,smarthost=m365}"] == 1
    assert found["relay_smarthost_blocked{by=smarthost,smarthost=isp}"] == 0
    assert found["relay_account_paused{smarthost=isp}"] == 1
    assert found["relay_spool_up{}"] == 1
    assert found["relay_alarms{kind=queue-old}"] == 1
    assert found["relay_connections{}"] == 4
    assert found["relay_build_info{version=1.2.3}"] == 1
    assert found["process_resident_memory_bytes{}"] > 1_000_000


async def test_no_person_and_no_address_is_named(
    spool: SqliteSpool, config: Config, counts: Counts
) -> None:
    await add_message(spool, ["een@persoon.nl"])
    log_a_day()
    text = (await exposition(spool, config, live(counts), NOON)).decode()
    assert "persoon" not in text
    assert "@" not in text
    assert "192.168" not in text
    assert "evil_metric" not in text


async def test_names_are_bounded(spool: SqliteSpool, config: Config, counts: Counts) -> None:
    for number in range(5000):
        mail_log.event("accepted", client=f"c{number}", bytes=1)
        mail_log.delivered(1, f"s{number}", ["x"], None)
        mail_log.attempt(1, smarthost=f"s{number}", address=None, phase=None, seconds=1)
        mail_log.alert(f"a{number}", "x")
    for counted in (counts.messages, counts.bytes, counts.recipients, counts.attempt_seconds):
        assert len(counted) <= 1001
    found = await values(spool, config, counts)
    assert found["relay_messages_accepted_total{client=other}"] == 5000
    assert found["relay_recipients_total{outcome=delivered,smarthost=other}"] == 5000
    assert len(found) < 1300


async def test_a_spool_that_cannot_be_asked_still_gives_an_answer(
    spool: SqliteSpool, config: Config, counts: Counts, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise SpoolError("no disk")

    monkeypatch.setattr(spool.queue, "totals", broken)
    found = await values(spool, config, counts)
    assert found["relay_spool_up{}"] == 0
    assert found["relay_messages_accepted_total{client=kassa}"] == 0
    assert not any(name.startswith("relay_queue") for name in found)


class Daemon(FakeDaemon):
    stopped: tuple[str, ...] = ()
    asked = 0

    def stopped_parts(self) -> list[str]:
        return list(self.stopped)

    def counts(self) -> Counts | None:
        self.asked += 1
        return None

    async def alarm_test(self) -> list[Told]:
        return [Told("webhook", "hooks.example.net"), Told("syslog", "/dev/log", "gone")]


class Page:
    """The application over a stocked spool, asked from this machine."""

    def __init__(self, directory: Path) -> None:
        self.daemon: Daemon
        config = office_config(directory)
        self.app = Starlette()

        @contextlib.asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            spool = open_spool(directory / "spool.db", lambda: NOON)
            self.daemon = Daemon(config, spool)
            desk = PageDesk(spool, self.daemon, lambda: NOON)
            self.app.mount("/", create_app(desk, "token", ()))
            yield
            await spool.close()

        self.app.router.lifespan_context = lifespan


@pytest.fixture
def page(tmp_path: Path) -> Page:
    return Page(tmp_path)


def ask(page: Page, peer: str = "127.0.0.1") -> TestClient:
    return TestClient(page.app, "http://127.0.0.1:8025", client=(peer, 50000))


def test_metrics_need_no_login_on_this_machine(page: Page) -> None:
    with ask(page) as client:
        answer = client.get("/metrics")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert samples(answer.content)["relay_spool_up{}"].value == 1


def test_the_metrics_of_a_second_are_made_once(page: Page) -> None:
    with ask(page) as client:
        for _ in range(3):
            assert client.get("/metrics").status_code == 200
        assert page.daemon.asked == 1


@pytest.mark.parametrize("path", ["/metrics", "/readyz"])
def test_a_foreign_host_is_refused(page: Page, path: str) -> None:
    with ask(page) as client:
        assert client.get(path, headers={"Host": "evil.test"}).status_code == 421


def test_ready(page: Page) -> None:
    with ask(page, "192.168.1.9") as client:
        answer = client.get("/readyz")
        assert (answer.status_code, answer.text) == (200, "ready\n")


def test_not_ready_says_why(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    with ask(page) as client:
        page.daemon.stopped = ("listener", "delivery")
        monkeypatch.setattr(SqliteSpool, "trouble", SpoolFailing("the disk fails"))
        answer = client.get("/readyz")
        assert answer.status_code == 503
        assert [line.partition(":")[0] for line in answer.text.splitlines()] == [
            "spool",
            "listener",
            "delivery",
        ]
        assert client.get("/healthz").status_code == 200


def test_a_disk_below_its_reserve_is_not_ready(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    with ask(page) as client:
        monkeypatch.setattr(SqliteSpool, "free_bytes", lambda _: 999)
        assert client.get("/readyz").status_code == 503


def test_a_test_of_the_alarms_needs_the_token_and_tells_each_way(page: Page) -> None:
    with ask(page) as client:
        assert client.post("/api/v1/alarms/test", json={}).status_code == 401
        bearer = {"Authorization": "Bearer token"}
        answer = client.post("/api/v1/alarms/test", json={}, headers=bearer).json()
    assert answer["ways"] == [
        {"way": "webhook", "target": "hooks.example.net", "told": True, "error": ""},
        {"way": "syslog", "target": "/dev/log", "told": False, "error": "gone"},
    ]
