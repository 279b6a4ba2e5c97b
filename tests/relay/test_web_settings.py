"""The settings: where each value comes from, and what a pasted text would do."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.stocked_spool import TABLES, office_config
from fakes.web_desk import WebDesk, web_desk

from relay.config.load import load, sandbox
from relay.control.settings import masked


@pytest.fixture
def web(tmp_path: Path) -> Iterator[WebDesk]:
    with web_desk(office_config(tmp_path), tmp_path) as running:
        yield running


def by_path(found: Any) -> dict[str, Any]:
    return {entry["path"]: entry for entry in found["entries"]}


def line_of(found: Any, words: str) -> int:
    lines = found["file"].splitlines()
    return next(number for number, line in enumerate(lines, 1) if words in line)


def test_each_value_says_where_it_comes_from(web: WebDesk) -> None:
    found = web.get("/settings")
    entries = by_path(found)
    assert entries["hostname"]["origin"] == f"file:{line_of(found, 'hostname')}"
    assert entries["smarthost[0].username"]["origin"] == f"file:{line_of(found, 'bakker@ziggo.nl')}"
    assert entries["smarthost[0].host"]["origin"] == "preset:ziggo"
    assert entries["smarthost[0].host"]["value"]
    assert entries["smarthost[1].host"]["origin"].startswith("file:")
    assert entries["spool.lifetime"] == {
        "path": "spool.lifetime",
        "value": "5d",
        "origin": "default",
        "changed": False,
    }
    assert entries["spool.reserve_bytes"]["value"] == 1000
    assert entries["spool.reserve_bytes"]["changed"]
    assert entries["listener[0].address"]["value"] == "127.0.0.1:2525"
    assert entries["listener[0].address"]["origin"] == "default"
    assert entries["client[0].networks"]["value"] == ["192.168.1.20/32", "192.168.1.64/26"]
    assert entries["route[0].smarthost"]["value"] == ["m365", "isp"]
    assert entries["route[0].recipient"]["value"] == "*@elders.nl"


def test_what_the_machine_decides_is_called_so(tmp_path: Path) -> None:
    path = tmp_path / "relay.toml"
    path.write_text('[[smarthost]]\nname = "lan"\nhost = "192.168.1.9"\ntls = "none"\n')
    with web_desk(load(path, {"STATE_DIRECTORY": str(tmp_path)}), tmp_path) as web:
        entries = by_path(web.get("/settings"))
    for name in ("language", "hostname", "spool.url"):
        assert entries[name]["origin"] == "environment"
    assert entries["smarthost[0].port"]["origin"] == "default"


def test_a_secret_is_shown_by_reference_alone(web: WebDesk, tmp_path: Path) -> None:
    answer = web.client.get("/api/v1/settings")
    reference = by_path(answer.json())["smarthost[0].password"]["value"]
    assert reference == {"file": str(tmp_path / "isp.secret")}
    assert "geheim" not in answer.text


def test_tables_inside_tables_are_shown(tmp_path: Path) -> None:
    tables = """
[[smarthost]]
name = "m365"
preset = "microsoft365"
auth = "oauth2"
username = "info@mijnbakkerij.nl"
sender = { policy = "rewrite" }
oauth2 = { flow = "code", client_id = "app-1" }
[[alarm]]
webhook = "https://hooks.example.net/services/T0/hush"
"""
    with web_desk(office_config(tmp_path, tables), tmp_path) as web:
        found = web.get("/settings")
    entries = by_path(found)
    assert entries["smarthost[0].oauth2.client_id"]["origin"].startswith("file:")
    assert entries["smarthost[0].oauth2.authority"]["origin"] == "preset:microsoft365"
    assert entries["smarthost[0].sender.policy"]["value"] == "rewrite"
    assert entries["smarthost[0].sender.address"]["value"] == "info@mijnbakkerij.nl"
    assert entries["smarthost[0].sender.address"]["origin"] == "default"
    assert entries["alarm[0].webhook"]["value"] == "https://hooks.example.net/***"
    assert "hush" not in found["file"]
    assert found["masked"]


def test_the_file_that_changed_meanwhile_is_told(web: WebDesk, tmp_path: Path) -> None:
    assert web.get("/settings")["in_force"]
    path = tmp_path / "relay.toml"
    whole = path.read_text()
    path.write_text(whole.replace("reserve_bytes = 1000", "reserve_bytes = 2000"))
    found = web.get("/settings")
    assert not found["in_force"]
    assert by_path(found)["spool.reserve_bytes"]["value"] == 1000, "what is in force"
    path.write_text(whole + "\nnot toml [")
    assert not web.get("/settings")["in_force"]
    path.unlink()
    found = web.get("/settings")
    assert (found["file"], found["in_force"]) == (None, False)
    assert found["faults"][0]["nl"]


def test_a_sandbox_has_no_file(tmp_path: Path) -> None:
    with web_desk(sandbox({"HOME": str(tmp_path)}), tmp_path) as web:
        found = web.get("/settings")
        checked = web.post("/settings/check", text='language = "nl"\n')
    assert (found["file"], found["path"], found["sandbox"]) == (None, None, True)
    assert by_path(found)["listener[1].address"]["value"] == "[::1]:2525"
    assert checked["faults"], "it names no smarthost"


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ('password = "hush"', 'password = "***"'),
        ("password = 'hush' # was", 'password = "***" # was'),
        ('# password = "hush"', '# password = "***"'),
        ("# wachtwoord: hush", '# wachtwoord: "***"'),
        ("password = hush", 'password = "***"'),
        ('password = "hush', 'password = "***"'),
        ('client_secret = """\nhush\n"""\nx = 1', 'client_secret = "***"\nx = 1'),
        (
            'oauth2 = { client_secret = "hush", tenant = "t" }',
            'oauth2 = { client_secret = "***", tenant = "t" }',
        ),
        ("-----BEGIN PRIVATE KEY-----\nhush\n-----END PRIVATE KEY-----\nx", "***\nx"),
        ('webhook = "https://hooks.example.net/hush"', 'webhook = "https://hooks.example.net/***"'),
        ('webhook = "https://a:hush@example.net?hush"', 'webhook = "https://example.net/***"'),
    ],
)
def test_a_secret_written_out_is_masked(text: str, rest: str) -> None:
    assert masked(text) == rest


@pytest.mark.parametrize(
    "text",
    [
        'password = { file = "isp.secret" }',
        'key = "/etc/relay/tls.key"',
        'token_endpoint = "https://oauth2.googleapis.com/token"',
        TABLES,
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert masked(text) == text


def test_a_good_text_is_compared(web: WebDesk, tmp_path: Path) -> None:
    path = tmp_path / "relay.toml"
    before = path.read_text()
    text = before.replace("relay.test", "mail.test") + '\n[web]\naddress = "127.0.0.1:8026"\n'
    found = web.post("/settings/check", text=text)
    assert (found["verdict"], found["faults"]) == ("pass", [])
    assert found["needs_restart"] == ["web.address"]
    assert '-hostname = "relay.test"' in found["diff"]
    assert '+hostname = "mail.test"' in found["diff"]
    assert found["diff_complete"]
    assert path.read_text() == before, "nothing is written"
    assert web.desk.config().hostname == "relay.test"


def test_the_same_text_changes_nothing(web: WebDesk, tmp_path: Path) -> None:
    found = web.post("/settings/check", text=(tmp_path / "relay.toml").read_text())
    assert (found["verdict"], found["diff"], found["needs_restart"]) == ("pass", [], [])


def test_faults_come_with_their_lines(web: WebDesk, tmp_path: Path) -> None:
    text = (tmp_path / "relay.toml").read_text() + '\n[web]\nadress = "x"\n'
    (fault,) = web.post("/settings/check", text=text)["faults"]
    assert (fault["line"], fault["key"]) == (
        text.splitlines().index('adress = "x"') + 1,
        "web.adress",
    )
    assert "address" in fault["nl"]
    (fault,) = web.post("/settings/check", text='language = "nl"\n[web\n')["faults"]
    assert (fault["line"], fault["file"]) == (2, "relay.toml")


def test_a_literal_password_is_refused_and_not_repeated(web: WebDesk, tmp_path: Path) -> None:
    text = (tmp_path / "relay.toml").read_text()
    text = text.replace('password = { file = "isp.secret" }', 'password = "hush-hush"')
    answer = web.client.post("/api/v1/settings/check", json={"text": text})
    assert answer.json()["faults"][0]["key"] == "smarthost[0].password"
    assert "hush-hush" not in answer.text


def test_new_files_are_not_opened(web: WebDesk, tmp_path: Path) -> None:
    """A pipe that nobody writes to would keep the reader for ever."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    text = (
        (tmp_path / "relay.toml").read_text()
        + f"""
[web]
certificate = "{pipe}"
key = "{pipe}"
password_hash = {{ file = "{pipe}" }}
[[dkim]]
domain = "mijnbakkerij.nl"
selector = "relay"
key = {{ file = "{pipe}" }}
[[smarthost]]
name = "gmail"
preset = "google-workspace"
username = "info@mijnbakkerij.nl"
ca_file = "{pipe}"
auth = "oauth2"
oauth2 = {{ flow = "service-account", client_secret = {{ file = "{pipe}" }} }}
[[smarthost]]
name = "other"
host = "smtp.example.net"
username = "x"
password = {{ env = "PATH" }}
"""
    )
    found = web.post("/settings/check", text=text)
    assert found["faults"] == []
    told = {each["key"] for each in found["warnings"] if "relay check" in each["nl"]}
    assert told == {
        "web.certificate",
        "web.password_hash",
        "dkim[0].key",
        "smarthost[2].ca_file",
        "smarthost[2].oauth2.client_secret",
        "smarthost[3].password",
    }


def test_a_mask_that_stayed_is_told(web: WebDesk, tmp_path: Path) -> None:
    text = (tmp_path / "relay.toml").read_text()
    text += '\n[[alarm]]\nwebhook = "https://hooks.example.net/***"\n'
    found = web.post("/settings/check", text=text)
    assert any("***" in each["en"] for each in found["warnings"])


def test_too_long_a_text_is_refused(web: WebDesk) -> None:
    assert "100000" in web.post("/settings/check", 400, text="#" * 100_001)["error"]["en"]
    assert "5000" in web.post("/settings/check", 400, text="\n" * 5_001)["error"]["en"]
    web.post("/settings/check", 400, text=7)


@pytest.mark.parametrize(
    "text",
    [
        "[web]\n" + "a." * 299 + "a=1\n",
        "[web." + "a." * 290 + "a]\n" + "a." * 290 + "a=1\n",
        "web = " + "{a=" * 3000 + "1" + "}" * 3000,
        "web = " + "[" * 300 + "]" * 300,
    ],
)
def test_depths_are_survived(web: WebDesk, text: str) -> None:
    assert web.post("/settings/check", text=text)["faults"]


def test_an_endless_dotted_key_is_refused_unread(web: WebDesk) -> None:
    text = "\n" + "a." * 40_000 + "a=1"
    assert "line 2" in web.post("/settings/check", 400, text=text)["error"]["en"]


def test_a_long_difference_is_cut(web: WebDesk) -> None:
    found = web.post("/settings/check", text="# x\n" * 4_000)
    assert len(found["diff"]) == 2_000
    assert not found["diff_complete"]
