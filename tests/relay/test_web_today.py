"""The first page: health in one sentence, the counts of today, the charts."""

import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from fakes.past_mail import Mail, put
from fakes.stocked_spool import NOON, FakeDaemon, office_config
from starlette.applications import Starlette
from starlette.testclient import TestClient

from presets.reply import Reply
from relay.config.load import sandbox
from relay.control import causes, health
from relay.control.causes import Cause, Figures, cause, health_document
from relay.control.documents import Document
from relay.control.page_desk import PageDesk
from relay.control.today import Parts, Today
from relay.delivery.trouble import BY_OPERATOR
from relay.monitor.statistics import LOOK_BACK, ArrivalTally, RollUp
from relay.spool.errors import SpoolError, SpoolFull
from relay.spool.ledger_entry import Block, BlockedBy, PausedAccount, RefusedDevice
from relay.spool.model import State
from relay.spool.sqlite import SqliteSpool, open_spool
from relay.spool.statistics import Statistics
from relay.web.api import create_app

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
REFUSED = Reply(535, "5.7.8", "no {password}")
GOOD = Figures(delivered=3, failed=0, waiting=0, held=0, sandbox=False, trial=False)


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[SqliteSpool]:
    opened = open_spool(tmp_path / "spool.db", lambda: NOON)
    yield opened
    await opened.close()


@pytest.fixture
def desk(tmp_path: Path, spool: SqliteSpool) -> PageDesk:
    return PageDesk(spool, FakeDaemon(office_config(tmp_path), spool), lambda: NOON)


def slugs(found: Document) -> list[str]:
    return [each["slug"] for each in found["health"]["causes"]]


async def pause(spool: SqliteSpool, cause: str = "wrong-password") -> None:
    account = PausedAccount("smtp.ziggo.nl", "bakker@ziggo.nl", NOON, None, 1, cause, REFUSED, None)
    await spool.ledger.pause(account)


async def test_nothing_yet(desk: PageDesk) -> None:
    found = await desk.today()
    assert (found["schema"], found["command"]) == ("relay/1", "today")
    assert found["health"] == {
        "level": "ok",
        "text": {
            "nl": "Alles is in orde: vandaag 0 berichten verzonden, er wacht niets.",
            "en": "All is well: 0 messages sent today, nothing waiting.",
        },
        "causes": [],
    }
    assert set(found["counts"].values()) == {0}
    assert len(found["hours"]) == 24
    assert len(found["days"]) == 30


async def test_counts_and_charts(desk: PageDesk, spool: SqliteSpool) -> None:
    for mail in (
        Mail(NOON - 31 * DAY),
        Mail(NOON - 2 * DAY, State.FAILED),
        Mail(NOON - HOUR),
        Mail(NOON - HOUR, State.QUEUED),
        Mail(NOON, State.FAILED),
        Mail(NOON, State.HELD),
    ):
        await put(spool, mail)
    await RollUp(spool, ArrivalTally(), lambda: NOON, lambda: LOOK_BACK).run()
    found = await desk.today()
    assert found["counts"] == {
        "accepted_today": 4,
        "delivered_today": 1,
        "failed_today": 1,
        "waiting": 1,
        "held": 1,
    }
    assert found["hours"][-2:] == [
        {"at": "2026-11-21T11:00:00.000Z", "accepted": 2, "delivered": 1, "failed": 0},
        {"at": "2026-11-21T12:00:00.000Z", "accepted": 2, "delivered": 0, "failed": 1},
    ]
    assert sum(each["accepted"] for each in found["hours"]) == 4
    assert sum(each["accepted"] for each in found["days"]) == 5
    assert sum(each["failed"] for each in found["days"]) == 2
    assert slugs(found) == ["failed-today", "held"]


async def test_the_day_is_that_of_the_reader(tmp_path: Path, spool: SqliteSpool) -> None:
    midnight = NOON.replace(hour=0)
    await put(spool, Mail(midnight - HOUR))  # 00:00 in Amsterdam
    await RollUp(spool, ArrivalTally(), lambda: NOON, lambda: LOOK_BACK).run()
    desk = PageDesk(spool, FakeDaemon(office_config(tmp_path), spool), lambda: NOON)
    parts = Parts(
        await desk.status(),
        await desk.account_list(),
        await desk.devices(),
        await spool.queue.statistics(NOON - LOOK_BACK),
    )
    for name, accepted in (("Europe/Amsterdam", 1), ("UTC", 0)):
        found = Today(office_config(tmp_path), NOON, ZoneInfo(name)).told(parts)
        assert found["counts"]["accepted_today"] == accepted
        assert found["days"][-1] == {
            "date": "2026-11-21",
            "accepted": accepted,
            "delivered": accepted,
            "failed": 0,
        }


async def test_accounts_tell_what_is_left_and_whether_they_work(
    desk: PageDesk, spool: SqliteSpool
) -> None:
    await pause(spool)
    isp, m365 = (await desk.today())["accounts"]
    assert (isp["username"], isp["paused"]) == ("bakker@ziggo.nl", True)
    assert {"messages", "recipients", "waiting", "empty_at", "works_until"} <= set(isp)
    assert (m365["smarthosts"], m365["paused"], m365["consent"]) == (["m365"], False, "not-needed")


async def test_the_weightiest_cause_makes_the_sentence(desk: PageDesk, spool: SqliteSpool) -> None:
    await put(spool, Mail(NOON - 2 * HOUR, State.QUEUED))
    await put(spool, Mail(NOON, State.FAILED))
    await spool.ledger.note_refused(
        [
            RefusedDevice("192.168.1.200", 1, NOON, NOON),
            RefusedDevice("192.168.1.201", 1, NOON - 2 * DAY, NOON - 2 * DAY),
        ]
    )
    found = await desk.today()
    assert slugs(found) == ["queue-old", "failed-today", "device-refused"]
    block = Block(BlockedBy.SMARTHOST, NOON + HOUR, 1, NOON, "timeout", None)
    await spool.ledger.block("m365", block)
    await spool.ledger.block("isp", Block(BlockedBy.QUOTA, NOON + HOUR, 1, NOON, "quota-used-up"))
    await pause(spool)
    health = (await desk.today())["health"]
    assert health["level"] == "alarm"
    assert [each["slug"] for each in health["causes"]] == [
        "account-paused",
        "quota-waiting",
        "smarthost-backing-off",
        "queue-old",
        "failed-today",
        "device-refused",
    ]
    assert health["text"] == {
        "nl": "De aanbieder weigert de aanmelding van bakker@ziggo.nl; de mail wacht tot u dat "
        "oplost (en nog 5 andere punten).",
        "en": "The provider refuses the login of bakker@ziggo.nl; its mail waits until you solve "
        "that (and 5 other points).",
    }
    assert health["causes"][0]["page"] == "accounts"
    assert health["causes"][-1]["page"] == "devices"


async def test_a_pause_by_hand_is_no_alarm(desk: PageDesk, spool: SqliteSpool) -> None:
    await pause(spool, BY_OPERATOR)
    health = (await desk.today())["health"]
    assert health["level"] == "warning"
    assert health["causes"][0]["slug"] == "account-paused-by-operator"


async def test_a_disk_in_trouble_is_told(
    desk: PageDesk, spool: SqliteSpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(spool), "trouble", SpoolFull("full"))
    found = await desk.today()
    assert found["health"]["level"] == "alarm"
    assert slugs(found) == ["disk-full"]
    assert found["counts"] is not None


@pytest.mark.parametrize("method", ["totals", "statistics"])
async def test_a_spool_that_cannot_be_read_is_told(
    desk: PageDesk, spool: SqliteSpool, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    async def fail(*values: object) -> Statistics:
        raise SpoolError("the disk gave up")

    monkeypatch.setattr(spool.queue, method, fail)
    found = await desk.today()
    assert found["health"]["level"] == "alarm"
    assert slugs(found) == ["spool-failing"]
    assert "the disk gave up" in found["health"]["text"]["en"]
    assert (found["counts"], found["hours"], found["days"]) == (None, [], [])


async def test_the_sandbox_has_nothing_to_complain_of(tmp_path: Path, spool: SqliteSpool) -> None:
    config = sandbox({"HOME": str(tmp_path), "LANG": "nl_NL"})
    await put(spool, Mail(NOON, State.HELD))
    found = await PageDesk(spool, FakeDaemon(config, spool), lambda: NOON).today()
    assert found["health"]["level"] == "ok"
    assert "sandbox" in found["health"]["text"]["nl"]
    assert "1 bericht te bekijken" in found["health"]["text"]["nl"]
    assert "1 message can be viewed" in found["health"]["text"]["en"]


def account(**values: Any) -> Document:
    usual = {"username": "a@b.nl", "paused": False, "consent": "not-needed"}
    return {**usual, "works_until": None, "deadline": None, **values}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (account(), []),
        (account(consent="needed"), ["consent-needed"]),
        (account(works_until="2026-12-04T12:00:00.000Z"), ["login-ending"]),
        (account(works_until="2026-12-06T12:00:00.000Z"), []),
        (account(deadline="2026-12-01"), ["password-ending"]),
        (account(deadline="2027-03-01"), []),
        (account(consent="needed", paused=True, deadline="2026-12-01"), []),
    ],
)
def test_a_login_that_ends_soon(found: Document, expected: list[str]) -> None:
    assert [each.slug for each in causes.of_accounts([found], NOON)] == expected


def test_every_problem_of_the_status_has_words() -> None:
    """A new id in health.py without a text here would break the page."""
    source = Path(health.__file__).read_text()
    ids = {line.partition('"id": "')[2].partition('"')[0] for line in source.splitlines()}
    known = {each for each in ids if each} | {"disk-full", "quota-nearly-used"}
    assert len(known) > 8
    assert known <= set(causes._KINDS)


def sentence(found: list[Cause], figures: Figures = GOOD) -> tuple[str, str]:
    text = health_document(found, figures)["text"]
    return text["nl"], text["en"]


@pytest.mark.parametrize(
    ("waiting", "nl", "en"),
    [
        (0, "er wacht niets", "nothing waiting"),
        (1, "er wacht er 1", "1 waiting"),
        (2, "er wachten er 2", "2 waiting"),
    ],
)
def test_the_sentence_where_all_is_well(waiting: int, nl: str, en: str) -> None:
    figures = Figures(1, 0, waiting, 0, sandbox=False, trial=False)
    assert sentence([], figures) == (
        f"Alles is in orde: vandaag 1 bericht verzonden, {nl}.",
        f"All is well: 1 message sent today, {en}.",
    )


def test_on_trial_held_mail_is_as_it_should_be() -> None:
    figures = Figures(0, 0, 0, 2, sandbox=False, trial=True)
    assert causes.of_figures(figures) == []
    assert sentence([], figures)[1] == (
        "On trial: mail is held until you release it, 2 messages now."
    )


def test_one_point_more() -> None:
    found = [cause("held", count=2), cause("failed-today", count=1)]
    nl, en = sentence(found)
    assert nl.endswith("(en nog 1 ander punt).")
    assert en.endswith("(and 1 other point).")
    assert "delivered today" in en, "what failed weighs more than what is held"


def test_braces_of_a_stranger_are_no_template() -> None:
    found = cause("spool-failing", detail="{0} {x}")
    assert "{0} {x}" in found.nl


async def test_over_http(tmp_path: Path) -> None:
    app = Starlette()

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        spool = open_spool(tmp_path / "spool.db", lambda: NOON)
        await put(spool, Mail(NOON))
        desk = PageDesk(spool, FakeDaemon(office_config(tmp_path), spool), lambda: NOON)
        app.mount("/", create_app(desk, "t", ()))
        yield
        await spool.close()

    app.router.lifespan_context = lifespan
    with TestClient(app, "http://127.0.0.1:8025") as api:
        headers = {"Authorization": "Bearer t"}
        assert api.get("/api/v1/today").status_code == 401
        assert api.get("/api/v1/today", headers=headers).json()["counts"]["delivered_today"] == 1
        assert api.get("/api/v1/devices", headers=headers).json()["devices"][0]["messages_24h"] == 1
