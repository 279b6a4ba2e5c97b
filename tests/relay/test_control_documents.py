"""The documents of schema relay/1, field by field."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from fakes.stocked_spool import NOON, FakeDaemon, add_message, office_config

from presets.reply import Reply
from relay.control.desk import Desk
from relay.control.documents import explanation_document, time_text
from relay.spool.model import AttemptRecord, Outcome, RecipientResult, Settlement, State
from relay.spool.sqlite import open_spool

REFUSAL = Reply(550, "5.1.1", "no such user")


@pytest.fixture
async def listed(tmp_path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """`queue list`, and `queue show` in Dutch, after one refused and one deferred recipient."""
    config = office_config(tmp_path)
    spool = open_spool(tmp_path / "spool.db", lambda: NOON)
    await add_message(spool, ["een@example.net", "twee@example.net"])
    (claim,) = await spool.queue.claim("isp", 1)
    await spool.queue.settle(
        Settlement(
            claim=claim,
            at=NOON,
            results=(
                RecipientResult(0, State.FAILED, REFUSAL),
                RecipientResult(1, State.QUEUED, Reply(451, "4.3.0", "later")),
            ),
            attempts=(
                AttemptRecord(
                    Outcome.FAILED,
                    (0,),
                    phase="rcpt",
                    address="192.0.2.1",
                    seconds=1.5,
                    reply=REFUSAL,
                ),
                AttemptRecord(Outcome.DEFERRED, (1,), phase="dot", in_doubt=True),
            ),
            due_at=NOON + timedelta(minutes=1),
            counts=True,
        )
    )
    desk = Desk(spool, FakeDaemon(config, spool), lambda: NOON)
    found = await desk.queue_list()
    shown = await desk.queue_show(found["messages"][0]["id"], "nl")
    await spool.close()
    return found, shown


def test_queue_list_has_the_fields_of_the_design(
    listed: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    found, _ = listed
    (message,) = found["messages"]
    id_ = message.pop("id")
    assert isinstance(id_, str)
    assert (found["schema"], found["total"]) == ("relay/1", 1)
    assert message == {
        "state": "queued",
        "waiting_for": "schedule",
        "in_doubt": True,
        "leased": False,
        "received_at": "2026-11-21T11:00:00.000Z",
        "client": "kassa",
        "sender": "info@mijnbakkerij.nl",
        "bytes": 23,
        "next_attempt_at": "2026-11-21T12:01:00.000Z",
        "recipients": [
            {
                "address": "een@example.net",
                "state": "failed",
                "origin": "rcpt",
                "reply": {"code": 550, "enhanced": "5.1.1", "text": "no such user"},
            },
            {
                "address": "twee@example.net",
                "state": "queued",
                "origin": "rcpt",
                "reply": {"code": 451, "enhanced": "4.3.0", "text": "later"},
            },
        ],
    }


def test_queue_show_adds_attempts_and_repairs(
    listed: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    found, shown = listed
    refused, doubtful = shown["attempts"]
    explanation = refused.pop("explanation")
    assert refused == {
        "at": "2026-11-21T12:00:00.000Z",
        "seconds": 1.5,
        "smarthost": "isp",
        "address": "192.0.2.1",
        "phase": "rcpt",
        "recipients": ["een@example.net"],
        "reply": {"code": 550, "enhanced": "5.1.1", "text": "no such user"},
        "outcome": "failed",
        "in_doubt": False,
    }
    assert set(explanation) == {"cause", "scope", "retry", "provider", "meaning", "steps"}
    assert explanation["scope"] == "recipient"
    assert doubtful["in_doubt"]
    assert doubtful["explanation"] is None, "there is no reply to explain"
    assert shown["repairs"] == [
        {"repair": "added-date", "detail": "Sat, 21 Nov 2026 12:00:00 +0000"}
    ]
    assert shown.keys() >= found["messages"][0].keys()


def test_what_came_without_a_reply_code_is_explained_where_it_is_known() -> None:
    refused = Reply.of(0, ["certificate: self-signed certificate"])
    found = explanation_document(refused, None, "starttls", "en")
    assert found is not None
    assert found["scope"] == "tls"
    ours = Reply.of(0, ["localhost offers no STARTTLS; nothing is sent in clear"])
    assert explanation_document(ours, None, "starttls", "en") is None


def test_a_time_is_utc_whatever_its_zone() -> None:
    at = datetime(2026, 11, 21, 13, 0, tzinfo=timezone(timedelta(hours=1)))
    assert time_text(at) == "2026-11-21T12:00:00.000Z"
    assert time_text(None) is None
    assert datetime.fromisoformat(time_text(NOON) or "") == NOON.astimezone(UTC)
