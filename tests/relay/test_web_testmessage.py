"""Sturen testbericht: a message of our own, the way of all others."""

import email
import email.policy
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from fakes.stocked_spool import TABLES, office_config
from fakes.web_desk import WebDesk, web_desk

from relay.config.load import sandbox
from relay.control.page_desk import PageDesk


@pytest.fixture
def web(tmp_path: Path) -> Iterator[WebDesk]:
    with web_desk(office_config(tmp_path), tmp_path, peer="192.168.1.5") as running:
        yield running


def content(web: WebDesk, id_: str) -> EmailMessage:
    raw = web.client.get(f"/api/v1/queue/{id_}/message").content
    assert raw.isascii()
    assert b"\n" not in raw.replace(b"\r\n", b"")
    found = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(found, EmailMessage)
    return found


def test_it_waits_in_the_queue_as_any_mail(web: WebDesk) -> None:
    made = web.post("/test-message", to=" klant@example.net ", lang="nl")
    assert (made["to"], made["from"]) == ("klant@example.net", "bakker@ziggo.nl")
    assert web.daemon.calls == ["mail_due"]
    shown = web.get(f"/queue/{made['id']}")
    assert (shown["client"], shown["client_address"]) == ("page", "192.168.1.5")
    assert (shown["sender"], shown["state"]) == ("bakker@ziggo.nl", "queued")
    (recipient,) = shown["recipients"]
    assert (recipient["address"], recipient["smarthost"]) == ("klant@example.net", "isp")


@pytest.mark.parametrize(
    ("language", "subject", "words"),
    [("nl", "Testbericht", "Sturen testbericht"), ("en", "Test message", "Send test message")],
)
def test_it_is_a_proper_message(web: WebDesk, language: str, subject: str, words: str) -> None:
    made = web.post("/test-message", to="klant@example.net", lang=language)
    found = content(web, made["id"])
    assert (found["From"], found["To"]) == ("bakker@ziggo.nl", "klant@example.net")
    assert found["Subject"].startswith(subject)
    assert found["Date"].datetime is not None
    assert found["Message-ID"] == f"<{made['id']}@relay.test>"
    assert found["Message-ID"] == web.get(f"/queue/{made['id']}")["message_id"]
    assert found["Auto-Submitted"] == "auto-generated"
    assert found["Content-Language"] == language
    text = found.get_content()
    assert words in text
    assert made["id"] in text
    assert "{" not in text


def test_the_routes_choose_the_smarthost_and_its_sender(tmp_path: Path) -> None:
    tables = TABLES.replace(
        'tls = "none"', 'tls = "none"\nallowed_senders = ["kantoor@elders.nl"]\n'
    )
    with web_desk(office_config(tmp_path, tables), tmp_path) as web:
        made = web.post("/test-message", to="iemand@elders.nl")
        assert made["from"] == "kantoor@elders.nl"
        (recipient,) = web.get(f"/queue/{made['id']}")["recipients"]
    assert recipient["smarthost"] == "m365"


def test_the_sender_that_was_asked_for(web: WebDesk) -> None:
    made = web.post("/test-message", **{"to": "k@example.net", "from": "info@mijnbakkerij.nl"})
    assert made["from"] == "info@mijnbakkerij.nl"
    assert content(web, made["id"])["From"] == "info@mijnbakkerij.nl"


def test_copies_of_everything_are_of_this_too(tmp_path: Path) -> None:
    head = '[sender]\nbcc = ["archief@mijnbakkerij.nl", "k@example.net"]\n'
    with web_desk(office_config(tmp_path, head=head), tmp_path) as web:
        made = web.post("/test-message", to="k@example.net")
        shown = web.get(f"/queue/{made['id']}")
        assert "archief" not in str(content(web, made["id"]))
    assert [(each["address"], each["origin"]) for each in shown["recipients"]] == [
        ("k@example.net", "rcpt"),
        ("archief@mijnbakkerij.nl", "bcc"),
    ]


def test_in_a_trial_it_is_held(tmp_path: Path) -> None:
    head = '[delivery]\nmode = "hold"\n'
    with web_desk(office_config(tmp_path, head=head), tmp_path) as web:
        made = web.post("/test-message", to="k@example.net")
        shown = web.get(f"/queue/{made['id']}")
    assert (shown["state"], shown["recipients"][0]["held_for"]) == ("held", "trial")


def test_in_the_sandbox_it_is_held_and_needs_no_sender(tmp_path: Path) -> None:
    with web_desk(sandbox({"HOME": str(tmp_path)}), tmp_path) as web:
        made = web.post("/test-message", to="k@example.net")
        shown = web.get(f"/queue/{made['id']}")
    assert shown["recipients"][0]["held_for"] == "sandbox"
    assert "@" in made["from"]


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"to": ""}, "recipient"),
        ({"to": "klant"}, "recipient"),
        ({"to": "a@example.net, b@example.net"}, "recipient"),
        ({"to": "a@example.net\r\nBcc: b@example.net"}, "recipient"),
        ({"to": "k@example.net", "from": "bakker"}, "sender"),
        ({"to": "k@example.net", "from": "a@b.nl\nX: y"}, "sender"),
        ({"from": "a@b.nl"}, "to"),
        ({"to": ["k@example.net"]}, "to"),
    ],
)
def test_what_is_no_address_is_refused(web: WebDesk, body: dict[str, Any], word: str) -> None:
    error = web.post("/test-message", 400, **body)["error"]
    assert word in error["en"]
    assert error["nl"] != error["en"]
    assert web.get("/queue")["total"] == 0


def test_nobody_knows_what_to_send_as(tmp_path: Path) -> None:
    tables = '[[smarthost]]\nname = "lan"\nhost = "127.0.0.1"\ntls = "none"\n'
    with web_desk(office_config(tmp_path, tables), tmp_path) as web:
        error = web.post("/test-message", 400, to="k@example.net")["error"]
        assert "postmaster" in error["en"]
        assert web.get("/queue")["total"] == 0
        web.post("/test-message", **{"to": "k@example.net", "from": "info@mijnbakkerij.nl"})


def test_a_full_disk_takes_no_test_message_either(tmp_path: Path) -> None:
    config = office_config(tmp_path)
    path = tmp_path / "relay.toml"
    path.write_text(
        path.read_text().replace("reserve_bytes = 1000", "reserve_bytes = 900000000000000")
    )
    from relay.config.load import load

    assert config.spool.reserve_bytes == 1000
    with web_desk(load(path, {}), tmp_path) as web:
        error = web.post("/test-message", 503, to="k@example.net")["error"]
        assert "reserve_bytes" in error["en"]
        assert web.get("/queue")["total"] == 0
        assert isinstance(web.desk, PageDesk)
