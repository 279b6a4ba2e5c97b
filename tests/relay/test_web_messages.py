"""The search behind the page Messages, and one message's whole life."""

import contextlib
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fakes.past_mail import BODY, Mail, put
from fakes.stocked_spool import NOON, FakeDaemon, multiply, office_config
from starlette.applications import Starlette
from starlette.testclient import TestClient

from relay.control.errors import Declined
from relay.control.messages import MOST_FOUND, Sought
from relay.control.page_desk import PageDesk
from relay.spool.ids import id_text
from relay.spool.ledger_entry import SenderRule
from relay.spool.model import State
from relay.spool.search import Search
from relay.spool.sqlite import SqliteSpool, open_spool, search
from relay.web.api import create_app

HOUR = timedelta(hours=1)
HEADERS = {"Authorization": "Bearer t"}

KASSA = Mail(NOON - 5 * HOUR, recipients=("klant@example.net", "Jan@Elders.nl"))
FAILED = Mail(NOON - 4 * HOUR, State.FAILED, sender="factuur@mijnbakkerij.nl")
SCANNER = Mail(NOON - 3 * HOUR, client="scanner", subject="Scan 100% van_kopie")
QUEUED = Mail(NOON - 2 * HOUR, State.QUEUED)
HELD = Mail(NOON - HOUR, State.HELD)
DELETED = Mail(NOON, State.DELETED, client="scanner", sender="")
ALL = (KASSA, FAILED, SCANNER, QUEUED, HELD, DELETED)


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[SqliteSpool]:
    opened = open_spool(tmp_path / "spool.db", lambda: NOON)
    yield opened
    await opened.close()


@pytest.fixture
async def desk(tmp_path: Path, spool: SqliteSpool) -> PageDesk:
    return PageDesk(spool, FakeDaemon(office_config(tmp_path), spool), lambda: NOON)


async def stocked(spool: SqliteSpool) -> dict[str, Mail]:
    return {id_text(await put(spool, mail)): mail for mail in ALL}


async def found(desk: PageDesk, stock: dict[str, Mail], **sought: Any) -> list[Mail]:
    answer = await desk.messages(Sought(**sought))
    assert (answer["schema"], answer["command"], answer["next"]) == ("relay/1", "messages", None)
    return [stock[each["id"]] for each in answer["messages"]]


async def test_all_of_them_the_newest_first(desk: PageDesk, spool: SqliteSpool) -> None:
    assert await found(desk, await stocked(spool)) == list(reversed(ALL))


@pytest.mark.parametrize(
    ("sought", "expected"),
    [
        ({"recipient": "jan@elders.NL"}, [KASSA]),
        ({"recipient": "elders"}, [KASSA]),
        ({"sender": "factuur"}, [FAILED]),
        ({"client": "scanner"}, [DELETED, SCANNER]),
        ({"client": "scan"}, []),
        ({"text": "100% VAN"}, [SCANNER]),
        ({"text": "van_kopie"}, [SCANNER]),
        ({"text": "vanXkopie"}, []),
        ({"text": "%"}, [SCANNER]),
        ({"text": "klant@"}, [KASSA]),
        ({"text": "scanner", "state": "deleted"}, [DELETED]),
        ({"text": "kassa", "recipient": "een@", "state": "held"}, [HELD]),
        ({"text": "' OR 1=1 --"}, []),
        ({"text": "\\"}, []),
        ({"text": "\ud800"}, []),
        *(({"state": mail.ends.value}, [mail]) for mail in (FAILED, QUEUED, HELD, DELETED)),
        ({"state": "delivered"}, [SCANNER, KASSA]),
    ],
)
async def test_what_fits(
    desk: PageDesk, spool: SqliteSpool, sought: dict[str, str], expected: list[Mail]
) -> None:
    assert await found(desk, await stocked(spool), **sought) == expected


async def test_an_id_finds_its_own_message(desk: PageDesk, spool: SqliteSpool) -> None:
    stock = await stocked(spool)
    wanted = next(iter(stock))
    assert await found(desk, stock, text=f" {wanted.lower()} ") == [KASSA]


async def test_a_page_goes_on_where_the_last_ended(desk: PageDesk, spool: SqliteSpool) -> None:
    stock = await stocked(spool)
    seen: list[Mail] = []
    before = ""
    for _ in range(4):
        answer = await desk.messages(Sought(before=before, limit=2))
        seen += [stock[each["id"]] for each in answer["messages"]]
        before = answer["next"]
        if before is None:
            break
    assert before is None
    assert seen == list(reversed(ALL))


@pytest.mark.parametrize(
    "sought",
    [
        {"limit": 0},
        {"limit": MOST_FOUND + 1},
        {"before": "x"},
        {"state": "lost"},
        {"text": "x" * 201},
    ],
)
async def test_what_cannot_be_asked(desk: PageDesk, sought: dict[str, Any]) -> None:
    with pytest.raises(Declined):
        await desk.messages(Sought(**sought))


async def test_the_fields_of_a_message(desk: PageDesk, spool: SqliteSpool) -> None:
    many = tuple(f"klant{number}@example.net" for number in range(40))
    await put(spool, replace(QUEUED, recipients=many, subject="Factuur 7"))
    answer = await desk.messages(Sought(recipient="klant33"))
    (message,) = answer["messages"]
    assert message.pop("id")
    assert message == {
        "received_at": "2026-11-21T10:00:00.000Z",
        "finished_at": None,
        "client": "kassa",
        "sender": "info@mijnbakkerij.nl",
        "recipients": ["klant33@example.net", *many[:4]],
        "recipients_count": 40,
        "subject": "Factuur 7",
        "size": len(BODY),
        "state": "queued",
        "waiting_for": None,
        "in_doubt": False,
        "next_attempt_at": "2026-11-21T10:00:00.000Z",
        "last_reply": None,
    }


async def test_a_search_looks_at_so_many_messages_and_says_where_to_go_on(
    tmp_path: Path,
) -> None:
    spool = open_spool(tmp_path / "spool.db", lambda: NOON)
    oldest = await put(spool, QUEUED)
    await spool.close()
    multiply(tmp_path / "spool.db", 100_000)
    with closing(sqlite3.connect(tmp_path / "spool.db")) as connection:
        connection.execute("UPDATE message SET client = 'oud' WHERE id = ?", (oldest,))
        connection.commit()
        steps: list[int] = []
        connection.set_progress_handler(lambda: steps.append(1), 1000)
        found: list[list[int]] = []
        before: int | None = None
        while before is not None or not found:
            page = search.search(connection, Search(client="oud"), before, 50, NOON)
            assert len(steps) < 40 * search.WINDOW // 1000, "a look at a window, and no more"
            steps.clear()
            found.append([each.id for each in page.messages])
            before = page.next
    # Two windows hold a hundred thousand; only then it is seen that there are no more.
    assert found == [[], [oldest], []]


@pytest.mark.parametrize("state", [None, *State])
async def test_no_search_reads_whole_tables(spool: SqliteSpool, state: State | None) -> None:
    wanted = Search("a", "b", "c", "d", state)
    where, values = search._conditions(wanted)
    query = f"EXPLAIN QUERY PLAN {search.SQL['found']} WHERE {where} ORDER BY m.id DESC LIMIT 1"
    with closing(sqlite3.connect(spool.path)) as connection:
        plan = [row[3] for row in connection.execute(query, (1, 0, *values))]
    assert not any(each.startswith("SCAN") or "TEMP B-TREE" in each for each in plan), plan
    unfinished = state in (State.HELD, State.QUEUED)
    expected = "message_unfinished (id<? AND id>?)" if unfinished else "INTEGER PRIMARY KEY (rowid"
    assert any("SEARCH m" in each for each in plan)
    assert unfinished or any(expected in each for each in plan), plan


async def test_show_tells_as_whom_a_message_leaves(desk: PageDesk, spool: SqliteSpool) -> None:
    rule = SenderRule("isp", "info@mijnbakkerij.nl", "bakker@ziggo.nl", NOON)
    await spool.ledger.adopt_sender(rule)
    number = await put(spool, QUEUED)
    shown = await desk.queue_show(id_text(number), "nl")
    (leaves,) = shown["leaves"]
    assert leaves["smarthost"] == "isp"
    assert (leaves["sender"], leaves["rewritten"]) == ("bakker@ziggo.nl", True)
    assert leaves["rule"] == "info@mijnbakkerij.nl"
    assert leaves["changes"]
    finished = await desk.queue_show(id_text(await put(spool, SCANNER)), "nl")
    assert finished["leaves"][0]["sender"] == "bakker@ziggo.nl", "as it would leave now"


async def test_a_smarthost_that_is_gone_says_nothing_of_the_sender(
    desk: PageDesk, spool: SqliteSpool
) -> None:
    number = await put(spool, replace(QUEUED, lane="weg"))
    assert (await desk.queue_show(id_text(number)))["leaves"] == []


def test_over_http(tmp_path: Path) -> None:
    app = Starlette()

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        spool = open_spool(tmp_path / "spool.db", lambda: NOON)
        await stocked(spool)
        desk = PageDesk(spool, FakeDaemon(office_config(tmp_path), spool), lambda: NOON)
        app.mount("/", create_app(desk, "t", ()))
        yield
        await spool.close()

    app.router.lifespan_context = lifespan
    with TestClient(app, "http://127.0.0.1:8025") as api:

        def get(query: str) -> dict[str, Any]:
            answer = api.get(f"/api/v1/messages?{query}", headers=HEADERS)
            content: dict[str, Any] = {"status": answer.status_code, **answer.json()}
            return content

        first = get("client=scanner&limit=1")
        assert [each["state"] for each in first["messages"]] == ["deleted"]
        rest = get(f"client=scanner&limit=1&before={first['next']}")
        assert [each["subject"] for each in rest["messages"]] == ["Scan 100% van_kopie"]
        assert len(get("q=Scan+100%25+van_kopie")["messages"]) == 1
        assert len(get("recipient=elders&sender=mijnbakkerij&state=delivered")["messages"]) == 1
        assert get("limit=x")["status"] == 400
        assert set(get("state=x")["error"]) == {"nl", "en"}
