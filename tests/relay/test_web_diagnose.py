"""`diagnose` from the page: what it is asked, what it may see, and its bounds."""

import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes.smarthost import Smarthost
from fakes.stocked_spool import NOON, office_config
from fakes.web_desk import WebDesk, web_desk

from relay.config.load import sandbox
from relay.config.model import Config, SecretRef
from relay.control.child import Bounds, lean_environment
from relay.control.diagnosis import Diagnoses, Inquiry, arguments_for
from relay.control.errors import Declined


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return office_config(tmp_path)


@pytest.fixture
def web(config: Config, tmp_path: Path) -> Iterator[WebDesk]:
    with web_desk(config, tmp_path) as running:
        yield running


def play(web: WebDesk, program: str, seconds: float = 20.0, most_bytes: int = 2_000_000) -> None:
    """From now on this Python program stands for `diagnose`."""
    web.desk.diagnoses = Diagnoses(  # type: ignore[misc]
        lambda: NOON, (sys.executable, "-c", program), Bounds(seconds, most_bytes)
    )


def arguments(config: Config, check: str, **more: str) -> list[str]:
    return arguments_for(Inquiry(check, **more), config)


def lan(smarthost: Smarthost) -> str:
    return f"""
[[smarthost]]
name = "lan"
host = "127.0.0.1"
port = {smarthost.port}
tls = "none"
"""


def test_a_real_examination(tmp_path: Path) -> None:
    with (
        Smarthost() as smarthost,
        web_desk(office_config(tmp_path, lan(smarthost)), tmp_path) as web,
    ):
        found = web.post("/diagnose", check="connect", smarthost="lan", lang="nl")
    assert found["message"] is None
    assert found["exit_code"] in (0, 1)
    inside = found["document"]
    assert (inside["schema"], inside["command"]) == ("diagnose/1", "connect")
    (attempt,) = inside["attempts"]
    assert (attempt["outcome"], attempt["port"]) == ("open", smarthost.port)


def test_a_real_report_can_be_fetched_as_a_file(tmp_path: Path) -> None:
    with (
        Smarthost() as smarthost,
        web_desk(office_config(tmp_path, lan(smarthost)), tmp_path) as web,
    ):
        early = web.client.get("/api/v1/diagnose/report")
        assert early.status_code == 404
        assert early.json()["error"]["nl"]
        found = web.post("/diagnose", check="report", lang="nl")
        assert found["document"]["command"] == "report"
        assert found["report_at"] == "2026-11-21T12:00:00.000Z"
        html = web.client.get("/api/v1/diagnose/report")
        markdown = web.client.get("/api/v1/diagnose/report", params={"format": "markdown"})
        assert web.client.get("/api/v1/diagnose/report?format=exe").status_code == 400
    assert html.headers["content-type"] == "text/html; charset=utf-8"
    assert html.headers["content-disposition"] == (
        'attachment; filename="relay-report-20261121-1200.html"'
    )
    assert html.headers["x-content-type-options"] == "nosniff"
    assert html.text.startswith("<!")
    assert markdown.headers["content-type"] == "text/markdown; charset=utf-8"
    assert markdown.text.startswith("#")
    assert "geheim" not in html.text + markdown.text


def test_what_the_examiner_refuses_is_told_in_its_words(web: WebDesk) -> None:
    found = web.post("/diagnose", check="dmarc", domain="-v", lang="nl")
    assert (found["exit_code"], found["document"]) == (2, None)
    assert found["message"]["nl"]


@pytest.mark.parametrize(
    ("check", "more", "rest"),
    [
        ("spf", {"domain": "mijnbakkerij.nl"}, ["--config={file}", "--", "mijnbakkerij.nl"]),
        ("dkim", {"domain": "--selector=x"}, ["--config={file}", "--", "--selector=x"]),
        ("dmarc", {"domain": "mijnbakkerij.nl"}, ["--", "mijnbakkerij.nl"]),
        ("report", {}, ["--config={file}"]),
        ("report", {"domain": "-x"}, ["--domain=-x"]),
        ("auth", {"smarthost": "isp"}, ["--config={file}", "--smarthost=isp"]),
        ("connect", {"smarthost": "m365"}, ["--", "127.0.0.1:2"]),
        ("tls", {"smarthost": "m365"}, ["--", "127.0.0.1:2"]),
    ],
)
def test_the_arguments(config: Config, check: str, more: dict[str, str], rest: list[str]) -> None:
    wanted = [each.format(file=config.path) for each in rest]
    assert arguments(config, check, **more) == [check, "--json", "--lang=en", *wanted]
    assert arguments(config, check, language="nl", **more)[2] == "--lang=nl"
    assert arguments(config, check, language="--help", **more)[2] == "--lang=en"


def test_an_authority_of_ones_own_and_an_ipv6_server(config: Config, tmp_path: Path) -> None:
    lan = replace(config.smarthosts[1], host="fd00::1", ca_file=tmp_path / "ca.pem")
    found = arguments(replace(config, smarthosts=(lan,)), "tls")
    assert found[3:] == [f"--ca-file={tmp_path}/ca.pem", "--", "[fd00::1]:2"]


@pytest.mark.parametrize(
    ("inquiry", "word"),
    [
        (Inquiry("send"), "connect"),
        (Inquiry("--help"), "connect"),
        (Inquiry("spf"), "domain"),
        (Inquiry("spf", "x" * 256), "domain"),
        (Inquiry("spf", "a\nb"), "domain"),
        (Inquiry("auth"), "isp, m365"),
        (Inquiry("tls", smarthost="nobody"), "isp, m365"),
    ],
)
def test_what_is_missing_is_asked_for(config: Config, inquiry: Inquiry, word: str) -> None:
    with pytest.raises(Declined) as declined:
        arguments_for(inquiry, config)
    assert word in declined.value.en


def test_the_sandbox_examines_domains_alone(tmp_path: Path) -> None:
    config = sandbox({"HOME": str(tmp_path)})
    assert arguments(config, "spf", domain="a.nl")[3:] == ["--", "a.nl"]
    with pytest.raises(Declined):
        arguments(config, "auth")


def secretive(config: Config) -> Config:
    """The password of the first smarthost stands in a variable."""
    first = replace(config.smarthosts[0], password=SecretRef("env", "ISP_PASSWORD"))
    return replace(config, smarthosts=(first, *config.smarthosts[1:]))


@pytest.mark.parametrize(
    ("check", "seen"),
    [("auth", True), ("report", True), ("connect", False), ("spf", False), ("dkim", False)],
)
def test_secrets_reach_only_who_logs_in(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, check: str, seen: bool
) -> None:
    monkeypatch.setenv("ISP_PASSWORD", "hush")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush too")
    monkeypatch.setenv("LD_PRELOAD", "")
    file = tmp_path / "seen.json"
    program = f"import json, os; json.dump(dict(os.environ), open({str(file)!r}, 'w'))"
    with web_desk(secretive(config), tmp_path) as web:
        play(web, program)
        web.post("/diagnose", check=check, smarthost="isp", domain="a.nl")
    environment = json.loads(file.read_text())
    assert ("ISP_PASSWORD" in environment) is seen
    assert not {"AWS_SECRET_ACCESS_KEY", "LD_PRELOAD"} & set(environment)
    assert environment["PATH"] == os.environ["PATH"]


def test_the_environment_is_a_list_of_what_is_known() -> None:
    given = {"PATH": "/bin", "HOME": "/root", "RELAY_CONFIG": "/x", "TOKEN": "y", "P": "z"}
    assert lean_environment(given, ["P", "Q"]) == {
        "PATH": "/bin",
        "HOME": "/root",
        "P": "z",
        "PYTHONUTF8": "1",
    }


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_until(true: Any) -> None:
    end = time.monotonic() + 15
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)  # noqa: TID251 -- a process offers nothing to wait on


def sleepers(directory: Path) -> str:
    """A program with a child, which both sleep; their numbers come in files."""
    return (
        "import os, pathlib, subprocess, sys, time\n"
        f"d = pathlib.Path({str(directory)!r})\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "(d / f'{os.getpid()}.pid').touch(); (d / f'{child.pid}.pid').touch()\n"
        "time.sleep(600)\n"
    )


def pids(directory: Path) -> list[int]:
    return [int(file.stem) for file in directory.glob("*.pid")]


def test_it_is_killed_with_all_it_started_when_its_time_is_up(web: WebDesk, tmp_path: Path) -> None:
    play(web, sleepers(tmp_path), seconds=3.0)
    found = web.post("/diagnose", check="spf", domain="a.nl")
    assert (found["exit_code"], found["document"]) == (None, None)
    assert "3 seconds" in found["message"]["en"]
    assert len(pids(tmp_path)) == 2
    wait_until(lambda: not any(map(alive, pids(tmp_path))))


def test_too_much_output_ends_it(web: WebDesk, tmp_path: Path) -> None:
    play(web, "while True: print('x' * 10_000)", most_bytes=100_000)
    found = web.post("/diagnose", check="spf", domain="a.nl")
    assert "too much" in found["message"]["en"]
    assert found["exit_code"] is None


@pytest.mark.parametrize(
    ("program", "code", "words"),
    [
        ("print('no json')", 0, "without a result"),
        ("print('[1]')", 0, "without a result"),
        ("import sys; sys.exit('name a domain\\n\\x1b[31m' + 'x' * 100_000)", 1, "name a domain"),
        ("import sys; print('{}'); sys.exit(70)", 70, "70"),
        ("print('[' * 100_000)", 0, "without a result"),
    ],
)
def test_what_is_no_document(web: WebDesk, program: str, code: int, words: str) -> None:
    play(web, program)
    found = web.post("/diagnose", check="spf", domain="a.nl")
    assert (found["exit_code"], found["document"]) == (code, None)
    assert words in found["message"]["en"]
    assert "\x1b" not in found["message"]["en"]
    assert len(found["message"]["en"]) < 10_000


def test_a_program_that_is_not_there(web: WebDesk) -> None:
    web.desk.diagnoses = Diagnoses(lambda: NOON, ("/nowhere/python",))  # type: ignore[misc]
    assert "start" in web.post("/diagnose", 400, check="spf", domain="a.nl")["error"]["en"]


def test_two_at_once_and_no_more(web: WebDesk, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    play(
        web,
        "import pathlib, time\n"
        f"while not pathlib.Path({str(gate)!r}).exists(): time.sleep(0.02)\n"
        "print('{}')",
    )
    answers: list[Any] = []
    threads = [
        threading.Thread(
            target=lambda: answers.append(web.post("/diagnose", check="spf", domain="a.nl"))
        )
        for _ in range(2)
    ]
    for each in threads:
        each.start()
    wait_until(lambda: len(web.desk.diagnoses._running) == 2)
    third = web.client.post("/api/v1/diagnose", json={"check": "spf", "domain": "a.nl"})
    assert third.status_code == 429
    assert third.headers["retry-after"] == "10"
    assert third.json()["error"]["nl"] != third.json()["error"]["en"]
    gate.touch()
    for each in threads:
        each.join()
    assert [each["document"] for each in answers] == [{}, {}]
    web.post("/diagnose", check="spf", domain="a.nl")


async def test_who_no_longer_waits_ends_it(config: Config, tmp_path: Path) -> None:
    import asyncio

    diagnoses = Diagnoses(lambda: NOON, (sys.executable, "-c", sleepers(tmp_path)))
    task = asyncio.create_task(diagnoses.run(Inquiry("spf", "a.nl"), config))
    while len(pids(tmp_path)) < 2:
        await asyncio.sleep(0.02)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert not diagnoses._running
    wait_until(lambda: not any(map(alive, pids(tmp_path))))
