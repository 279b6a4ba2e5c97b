"""`diagnose fleet` against a name server on loopback: mixed lists, resuming, bounds, interruption."""

import errno
import json
import os
import pty
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from dnslib import DNSRecord
from fakes.examining import ENVELOPE, FINDING, findings
from fakes.nameserver import Fault, NameServer
from fakes.zone_records import plain
from typer.testing import CliRunner

from diagnose import cli
from diagnose.checks.fleet_journal import Journal

ROOT = Path(__file__).resolve().parents[2]
OUTLOOK = "spf.protection.outlook.com"
ZONE = f"""
{OUTLOOK}. 300 IN TXT "v=spf1 ip4:40.92.0.0/15 -all"
goed.nl. 300 IN TXT "v=spf1 include:{OUTLOOK} ip4:84.246.4.155 -all"
goed.nl. 300 IN MX 0 goed-nl.mail.protection.outlook.com.
_dmarc.goed.nl. 300 IN TXT "v=DMARC1; p=reject; rua=mailto:dmarc@goed.nl"
matig.nl. 300 IN TXT "v=spf1 ip4:84.246.4.155 -all"
matig.nl. 300 IN MX 0 matig-nl.mail.protection.outlook.com.
_dmarc.matig.nl. 300 IN TXT "v=DMARC1; p=reject; rua=mailto:dmarc@matig.nl"
fout.nl. 300 IN TXT "v=spf1 -all"
fout.nl. 300 IN MX 0 mx.fout.nl.
"""


class Watching(NameServer):
    """Knows how many questions were being answered at most, and tells when a name is asked for."""

    def __init__(self, zone: str) -> None:
        super().__init__(zone)
        self.most = 0
        self._now = 0
        self._counting = threading.Lock()
        self._asked: dict[str, threading.Event] = {}

    def answer(self, data: bytes, *, tcp: bool) -> bytes | None:
        with self._counting:
            self._now += 1
            self.most = max(self.most, self._now)
        self.about(plain(DNSRecord.parse(data).q.qname)).set()
        try:
            return super().answer(data, tcp=tcp)
        finally:
            with self._counting:
                self._now -= 1

    def about(self, name: str) -> threading.Event:
        return self._asked.setdefault(name, threading.Event())


@pytest.fixture
def server() -> Iterator[Watching]:
    with Watching(ZONE) as running:
        yield running


def many(count: int) -> list[str]:
    """The names of domains that all pass; `published` puts them into DNS."""
    return [f"d{n:02}.example" for n in range(count)]


def published(server: NameServer, names: list[str]) -> None:
    zone = ""
    for name in names:
        zone += f'{name}. 300 IN TXT "v=spf1 include:{OUTLOOK} ip4:84.246.4.155 -all"\n'
        zone += f'_dmarc.{name}. 300 IN TXT "v=DMARC1; p=reject; rua=mailto:a@{name}"\n'
    server.publish(zone)


def shared(server: NameServer, timeout: str) -> list[str]:
    return ["--nameserver", server.address, "--timeout", timeout, "--lang", "en"]


def run(server: NameServer, listed: str, *arguments: str, timeout: str = "10") -> Any:
    result = CliRunner().invoke(
        cli.app, ["fleet", "-", *arguments, *shared(server, timeout)], input=listed
    )
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def document(
    server: NameServer, listed: str, *arguments: str, code: int, timeout: str = "10"
) -> dict[str, Any]:
    result = run(server, listed, *arguments, "--json", timeout=timeout)
    assert result.exit_code == code, (result.stdout, result.stderr)
    found: dict[str, Any] = json.loads(result.stdout)
    assert found.keys() >= ENVELOPE
    assert (found["schema"], found["command"]) == ("diagnose/1", "fleet")
    assert all(set(each) == FINDING for each in found["findings"])
    return found


def results(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def verdicts(path: Path) -> dict[str, str]:
    return {each["target"]: each["verdict"] for each in results(path)}


def test_a_mixed_list_is_summed_up(server: Watching, tmp_path: Path) -> None:
    listed = "goed.nl\nmatig.nl\nfout.nl\nweg.nl\n"
    output = tmp_path / "results.jsonl"
    found = document(server, listed, "--output", str(output), code=1)
    assert found["verdict"] == "fail"
    assert found["domains"] == {
        **{"listed": 4, "done": 4, "pass": 1, "warn": 1, "unknown": 0, "fail": 2},
        **{"resumed": 0, "repeated": 0},
    }
    work = {each["domain"]: each["findings"] for each in found["work"]}
    assert [*work] == ["fout.nl", "weg.nl", "matig.nl"]  # the worst first, then as listed
    assert work["matig.nl"] == ["fleet-preset-not-covered"]
    assert work["weg.nl"] == ["not-found"]
    assert set(work["fout.nl"]) == {"spf-not-covered", "dmarc-none"}
    assert {each["id"]: each["domains"] for each in found["commonest"]}["dmarc-none"] == 1
    by_name = {each["target"]: each for each in results(output)}
    assert verdicts(output) == {
        **{"goed.nl": "pass", "matig.nl": "warn", "fout.nl": "fail", "weg.nl": "fail"}
    }
    good = by_name["goed.nl"]
    assert good.keys() >= ENVELOPE
    assert good["presets"][0] == "microsoft365"
    assert good["dmarc_policy"] == "reject"
    assert [(row["source"], row["result"]) for row in good["coverage"]] == [("ordernow", "pass")]
    assert by_name["fout.nl"]["suggestion"]["adds"] == ["ip4:84.246.4.155"]
    assert by_name["weg.nl"]["record"] is None


@pytest.mark.parametrize(
    ("listed", "arguments", "code"),
    [
        ("goed.nl", (), 0),
        ("goed.nl\nmatig.nl", (), 0),
        ("goed.nl\nmatig.nl", ("--strict",), 1),
        ("goed.nl\nfout.nl", (), 1),
        ("goed.nl\nfout.nl", ("--no-ordernow", "--ip", "40.92.0.1"), 1),
        ("goed.nl", ("--via", "microsoft365", "--ip", "40.92.0.1"), 0),
        ("goed.nl", ("--ip", "203.0.113.9"), 1),
        ("goed.nl\nhttps://geen.domein/", (), 3),
        ("fout.nl\nhttps://geen.domein/", (), 1),
    ],
)
def test_exit_codes(server: Watching, listed: str, arguments: tuple[str, ...], code: int) -> None:
    assert run(server, listed, *arguments).exit_code == code


def test_lists_as_people_keep_them(server: Watching, tmp_path: Path) -> None:
    listed = (
        "\ufeff# customers\r\n\r\n  GOED.nl.  # since 2015\r\ngoed.nl\rinfo@matig.nl\n"
        "b\u00fcckerei.example\nhttps://goed.nl/\n192.0.2.1\n\u001b[31mrood\u001b[0m\n"
    )
    file = tmp_path / "list.txt"
    file.write_bytes(listed.encode() + b"caf\xe9.nl\n")
    result = CliRunner().invoke(cli.app, ["fleet", str(file), "--json", *shared(server, "10")])
    found = json.loads(result.stdout)
    assert (result.exit_code, found["domains"]["fail"]) == (1, 1)  # the name with an umlaut
    assert found["domains"]["listed"] == 3
    assert found["domains"]["repeated"] == 1
    assert [bad["line"] for bad in found["bad_lines"]] == [7, 8, 9, 10]
    assert all(bad["error"] and bad["text"].isprintable() for bad in found["bad_lines"])
    assert findings(found)["fleet-bad-line"] == "unknown"
    shown = run(server, listed).stdout
    assert "Line 7 is no domain: https://goed.nl/" in shown
    assert all(each.isprintable() or each == "\n" for each in shown)


def test_a_list_in_utf_16_with_an_idn(server: Watching) -> None:
    server.publish('xn--bcker-gra.example. 60 IN TXT "v=spf1 ip4:84.246.4.155 -all"')
    listed = "b\u00e4cker.example\r\n".encode("utf-16")
    arguments = ["fleet", "-", "--json", *shared(server, "10")]
    result = CliRunner().invoke(cli.app, arguments, input=listed)
    found = json.loads(result.stdout)
    assert [each["domain"] for each in found["work"]] == ["xn--bcker-gra.example"]
    assert "not-found" not in found["work"][0]["findings"]


@pytest.mark.parametrize("listed", ["", "# nothing\n\n", "https://geen.domein/\n"])
def test_a_list_without_domains_is_wrong_usage(server: Watching, listed: str) -> None:
    result = run(server, listed, "--json")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "there is no domain" in result.stderr
    assert not server.questions


@pytest.mark.parametrize(
    "arguments",
    [("--via", "bestaatniet"), ("--ip", "300.1.1.1"), ("--output", "/bestaat/niet/x.jsonl")],
)
def test_wrong_options_are_told_before_anything_is_asked(
    server: Watching, arguments: tuple[str, ...]
) -> None:
    result = run(server, "goed.nl", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr
    assert not server.questions


def test_a_silent_name_server_is_could_not_check(server: Watching) -> None:
    server.faults["*"] = Fault("silent")
    found = document(server, "goed.nl\nmatig.nl\nfout.nl", code=3, timeout="0.3")
    assert found["verdict"] == "unknown"
    assert (found["domains"]["unknown"], found["domains"]["pass"]) == (3, 0)
    assert {each["findings"][0] for each in found["work"]} == {"dns-failed"}


def test_one_domain_that_dns_is_silent_about_spoils_no_other(server: Watching) -> None:
    published(server, names := many(10))
    server.faults["d03.example"] = Fault("silent", rdtypes=frozenset({"TXT"}))
    server.faults["_dmarc.d05.example"] = Fault("servfail")
    found = document(server, "\n".join(names), code=3, timeout="4")
    assert {each["domain"] for each in found["work"]} == {"d03.example", "d05.example"}
    assert {each["verdict"] for each in found["work"]} == {"unknown"}
    assert found["domains"]["pass"] == 8


def test_what_many_domains_share_is_asked_once(server: Watching) -> None:
    published(server, names := many(20))
    server.faults[OUTLOOK] = Fault("none", delay_seconds=0.3)
    found = document(server, "\n".join(names), "--concurrency", "20", code=0)
    assert found["domains"]["pass"] == 20
    assert server.asked(OUTLOOK, "TXT") == 1
    assert server.asked("_dmarc.d07.example", "TXT") == 1
    told = found["dns"]
    assert told["questions"] == told["asked"] + told["remembered"] + told["joined"]
    assert told["asked"] == len(server.questions)
    assert told["joined"] > 0


@pytest.mark.parametrize("concurrency", [1, 3])
def test_the_name_server_gets_no_more_at_a_time_than_allowed(
    server: Watching, concurrency: int
) -> None:
    published(server, names := many(9))
    server.faults["*"] = Fault("none", delay_seconds=0.02)
    document(server, "\n".join(names), "--concurrency", str(concurrency), code=0, timeout="60")
    assert server.most == concurrency


@contextmanager
def running(
    server: NameServer, names: list[str], output: Path, *arguments: str, stderr: int | None = None
) -> Iterator[subprocess.Popen[str]]:
    """The command as a process of its own; killed when it is still there at the end."""
    listed = output.with_name("list.txt")
    listed.write_text("\n".join(names))
    command = [sys.executable, "-m", "diagnose", "fleet", str(listed), "--output", str(output)]
    process = subprocess.Popen(
        [*command, *arguments, *shared(server, "60")],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if stderr is None else stderr,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=30)


def held_at(server: Watching, name: str, names: list[str], output: Path, *more: str) -> Any:
    """A run, one domain at a time, that waits for the first answer about `name`."""
    published(server, names)
    server.faults[name] = Fault("none", delay_seconds=60)
    return running(server, names, output, "--concurrency", "1", *more)


def let_go(server: Watching) -> None:
    server.faults.clear()


def test_a_killed_run_goes_on_where_it_stopped(server: Watching, tmp_path: Path) -> None:
    names, output = many(12), tmp_path / "results.jsonl"
    at = random.randrange(1, 12)
    cut = random.randrange(1, 200)
    with held_at(server, names[at], names, output) as process:
        assert server.about(names[at]).wait(60)
        process.kill()
        process.wait(30)
    before = output.read_bytes()
    assert [each["target"] for each in results(output)] == names[:at]
    asked = {name: server.asked(name) for name in names[:at]}
    output.write_bytes(before + before[:cut])  # the line that was being written
    let_go(server)
    found = document(server, "\n".join(names), "--output", str(output), code=0)
    assert (found["domains"]["resumed"], found["domains"]["pass"]) == (at, 12), (at, cut)
    assert output.read_bytes().startswith(before)
    assert sorted(each["target"] for each in results(output)) == names
    assert {name: server.asked(name) for name in names[:at]} == asked
    questions = len(server.questions)
    third = document(server, "\n".join(names), "--output", str(output), code=0)
    assert third["domains"]["resumed"] == 12
    assert len(server.questions) == questions


def test_an_interruption_keeps_what_is_done(server: Watching, tmp_path: Path) -> None:
    names, output = many(6), tmp_path / "results.jsonl"
    with held_at(server, names[4], names, output, "--json") as process:
        assert server.about(names[4]).wait(60)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=30)
    assert (process.returncode, stderr) == (3, "")
    found = json.loads(stdout)
    assert (found["domains"]["done"], found["verdict"]) == (4, "unknown")
    assert findings(found)["fleet-stopped"] == "unknown"
    assert [each["target"] for each in results(output)] == names[:4]


def test_again_redoes_what_could_not_be_checked(server: Watching, tmp_path: Path) -> None:
    output = tmp_path / "results.jsonl"
    listed, more = "goed.nl\nmatig.nl", ("--output", str(output))
    server.faults["goed.nl"] = Fault("servfail")
    document(server, listed, *more, code=3)
    server.faults.clear()
    assert document(server, listed, *more, code=3)["domains"]["resumed"] == 2
    found = document(server, listed, *more, "--again", code=0)
    assert (found["domains"]["resumed"], found["domains"]["pass"]) == (1, 1)
    assert verdicts(output) == {"goed.nl": "pass", "matig.nl": "warn"}
    assert document(server, listed, *more, code=0)["domains"]["resumed"] == 2


@pytest.mark.parametrize(
    "foreign",
    [
        "goed.nl\nmatig.nl\n",
        '{"schema": "diagnose/1", "command": "spf", "target": "goed.nl"}\n',
        "half a line of somebody else",
        "[" * 100_000 + "\n",
    ],
)
def test_a_file_of_something_else_is_left_alone(
    server: Watching, tmp_path: Path, foreign: str
) -> None:
    output = tmp_path / "other"
    output.write_text(foreign)
    result = run(server, "goed.nl", "--output", str(output))
    assert (result.exit_code, result.stdout) == (2, "")
    assert "line 1" in result.stderr
    assert output.read_text() == foreign


def test_results_about_other_senders_are_not_mixed(server: Watching, tmp_path: Path) -> None:
    output = tmp_path / "results.jsonl"
    document(server, "goed.nl", "--output", str(output), code=0)
    result = run(server, "goed.nl", "--output", str(output), "--no-ordernow")
    assert result.exit_code == 2
    assert "--no-ordernow" in result.stderr


def test_a_full_disk_ends_it_with_what_is_done(
    server: Watching, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names, output = many(5), tmp_path / "results.jsonl"
    published(server, names)
    write, written = Journal.write, []

    def full(self: Journal, result: dict[str, Any]) -> None:
        written.append(result)
        if len(written) > 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(self, result)

    monkeypatch.setattr(Journal, "write", full)
    more = ("--output", str(output), "--concurrency", "1")
    found = document(server, "\n".join(names), *more, code=3)
    assert findings(found)["fleet-not-written"] == "unknown"
    assert (found["domains"]["done"], len(results(output)), len(written)) == (2, 2, 3)


def test_a_bar_on_a_terminal_and_nothing_elsewhere(server: Watching, tmp_path: Path) -> None:
    published(server, names := many(3))
    assert run(server, "\n".join(names)).stderr == ""
    ours, theirs = pty.openpty()
    shown = b""
    with running(server, names, tmp_path / "results.jsonl", stderr=theirs) as process:
        os.close(theirs)
        while b"3/3" not in shown:
            shown += os.read(ours, 4096)
        assert process.wait(60) == 0
    os.close(ours)
    assert b"pass 3" in shown
