"""What stands in the documents as a block of code: run here, or marked with the reason why not.

A block tagged `console` is run, in the order of its document, in an office of the tests: the relay
serves the README's own `relay.toml`, before a provider and a name server on loopback. Each line
with `$ ` must end with 0, or as a remark in it says ("exit 1"); the lines that follow are what it
prints, where `...` stands for anything, and ids, times and the width of columns may differ.

    <!-- run: sandbox -->                   a console block for a relay without a configuration
    <!-- not run: needs the internet -->    the block that follows is only read

Blocks of `toml` are lines of relay.toml: the schema must take them.
"""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytest
from browser import sandbox_serve
from fakes import peers
from fakes.certificates import Authority
from fakes.nameserver import NameServer
from fakes.ports import free_port
from fakes.providers import PASSWORD, USERNAME, Provider
from fakes.relay_process import RelayProcess

from relay.config.schema import ARRAYS, TABLES, TopTable

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [
    "README.md",
    "CHANGELOG.md",
    "relay/README.md",
    "relay/HANDLEIDING.md",
    "presets/README.md",
    "diagnose/README.md",
]
BLOCK = re.compile(
    r"^(?P<indent> *)```(?P<tag>[^\n]*)\n(?P<body>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL
)
MARK = re.compile(r"<!-- (?P<kind>run|not run): (?P<why>[^>]+) -->\n\s*\Z")
ID = r"[0-9A-HJKMNP-TV-Z]{13}"
TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
COMMAND_SECONDS = 60
ZONE = """
mijnbakkerij.nl. 300 IN MX 10 mail.mijnbakkerij.nl.
mijnbakkerij.nl. 300 IN TXT "v=spf1 include:spf.protection.outlook.com -all"
_dmarc.mijnbakkerij.nl. 300 IN TXT "v=DMARC1; p=none"
spf.protection.outlook.com. 300 IN TXT "v=spf1 ip4:40.92.0.0/15 ip4:40.107.0.0/16 -all"
"""


@dataclass(frozen=True)
class Block:
    """A block of code: where it stands, its tag, and the mark before it."""

    document: str
    line: int
    tag: str
    body: str
    mark: str | None
    why: str

    @property
    def where(self) -> str:
        return f"{self.document}:{self.line}"


def blocks(document: str) -> Iterator[Block]:
    """The blocks of a document, in order."""
    text = (ROOT / document).read_text(encoding="utf-8")
    for found in BLOCK.finditer(text):
        before = text[: found.start()]
        mark = MARK.search(before)
        kind, why = (mark["kind"], mark["why"]) if mark else (None, "")
        tag = found["tag"].strip()
        yield Block(document, before.count("\n") + 1, tag, found["body"], kind, why)


ALL = [block for document in DOCUMENTS for block in blocks(document)]
RUN = [block for block in ALL if block.tag == "console"]


class DocumentedOffice(RelayProcess):
    """The office of the README: its `relay.toml`, with what a test must change of it."""

    def __init__(self, directory: Path, provider_port: int, ca_file: Path, nameserver: str) -> None:
        super().__init__(directory)
        self.language = "en"
        self._provider = (
            f'host = "127.0.0.1"\nport = {provider_port}\ntls = "starttls"\nca_file = "{ca_file}"\n'
        )
        self._nameserver = nameserver
        self._set_up = (
            f"--provider ziggo --host 127.0.0.1 --port {provider_port} --tls starttls"
            f" --ca-file {ca_file} --nameserver {nameserver} --config {directory}/new/relay.toml"
            f" --spool sqlite://{directory}/new.db --listen 127.0.0.1:{free_port()} --web off"
        )
        self.secret("isp", PASSWORD)
        self.secret("ziggo", PASSWORD).rename(directory / "ziggo.txt")
        self.canaries.clear()  # the commands of the documents may name the file, not the password

    def write_config(self) -> Path:
        text = next(block.body for block in ALL if "[[listener]]" in block.body)
        for found, put in self.changes():
            assert found in text, found
            text = text.replace(found, put)
        reserve = f'[spool]\nurl = "sqlite://{self.spool}"\nreserve_bytes = 1000000\n'
        self.config.write_text(f'{text}\n{reserve}[web]\naddress = "127.0.0.1:{self.web_port}"\n')
        return self.config

    def changes(self) -> list[tuple[str, str]]:
        return [
            ('language = "nl"', f'language = "{self.language}"'),
            ("192.168.1.10:2525", f"127.0.0.1:{self.port}"),
            ('networks = ["192.168.1.20"]', 'networks = ["192.168.1.20", "127.0.0.1"]'),
            ('preset = "ziggo"', f'preset = "ziggo"\n{self._provider}#'),
            ('username = "mijnbakkerij@ziggo.nl"', f'username = "{USERNAME}"'),
            ("/etc/relay", str(self.directory)),
        ]

    def desk(self) -> dict[str, str]:
        """The environment in which the documents' commands run."""
        programs = self.directory / "bin"
        programs.mkdir(exist_ok=True)
        more = {"relay": 'if [ "$1" = setup ]; then set -- "$@" ' + self._set_up + "; fi"}
        more["diagnose"] = f'set -- "$@" --nameserver {self._nameserver}'
        for name, options in more.items():
            script = programs / name
            script.write_text(f'#!/bin/sh\n{options}\nexec {sys.executable} -m {name} "$@"\n')
            script.chmod(0o755)
        kept = {**os.environ, **self._environment(), "RELAY_CONFIG": str(self.config)}
        del kept["PYTHONDONTWRITEBYTECODE"]  # forty programs are started here
        path = f"{programs}{os.pathsep}{os.environ['PATH']}"
        return {**kept, "PATH": path, "PYTHONPATH": str(ROOT), "COLUMNS": "300"}


class DocumentedSandbox(DocumentedOffice):
    """A relay without a configuration, on a port of the test's."""

    def write_config(self) -> Path:
        return self.config

    def program(self, command: str) -> tuple[str, ...]:
        return str(sandbox_serve.__file__), str(self.port), str(self.web_port)

    def desk(self) -> dict[str, str]:
        desk = super().desk()
        del desk["RELAY_CONFIG"]
        script = self.directory / "bin" / "relay"
        serve = shlex.join([sys.executable, *self.program("queue")])
        script.write_text(f'#!/bin/sh\nexec {serve} "$@"\n')
        return desk


class Reader:
    """Types what a document says, and compares what comes with what it shows."""

    def __init__(self, office: DocumentedOffice) -> None:
        self._office = office
        self._env = office.desk()
        self._ids: dict[str, str] = {}
        self.commands = 0

    def follow(self, block: Block) -> None:
        for part in re.split(r"^\$ ", block.body, flags=re.MULTILINE)[1:]:
            command, _, shown = part.partition("\n")
            self._type(block, command, shown)

    def _type(self, block: Block, command: str, shown: str) -> None:
        self.commands += 1
        if command.split(" # ")[0].strip() == "relay serve":
            assert self._office.listens(), block.where
            return
        done = subprocess.run(
            ["bash", "-c", self._here(command)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            cwd=self._office.directory,
            env=self._env,
        )
        said = f"{block.where}: {command}\n{done.stdout}\n{done.stderr}"
        wanted = re.search(r"\bexit (\d+)", command.partition(" # ")[2])
        assert done.returncode == int(wanted[1] if wanted else 0), said
        if not shown:
            return
        found = re.fullmatch(pattern(shown), done.stdout.rstrip() + "\n")
        assert found is not None, f"{said}\nThe document shows:\n{shown}"
        self._ids |= dict(zip(re.findall(ID, shown), found.groups(), strict=True))

    def _here(self, command: str) -> str:
        """The command with the addresses, files and ids that it has here."""
        office = self._office
        here = {
            ".venv/bin/": "",
            "127.0.0.1:2525": f"127.0.0.1:{office.port}",
            "127.0.0.1:8025": f"127.0.0.1:{office.web_port}",
            "/etc/relay": str(office.directory),
            "bakker@ziggo.nl": USERNAME,
            "/var/backups": str(office.directory),
            **self._ids,
        }
        for written, real in here.items():
            command = command.replace(written, real)
        return command


VARYING = {r"\.\.\.": r"[^\n]*", TIME: TIME, rf"\b{ID}\b": f"({ID})", "-{3,}": "-+", " +": " +"}
"""What may differ in shown output, and what may stand there instead."""


def pattern(shown: str) -> str:
    """A regular expression for output that a document shows; a group for each id."""
    lines = ""
    for line in shown.rstrip().splitlines():
        if line.strip() == "...":
            lines += r"(?:[^\n]*\n)*?"
            continue
        pieces = re.split(f"({'|'.join(VARYING)})", line.rstrip())
        lines += "".join(_piece(piece) for piece in pieces) + r" *\n"
    return lines


def _piece(shown: str) -> str:
    for varying, instead in VARYING.items():
        if re.fullmatch(varying, shown):
            return instead
    return re.escape(shown)


@pytest.fixture(scope="module")
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path, str]]:
    """A provider's port, its authority and the address of a name server."""
    authority = Authority(tmp_path_factory.mktemp("provider"))
    with (
        NameServer(ZONE) as names,
        Provider("ziggo", authority.issue().server_context()) as provider,
    ):
        yield provider.port, authority.ca_file, names.address


def office_of(block: Block) -> str:
    """Where a block is run: `office` or `sandbox`."""
    return block.why if block.mark == "run" else "office"


def follow(document: str, kind: str, office: DocumentedOffice) -> None:
    """Does all that the document says to do in this office."""
    office.language = "nl" if document.endswith("HANDLEIDING.md") else "en"
    chosen = [each for each in RUN if each.document == document and office_of(each) == kind]
    relays = any("$ relay " in block.body for block in chosen)
    reader = Reader(office)
    with office if kind == "sandbox" or relays else nullcontext():
        for block in chosen:
            reader.follow(block)
    commands = sum(1 + block.body.count("\n$ ") for block in chosen)
    print(f"{document}: {len(chosen)} blocks, {commands} commands in the {kind}")
    assert reader.commands == commands


@pytest.mark.parametrize("document", sorted({b.document for b in RUN if office_of(b) == "office"}))
def test_the_console_blocks_do_what_they_show(
    document: str, surroundings: tuple[int, Path, str], tmp_path: Path
) -> None:
    follow(document, "office", DocumentedOffice(tmp_path, *surroundings))


@peers.needs("curl")
@pytest.mark.skipif(Path("/etc/relay").exists(), reason="a configured machine has no sandbox")
@pytest.mark.parametrize("document", sorted({b.document for b in RUN if office_of(b) == "sandbox"}))
def test_the_console_blocks_of_the_sandbox_do_what_they_show(
    document: str, surroundings: tuple[int, Path, str], tmp_path: Path
) -> None:
    follow(document, "sandbox", DocumentedSandbox(tmp_path, *surroundings))


def test_every_block_is_run_or_says_why_not() -> None:
    bare = [block.where for block in ALL if block.tag != "console" and block.mark != "not run"]
    assert bare == [], "tag them console, or put <!-- not run: REASON --> before them"
    reasons = [block for block in ALL if block.mark == "not run"]
    print(f"documents: {len(RUN)} blocks run, {len(reasons)} with a reason")
    assert len(RUN) + len(reasons) == len(ALL)
    assert all(block.mark != "not run" for block in RUN)
    assert {office_of(block) for block in RUN} == {"office", "sandbox"}


def test_every_console_block_has_a_command() -> None:
    assert [block.where for block in RUN if not block.body.startswith("$ ")] == []


def test_the_lines_of_relay_toml_are_such_lines() -> None:
    models = {**TABLES, **ARRAYS}
    count = 0
    for block in ALL:
        if block.tag != "toml":
            continue
        found = tomllib.loads(block.body)
        top = {key: value for key, value in found.items() if key not in models}
        TopTable.model_validate(top)
        for name in found.keys() & models.keys():
            for table in found[name] if name in ARRAYS else [found[name]]:
                models[name].model_validate(table)
        count += 1
    assert count > 5


def anchors(document: Path) -> set[str]:
    """The headings of a document, as links name them."""
    text = BLOCK.sub("", document.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_leads_somewhere(document: str) -> None:
    text = BLOCK.sub("", (ROOT / document).read_text(encoding="utf-8"))
    lost = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if link.startswith(("http:", "https:")):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / document).parent / path if path else ROOT / document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            lost.append(link)
    assert lost == []
