"""The commands while the relay runs: they go through its API."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fakes.ports import free_port
from fakes.relay_process import RelayProcess
from typer.testing import CliRunner

import relay.control.client
from relay.cli.app import app
from relay.control.token import publish
from relay.message.dkim_record import new_key
from relay.spool.lock import SpoolLock

TABLES = '[[smarthost]]\nname = "isp"\nhost = "127.0.0.1"\ntls = "none"\n'
CONTENT = b"From: info@mijnbakkerij.nl\r\nSubject: factuur\r\n\r\nhallo\r\n"


@contextmanager
def held(directory: Path) -> Iterator[tuple[RelayProcess, SpoolLock]]:
    """A relay that holds its spool, and does nothing else."""
    file = RelayProcess(directory, TABLES)
    file.write_config()
    file.spool.touch()
    lock = SpoolLock(directory / "spool.db.lock")
    lock.acquire()
    try:
        yield file, lock
    finally:
        lock.release()


@contextmanager
def office(directory: Path, top: str = "") -> Iterator[RelayProcess]:
    tables = (
        f'[[smarthost]]\nname = "isp"\nhost = "127.0.0.1"\nport = {free_port()}\ntls = "none"\n'
    )
    with RelayProcess(directory, tables, top=top) as process:
        yield process


def test_a_running_relay_is_seen_and_steered(tmp_path: Path) -> None:
    with office(tmp_path) as process:
        process.send("info@mijnbakkerij.nl", ["een@example.net"], CONTENT)
        (message,) = process.queue()
        id_ = message["id"]
        held = process.run("queue", "hold", id_, "--json")
        assert (held.code, held.json["changed"]) == (0, [id_])
        assert process.run("queue", "show", id_, "--json").json["state"] == "held"
        exported = process.run("queue", "export", id_, "--to", str(tmp_path / "out"), "--json")
        assert exported.json["changed"] == [id_]
        assert (tmp_path / "out" / f"{id_}.eml").read_bytes().endswith(b"\r\n\r\nhallo\r\n")
        status = process.run("status", "--json")
        assert status.json["running"]
        assert status.json["listeners"] == [f"127.0.0.1:{process.port}"]
        checked = process.run("check", "--json")
        assert (checked.code, checked.json["verdict"]) == (0, "pass")
        assert process.run("queue", "delete", "--all", "--json").json["changed"] == [id_]
        reloaded = process.run("reload", "--json")
        assert (reloaded.code, reloaded.json["applied"]) == (0, True)


def test_a_key_that_is_gone_is_told_and_stops_no_command(tmp_path: Path) -> None:
    key = tmp_path / "dkim.pem"
    key.touch(0o600)
    key.write_bytes(new_key()[1])
    with office(tmp_path) as process:
        process.tables += f'[[dkim]]\ndomain = "b.nl"\nselector = "s"\nkey = {{ file = "{key}" }}\n'
        process.write_config()
        assert process.run("reload").code == 0
        process.send("info@b.nl", ["een@example.net"], CONTENT)
        key.unlink()
        status = process.run("status", "--json")
        assert status.code == 1
        assert "dkim-key" in [each["id"] for each in status.json["problems"]]
        assert process.run("queue", "retry", "--all").code == 0
        assert process.run("why", "127.0.0.1", "info@b.nl").code == 0
        for command in ("reload", "check"):
            refused = process.run(command)
            assert (refused.code, "dkim[0].key" in refused.err) == (2, True)


def test_a_device_is_allowed_while_the_relay_runs(tmp_path: Path) -> None:
    with office(tmp_path) as process:
        process.tables += '[[client]]\nname = "niemand"\nnetworks = []\n'
        assert process.run("why", "127.0.0.1", "a@b.nl").code == 0
        process.write_config()
        assert process.run("reload").code == 0
        refused = process.run("why", "127.0.0.1", "a@b.nl", "--json")
        assert refused.code == 1
        with process.connect() as client:
            assert client.reply() == refused.json["reply"]
        process.wait_until(lambda: bool(process.run("client", "refused", "--json").json["devices"]))
        assert process.run("client", "allow", "127.0.0.1").code == 0
        process.send("info@mijnbakkerij.nl", ["een@example.net"], CONTENT)
        assert process.run("client", "refused", "--json").json["devices"] == []


def test_a_bad_file_keeps_the_old_configuration(tmp_path: Path) -> None:
    with office(tmp_path) as process:
        process.tables += "[[client]]\nnaam = 1\n"
        process.write_config()
        done = process.run("reload", "--json")
        assert (done.code, done.out) == (2, "")
        assert "naam" in done.err


def test_a_second_relay_says_who_was_first(tmp_path: Path) -> None:
    with office(tmp_path) as process:
        second = process.run("serve", "--lang", "nl")
        assert second.code == 2
        assert "er draait al een relay" in second.err


def test_the_commands_follow_a_relay_whose_port_was_edited(tmp_path: Path) -> None:
    with office(tmp_path) as process:
        process.web_port = free_port()
        process.write_config()
        done = process.run("reload", "--json")
        assert done.json["needs_restart"] == ["web.address"]
        assert process.run("status").code == 0


@pytest.mark.parametrize(
    "command", [["status"], ["queue", "list"], ["queue", "retry", "--all"], ["reload"]]
)
def test_a_relay_that_does_not_answer_is_exit_3(
    tmp_path: Path, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay.control.client, "TIMEOUT_SECONDS", 0.3)
    with held(tmp_path) as (file, _), socket.create_server(("127.0.0.1", 0)) as silent:
        publish(file.spool, f"http://127.0.0.1:{silent.getsockname()[1]}")
        arguments = [*command, "--config", str(file.config), "--json"]
        result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 3
    assert '"verdict": "unknown"' in result.stdout
    assert "does not answer" in result.stderr


def test_a_command_waits_for_a_relay_that_is_starting(tmp_path: Path) -> None:
    with held(tmp_path) as (file, lock):
        threading.Timer(0.3, lock.release).start()
        result = CliRunner().invoke(app, ["queue", "list", "--config", str(file.config), "--json"])
    assert result.exit_code == 0, result.stderr


def test_without_a_page_a_running_relay_cannot_be_asked(tmp_path: Path) -> None:
    with held(tmp_path) as (file, _):
        text = file.config.read_text()
        file.config.write_text(text.replace("[web]", "[web]\nenabled = false"))
        result = CliRunner().invoke(app, ["queue", "list", "--config", str(file.config)])
    assert result.exit_code == 2
    assert "enabled = false" in result.stderr
