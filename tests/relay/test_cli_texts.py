"""What the commands say: both languages complete, help with an example, nothing heavy loaded."""

import re
import string
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from relay.cli import app as app_module
from relay.cli.texts import TEXTS

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {
    "aiosmtpd",
    "aiosmtplib",
    "asyncio",
    "checkdmarc",
    "pydantic",
    "rich",
    "sqlite3",
    "starlette",
    "tabulate",
    "uvicorn",
}


def blanks(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("key", TEXTS)
def test_both_languages_say_the_same(key: str) -> None:
    nl, en = TEXTS[key]
    assert nl
    assert en
    assert blanks(nl) == blanks(en)
    assert nl.count("|") == en.count("|"), "as many columns or steps"


def test_every_text_is_used_and_every_used_text_exists() -> None:
    source = "".join(path.read_text() for path in (ROOT / "relay" / "cli").glob("*.py"))
    named = set(re.findall(r'(?:text|stop|both)\(\s*"([a-z.-]+)"', source))
    named |= set(re.findall(r'text\("([a-z.-]+)", ', source))
    assert named <= TEXTS.keys()


def commands(
    command: typer.core.TyperCommand | typer.core.TyperGroup, *path: str
) -> Iterator[tuple[str, ...]]:
    yield path
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, *path, name)


ALL = list(commands(typer.main.get_command(app_module.app)))
GROUPS = {path[:-1] for path in ALL if path}


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_help_has_an_example(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app_module.app, [*path, "--help"])
    assert result.exit_code == 0
    assert f"Example: {' '.join(('relay', *path))}".strip() in re.sub(r"\s+", " ", result.stdout)


@pytest.mark.parametrize("path", [each for each in ALL if each not in GROUPS], ids=" ".join)
def test_every_command_takes_the_common_options(path: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app_module.app, [*path, "--help"]).stdout
    assert all(option in shown for option in ("--config", "--lang", "--json"))


def test_the_design_has_no_command_that_is_missing() -> None:
    assert {" ".join(path) for path in ALL} >= {
        "serve",
        "check",
        "why",
        "status",
        "reload",
        *(
            f"queue {verb}"
            for verb in [
                "list",
                "show",
                "retry",
                "hold",
                "release",
                "cure",
                "delete",
                "reroute",
                "export",
            ]
        ),
        *(f"client {verb}" for verb in ["list", "refused", "allow", "remove", "learn"]),
        *(f"sender {verb}" for verb in ["list", "remove"]),
        *(f"account {verb}" for verb in ["list", "login", "test", "pause", "resume"]),
        *(f"dkim {verb}" for verb in ["keygen", "record"]),
        "web password",
    }


@pytest.mark.parametrize("module", ["relay.cli.app", "diagnose.cli"])
def test_the_command_line_loads_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & HEAVY


def test_our_own_bug_is_exit_70_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(**_: object) -> None:
        raise KeyError("oeps\nnog een regel")

    monkeypatch.setattr(app_module, "app", broken)
    monkeypatch.setattr(sys, "argv", ["relay", "status", "--lang", "nl"])
    with pytest.raises(SystemExit) as ended:
        app_module.main()
    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (70, "")
    assert err.startswith("dit is een fout in relay zelf")
    assert "KeyError" in err
    assert err.count("\n") == 1
