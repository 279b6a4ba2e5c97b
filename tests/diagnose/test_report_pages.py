"""What `diagnose report` writes: Markdown and HTML, of a domain and of hostile servers."""

import string
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from fakes.examining import ENVELOPE, Examiner, findings
from fakes.nameserver import Fault, NameServer
from fakes.ports import free_port
from fakes.relay_file import RelayFile
from fakes.script import Behaviour
from fakes.smarthost import Smarthost
from typer.testing import CliRunner

from diagnose import cli
from diagnose.commands.report import report
from diagnose.markdown import plain
from diagnose.wording import texts

HOSTILE = "<script src=//evil.example>|alert('1')|</script> **bold** [x](y) `z` \x1b[31m"
ZONE = f"""
mijnbakkerij.nl. 300 IN SOA ns.mijnbakkerij.nl. beheer.mijnbakkerij.nl. 1 3600 600 86400 300
mijnbakkerij.nl. 300 IN TXT "v=spf1 -all"
mijnbakkerij.nl. 300 IN MX 10 mx.mijnbakkerij.nl.
hostile.example. 300 IN SOA ns.hostile.example. a.hostile.example. 1 3600 600 86400 300
hostile.example. 300 IN TXT "v=spf1 {HOSTILE[:-5]} -all"
"""

examiner = Examiner(report)


@pytest.fixture(scope="module")
def nameserver() -> Iterator[NameServer]:
    with NameServer(ZONE) as server:
        yield server


class Page(HTMLParser):
    """The elements of a page, its text, and whatever it would fetch."""

    VOID = ("meta",)
    FETCHES = ("src", "href", "data", "action", "background", "poster", "srcset")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.language: str | None = None
        self.text = ""
        self.style = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert not [name for name, _ in attrs if name in self.FETCHES or name.startswith("on")]
        if tag == "html":
            self.language = dict(attrs)["lang"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "style":
            self.style += data
        else:
            self.text += data


def domain_options(nameserver: NameServer, domain: str = "mijnbakkerij.nl") -> tuple[str, ...]:
    return ("--domain", domain, "--nameserver", nameserver.address, "--timeout", "4")


def hostile_config(directory: Path, port: int) -> Path:
    tables = f"""
[[smarthost]]
name = "isp"
host = "127.0.0.1"
port = {port}
tls = "none"
auth = "none"
allowed_senders = ["*@hostile.example"]
"""
    return RelayFile(directory, tables).write_config()


def test_a_domain_alone(nameserver: NameServer) -> None:
    found = examiner.document(*domain_options(nameserver), "--via", "ziggo", code=1)
    assert [each["command"] for each in found["parts"]] == ["spf", "dmarc", "dkim"]
    assert all(each.keys() >= ENVELOPE for each in found["parts"])
    spf = found["parts"][0]
    assert [each["source"] for each in spf["coverage"]] == ["ordernow", "ziggo"]
    assert found["history"] is None
    joined = {each["id"] for part in found["parts"] for each in part["findings"]}
    assert joined == set(findings(found))
    assert found["verdict"] == "fail"
    assert found["verdict_text"].startswith("Something is wrong: ")


def test_options_reach_the_parts(nameserver: NameServer) -> None:
    found = examiner.document(*domain_options(nameserver), "--no-ordernow", code=1)
    assert [each["command"] for each in found["parts"]][-1] == "presets discover"
    assert found["parts"][0]["coverage"] == []


def test_a_silent_name_server_is_unknown(nameserver: NameServer) -> None:
    with NameServer(ZONE, {"*": Fault("silent")}) as silent:
        options = domain_options(silent)[:-1]
        found = examiner.document(*options, "0.3", "--via", "ziggo", code=3)
    assert {each["verdict"] for each in found["parts"]} == {"unknown"}
    assert found["verdict_text"].startswith("Nothing was found that is surely wrong, but")


@pytest.mark.parametrize("language", ["nl", "en"])
def test_a_hostile_server_and_zone_are_escaped(
    tmp_path: Path, nameserver: NameServer, language: str
) -> None:
    behaviour = Behaviour(script={"CONNECT": f"220 {HOSTILE}"})
    html, markdown = tmp_path / "report.html", tmp_path / "report.md"
    with Smarthost(behaviour) as fake:
        config = hostile_config(tmp_path, fake.port)
        options = ("--config", str(config), "--nameserver", nameserver.address, "--timeout", "4")
        files = ("--html", str(html), "--markdown", str(markdown), "--lang", language)
        result = examiner.run(*options, *files)
    assert result.exit_code == 1
    assert "\x1b" not in result.stdout
    text = html.read_text()
    page = Page(text)
    assert page.language == language
    assert "script" not in page.tags
    assert "<script src=//evil.example>" in page.text
    assert "@media print" in page.style
    assert "url(" not in page.style
    assert "@import" not in page.style
    assert "\x1b" not in text + markdown.read_text()
    assert_tables_are_whole(markdown.read_text())
    assert r"\<script src=//evil.example\>\|alert('1')\|" in markdown.read_text()


def assert_tables_are_whole(markdown: str) -> None:
    """Every row has as many cells as its heading."""
    width = 0
    rows = 0
    for line in markdown.splitlines():
        if not line.startswith("|"):
            width = 0
            continue
        bars = line.replace("\\\\", "").replace("\\|", "").count("|")
        width = width or bars
        rows += 1
        assert bars == width, line
    assert rows > 5


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a|b", r"a\|b"),
        ("a\\|b", r"a\\\|b"),
        ("<b>&amp;", r"\<b\>\&amp;"),
        ("# heading", r"\# heading"),
        ("- item", r"\- item"),
        ("12. item", r"12\. item"),
        ("=====", r"\====="),
        ("*bold* _x_ `c` [l](u) ~s~", r"\*bold\* \_x\_ \`c\` \[l\](u) \~s\~"),
        ("two\nlines\r\n", "two lines"),
        ("diagnose spf x --via kpn", "diagnose spf x --via kpn"),
    ],
)
def test_nothing_is_markup_in_markdown(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_markdown_on_standard_output(nameserver: NameServer) -> None:
    result = examiner.run(*domain_options(nameserver), "--markdown", "-", "--lang", "nl")
    assert result.exit_code == 1
    assert result.stdout.startswith("# Mailrapport: mijnbakkerij.nl\n")
    assert "## Oordeel: fail" in result.stdout
    assert "Publiceer" in result.stdout
    order = [line[4:8] for line in result.stdout.splitlines() if line.startswith("- **")]
    assert order == sorted(order, key=("ok**", "info", "warn", "unkn", "erro").index)


@pytest.mark.parametrize(
    "options", [("--markdown", "--lang", "nl"), ("--lang", "nl", "--markdown")]
)
def test_markdown_needs_no_file(options: tuple[str, ...], nameserver: NameServer) -> None:
    result = CliRunner().invoke(cli.app, ["report", *domain_options(nameserver), *options])
    assert result.exit_code == 1
    assert result.stdout.startswith("# Mailrapport: mijnbakkerij.nl\n")


def test_a_file_may_be_written_over(tmp_path: Path, nameserver: NameServer) -> None:
    html = tmp_path / "report.html"
    html.write_text("old" * 100_000)
    assert examiner.run(*domain_options(nameserver), "--html", str(html)).exit_code == 1
    assert Page(html.read_text()).text


@pytest.mark.parametrize("option", ["--html", "--markdown"])
@pytest.mark.parametrize("place", ["", "missing/report"])
def test_what_cannot_be_written_is_told_before_anything_is_asked(
    tmp_path: Path, nameserver: NameServer, option: str, place: str
) -> None:
    before = len(nameserver.questions)
    file = str(tmp_path / place)
    result = examiner.run(*domain_options(nameserver), option, file, "--lang", "en", "--json")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"{file} cannot be written: ")
    assert len(nameserver.questions) == before


def test_a_disk_that_refuses_is_told(
    tmp_path: Path, nameserver: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", refuse)
    file = str(tmp_path / "report.html")
    result = examiner.run(*domain_options(nameserver), "--html", file, "--json", "--lang", "en")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "No space left on device" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("--domain", "x.nl", "--config", "relay.toml"),
        ("--domain", "192.0.2.1"),
        ("--domain", "mijn bakkerij"),
        ("--domain", "mijnbakkerij.nl", "--via", "nobody-knows-this"),
        ("--domain", "mijnbakkerij.nl", "--json", "--markdown", "-"),
        ("--config", "/nowhere/relay.toml"),
        (),
    ],
)
def test_what_makes_no_sense_is_refused(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("HOME", "XDG_CONFIG_HOME", "CONFIGURATION_DIRECTORY"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.delenv("RELAY_CONFIG", raising=False)
    result = examiner.run(*arguments, "--lang", "en")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.strip()


def test_a_server_that_is_not_there(tmp_path: Path, nameserver: NameServer) -> None:
    config = hostile_config(tmp_path, free_port())
    options = ("--config", str(config), "--nameserver", nameserver.address, "--timeout", "2")
    found = examiner.document(*options, code=1)
    connect = next(each for each in found["parts"] if each["command"] == "connect")
    assert connect["attempts"][0]["outcome"] == "refused"


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_both_languages_say_the_same() -> None:
    def compare(place: str, entry: Any) -> None:
        if set(entry) >= {"nl", "en"}:
            nl, en = entry["nl"], entry["en"]
            assert isinstance(nl, list) == isinstance(en, list), place
            if isinstance(nl, list):
                assert len(nl) == len(en), place
                nl, en = "\n".join(nl), "\n".join(en)
            assert fields(nl) == fields(en), place
        else:
            assert not {"nl", "en"} & set(entry), place
            for key, value in entry.items():
                if key != "reference":
                    compare(f"{place}.{key}", value)

    for id_, entry in texts("report").items():
        compare(id_, entry)
