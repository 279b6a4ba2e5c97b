"""The commands while the relay is stopped: exit codes, and JSON that is nothing but JSON."""

import asyncio
import json
import os
import socket
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from fakes.ports import free_port
from fakes.stocked_spool import NOON, TABLES, add_message, office_config
from typer.testing import CliRunner

from relay.cli.app import app
from relay.spool.model import HeldFor
from relay.spool.sqlite import SqliteSpool, open_spool


class Shop:
    """An office whose relay is stopped, and its command line."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ports = free_port(), free_port()
        self.write()

    def write(self, more: str = "", head: str = "") -> None:
        listener, web = self.ports
        office_config(
            self.directory,
            f'[[listener]]\naddress = "127.0.0.1:{listener}"\n'
            f'[web]\naddress = "127.0.0.1:{web}"\n{TABLES}{more}',
            head,
        )

    def stock(self, work: Callable[[SqliteSpool], Awaitable[Any]]) -> Any:
        """What `work` gives with the spool open."""

        async def run() -> Any:
            spool = open_spool(self.directory / "spool.db", lambda: NOON)
            try:
                return await work(spool)
            finally:
                await spool.close()

        return asyncio.run(run())

    def run(self, *arguments: str) -> Any:
        config = str(self.directory / "relay.toml")
        return CliRunner().invoke(app, [*arguments, "--config", config])

    def json(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        """The one document on stdout."""
        result = self.run(*arguments, "--json")
        assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
        found: dict[str, Any] = json.loads(result.stdout)
        assert found["schema"] == "relay/1"
        return found


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setenv("HOME", str(tmp_path))
    return Shop(tmp_path)


@pytest.fixture
def stocked(shop: Shop) -> tuple[Shop, str]:
    return shop, shop.stock(lambda spool: add_message(spool, ["een@example.net"]))


def test_the_queue_by_hand(stocked: tuple[Shop, str]) -> None:
    shop, id_ = stocked
    assert shop.json("queue", "list")["messages"][0]["id"] == id_
    assert shop.json("queue", "show", id_)["id"] == id_
    for verb in ("retry", "hold", "release"):
        assert shop.json("queue", verb, id_)["changed"] == [id_], verb
    assert shop.json("queue", "reroute", id_, "--to", "m365")["changed"] == [id_]
    assert shop.json("queue", "delete", "--all")["changed"] == [id_]
    assert shop.json("queue", "list")["total"] == 0


def test_text_for_people_in_their_language(stocked: tuple[Shop, str]) -> None:
    shop, id_ = stocked
    listed = shop.run("queue", "list", "--lang", "nl")
    assert id_ in listed.stdout
    assert "afzender" in listed.stdout
    assert "1 van 1 berichten" in listed.stdout
    shown = shop.run("queue", "show", id_)
    assert "een@example.net" in shown.stdout
    assert "added-date" in shown.stdout


def test_faults_are_told_in_the_language_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "relay.toml"
    for variable in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.setenv(variable, "en_US.UTF-8")
    check = ["check", "--config", str(file)]
    file.write_text('language = "nl"\nfoo = 1\n', encoding="utf-8")
    assert "deze sleutel bestaat niet" in CliRunner().invoke(app, check).stderr
    assert "there is no such key" in CliRunner().invoke(app, [*check, "--lang", "en"]).stderr
    file.write_text("foo = 1\n", encoding="utf-8")
    assert "there is no such key" in CliRunner().invoke(app, check).stderr


@pytest.mark.parametrize("verb", ["show", "retry", "hold", "release", "delete"])
def test_an_unknown_id_is_exit_1(stocked: tuple[Shop, str], verb: str) -> None:
    shop, _ = stocked
    for id_ in ("0000000000000", "../x", "ids"):
        assert shop.json("queue", verb, id_, code=1)["unknown"] == [id_]


@pytest.mark.parametrize(
    "arguments",
    [
        ("queue", "hold"),
        ("queue", "hold", "x", "--all"),
        ("queue", "reroute", "--all"),
        ("queue", "reroute", "--all", "--to", "nergens"),
        ("queue", "list", "--state", "sleeping"),
        ("queue", "list", "--limit", "0"),
        ("client", "allow", "kassa"),
        ("client", "allow", "192.168.1.0/24"),
        ("client", "allow", "192.168.1.40", "--name", ""),
        ("client", "learn", "--minutes", "121"),
        ("account", "resume", "nobody"),
        ("why", "kassa", "a@b.nl"),
        ("serve", "--port", "25"),
        ("status", "--lang", "de"),
        ("nonsense",),
    ],
)
def test_wrong_usage_is_exit_2_and_no_document(
    stocked: tuple[Shop, str], arguments: tuple[str, ...]
) -> None:
    result = stocked[0].run(*arguments, "--json")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr


@pytest.mark.parametrize(
    "arguments", [("serve",), ("check",), ("status",), ("queue", "list"), ("why", "::1", "a@b.nl")]
)
def test_a_bad_configuration_is_exit_2_with_every_fault(
    shop: Shop, arguments: tuple[str, ...]
) -> None:
    path = shop.directory / "relay.toml"
    path.write_text('hostnaam = "x"\n' + path.read_text() + "[[client]]\nname = 3\n")
    result = shop.run(*arguments, "--json", "--lang", "nl")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "relay.toml:1: hostnaam: deze sleutel bestaat niet" in result.stderr
    assert len(result.stderr.splitlines()) == 2


@pytest.mark.parametrize(
    "arguments", [("queue", "list"), ("client", "allow", "192.168.1.40"), ("account", "list")]
)
def test_before_the_first_start_there_is_nothing_to_see(
    shop: Shop, arguments: tuple[str, ...]
) -> None:
    result = shop.run(*arguments, "--json")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "start relay serve first" in result.stderr
    assert not (shop.directory / "spool.db").exists()


def test_a_sandbox_message_is_not_released(shop: Shop) -> None:
    id_ = shop.stock(lambda spool: add_message(spool, held_for=HeldFor.SANDBOX, lane=""))
    assert shop.json("queue", "release", id_, code=1)["refused"] == [id_]
    assert "sandbox" in shop.run("queue", "release", "--all").stderr


def test_export_writes_the_exact_bytes_and_overwrites_nothing(stocked: tuple[Shop, str]) -> None:
    shop, id_ = stocked
    out = shop.directory / "out"
    assert shop.json("queue", "export", "--all", "--to", str(out))["changed"] == [id_]
    mail = out / f"{id_}.eml"
    assert mail.read_bytes() == b"Subject: hoi\r\n\r\nhallo\r\n"
    assert mail.stat().st_mode & 0o077 == 0
    assert json.loads((out / f"{id_}.json").read_text())["sender"] == "info@mijnbakkerij.nl"
    mail.write_bytes(b"mine")
    again = shop.json("queue", "export", id_, "--to", str(out), code=1)
    assert (again["changed"], again["existing"]) == ([], [str(mail)])
    assert mail.read_bytes() == b"mine"
    mail.unlink()
    shop.json("queue", "export", id_, "--to", str(out), code=1)
    assert not mail.exists(), "one file without the other tells half of it"
    mail.touch()
    onto_file = shop.run("queue", "export", id_, "--to", str(mail), "--json")
    assert (onto_file.exit_code, onto_file.stdout) == (2, "")


def test_clients(stocked: tuple[Shop, str]) -> None:
    shop, _ = stocked
    assert shop.json("client", "allow", "::ffff:192.168.1.40", "--name", "scanner")["adopted"]
    assert [each["name"] for each in shop.json("client", "list")["adopted"]] == ["scanner"]
    assert "scanner" in shop.run("client", "list").stdout
    assert not shop.json("client", "allow", "192.168.1.20")["adopted"]
    assert shop.json("client", "remove", "192.168.1.40")["removed"]
    assert not shop.json("client", "remove", "192.168.1.40", code=1)["removed"]
    assert shop.json("client", "learn", "--minutes", "5")["learning_until"]
    assert "learning window open" in shop.run("client", "refused").stdout
    assert shop.json("client", "learn", "--stop")["learning_until"] is None


def test_accounts(stocked: tuple[Shop, str]) -> None:
    shop, _ = stocked
    assert shop.json("account", "list")["accounts"][0]["username"] == "bakker@ziggo.nl"
    assert shop.json("account", "resume", "isp")["resumed"] == []


def test_why_works_before_the_first_start(shop: Shop) -> None:
    answer = shop.json("why", "192.168.1.70", "<info@mijnbakkerij.nl>")
    assert (answer["client"], answer["sender"]) == ("kassa", "info@mijnbakkerij.nl")
    refused = shop.run("why", "192.168.1.40", "info@mijnbakkerij.nl", "--lang", "nl")
    assert refused.exit_code == 1
    assert "554 5.7.1 192.168.1.40 staat niet op de lijst" in refused.stdout


def test_a_stopped_relay_is_a_problem(stocked: tuple[Shop, str]) -> None:
    shop, _ = stocked
    status = shop.json("status", code=1)
    assert status["problems"][0] == {"id": "not-running"}
    assert status["queued"] == 1
    text = shop.run("status").stdout.splitlines()[0]
    assert text.startswith("PROBLEM - the relay is not running")
    assert " | queued=1;;;0 held=0;;;0 oldest=" in text
    assert not shop.json("reload", code=1)["running"]


def test_a_damaged_spool_is_told(shop: Shop) -> None:
    (shop.directory / "spool.db").write_bytes(b"this is no database" * 1000)
    for arguments in (("queue", "list"), ("serve",)):
        result = shop.run(*arguments, "--json")
        assert (result.exit_code, result.stdout) == (2, "")
        assert "relay spool restore" in result.stderr
    assert shop.json("status", code=1)["problems"][1]["id"] == "spool-failing"
    found = shop.json("check", code=1)
    assert severity(found, "spool") == "error"


def test_a_spool_of_a_newer_version_is_left_alone(stocked: tuple[Shop, str]) -> None:
    shop, _ = stocked
    connection = sqlite3.connect(shop.directory / "spool.db")
    connection.execute("PRAGMA user_version=99")
    connection.commit()
    connection.close()
    for arguments in (("queue", "list"), ("serve",)):
        result = shop.run(*arguments)
        assert result.exit_code == 2
        assert "schema 99" in result.stderr
        assert "install the newer relay" in result.stderr
    assert severity(shop.json("check", code=1), "spool") == "error"


def severity(found: dict[str, Any], id_: str) -> str:
    return next(each["severity"] for each in found["findings"] if each["id"] == id_)


def test_check_is_good(stocked: tuple[Shop, str]) -> None:
    found = stocked[0].json("check")
    # tls = "none" to a smarthost, as here, deserves a warning unless it is on this machine.
    assert found["verdict"] == "pass"
    users = set() if os.name == "nt" else {"service-user"}
    assert {each["id"] for each in found["findings"]} == users | {
        "configuration",
        "service",
        "port",
        "spool",
        "disk",
    }
    assert all(
        set(each) >= {"id", "severity", "title", "detail", "remedy"} for each in found["findings"]
    )


def test_check_makes_no_spool(shop: Shop) -> None:
    shop.json("check")
    assert {path.name for path in shop.directory.iterdir()} == {"relay.toml", "isp.secret"}


def test_check_warns_of_keys_without_effect(shop: Shop) -> None:
    shop.write('\n[[alarm]]\nsyslog = true\nsmarthost = "isp"\n')
    found = shop.json("check")
    assert found["verdict"] == "warn"


def test_check_and_serve_name_the_port_that_is_taken(shop: Shop) -> None:
    with socket.create_server(("127.0.0.1", shop.ports[0])):
        found = shop.json("check", code=1)
        assert severity(found, "port") == "error"
        served = shop.run("serve")
    assert served.exit_code == 2
    assert f"127.0.0.1 port {shop.ports[0]} (listener[0].address) is taken" in served.stderr


def test_check_sees_a_full_disk(shop: Shop) -> None:
    path = shop.directory / "relay.toml"
    path.write_text(
        path.read_text().replace("reserve_bytes = 1000", "reserve_bytes = 1125899906842624")
    )
    assert severity(shop.json("check", code=1), "disk") == "error"


def test_check_online_says_what_does_not_answer(shop: Shop) -> None:
    path = shop.directory / "relay.toml"
    text = path.read_text()
    start, end = (
        text.index('[[smarthost]]\nname = "isp"'),
        text.index('[[smarthost]]\nname = "m365"'),
    )
    path.write_text((text[:start] + text[end:]).replace('["m365", "isp"]', '["m365"]'))
    found = shop.json("check", "--online", code=1)
    (smarthost,) = (each for each in found["findings"] if each["id"] == "smarthost")
    assert smarthost["severity"] == "error"
    assert smarthost["evidence"]["cause"] == "connection-failed"


def test_no_right_to_the_spool(stocked: tuple[Shop, str], monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "spool.db")

    monkeypatch.setattr("relay.cli.ask.open_spool", denied)
    result = stocked[0].run("queue", "list", "--json")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "run as the service's user" in result.stderr
