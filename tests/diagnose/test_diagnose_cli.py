"""The command `diagnose`: explain and presets, their documents and exit codes."""

import json
import string
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from diagnose import cli
from diagnose.render import TEXTS
from presets.catalog import catalog

ENVELOPE = {"schema", "command", "target", "verdict", "findings", "seconds"}
FINDING = {"id", "severity", "title", "detail", "remedy", "evidence", "reference"}


def run(*arguments: str, stdin: str | bytes | None = None) -> Any:
    return CliRunner().invoke(cli.app, arguments, input=stdin)


def document(*arguments: str, code: int = 0, stdin: str | bytes | None = None) -> dict[str, Any]:
    result = run(*arguments, "--json", stdin=stdin)
    assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
    found: dict[str, Any] = json.loads(result.stdout)
    assert found.keys() >= ENVELOPE
    assert found["schema"] == "diagnose/1"
    assert all(set(finding) == FINDING for finding in found["findings"])
    return found


def test_explain_a_known_refusal() -> None:
    found = document(
        "explain", "535 5.7.8 Authentication failed", "--provider", "ziggo", "--phase", "auth"
    )
    assert (found["scope"], found["provider"], found["verdict"]) == ("account", "ziggo", "pass")
    assert found["steps"]
    assert {"cause", "retry", "meaning"} <= found.keys()


@pytest.mark.parametrize("text", ["599 wobble", "wobble", "\x1b[31m", "5"])
def test_explain_knows_when_it_only_knows_the_code(text: str) -> None:
    found = document("explain", text, code=3)
    assert found["verdict"] == "unknown"
    assert "\x1b" not in run("explain", text).stdout


def test_explain_takes_words_or_stdin() -> None:
    text = "550 5.1.1 User unknown"
    words = document("explain", *text.split())
    piped = document("explain", "-", stdin=text.encode() + b" \xff\r\n")
    assert words["cause"] == piped["cause"]
    assert words["target"] == text


def test_explain_in_dutch() -> None:
    result = run("explain", "535 5.7.8 Authentication failed", "--lang", "nl")
    assert "oorzaak" in result.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("explain",),
        ("explain", " "),
        ("explain", "-"),
        ("explain", "550 x", "--provider", "zigo"),
        ("explain", "550 x", "--phase", "later"),
        ("presets", "show", "zigo"),
        ("presets", "show"),
    ],
)
def test_wrong_usage_is_exit_2_and_no_document(arguments: tuple[str, ...]) -> None:
    result = run(*arguments, "--json", stdin="")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr
    if "zigo" in arguments:
        assert "ziggo" in result.stderr


def test_a_provider_may_have_any_of_its_names() -> None:
    found = document("explain", "535 5.7.8 Authentication failed", "--provider", "smtp.ziggo.nl")
    assert found["provider"] == "ziggo"


def test_presets_list_has_all() -> None:
    listed = document("presets", "list")["presets"]
    assert [entry["id"] for entry in listed] == list(catalog().ids)
    assert f"{len(listed)} presets" in run("presets", "list").stdout


def test_presets_show_is_the_whole_preset() -> None:
    found = document("presets", "show", "gmail")
    whole = catalog().as_json(catalog().get("gmail"))
    assert {key: found[key] for key in whole} == json.loads(json.dumps(whole))


def test_every_preset_can_be_shown() -> None:
    for id_ in catalog().ids:
        for language in ("nl", "en"):
            result = run("presets", "show", id_, "--lang", language)
            assert result.exit_code == 0, id_
            assert f"({id_}, " in result.stdout


@pytest.mark.parametrize("name", ["upc", "smtp.live.com", "mail.kpnmail.nl"])
def test_a_name_of_the_past_warns_and_names_its_successor(name: str) -> None:
    found = document("presets", "show", name)
    assert found["verdict"] == "warn"
    assert found["use"] in catalog().ids
    document("presets", "show", name, "--strict", code=1)
    assert "! " in run("presets", "show", name).stdout


def test_what_is_not_confirmed_says_so() -> None:
    assert "(not confirmed)" in run("presets", "show", "ziggo", "--lang", "en").stdout


def test_presets_show_says_so_where_no_sending_address_is_known() -> None:
    shown = run("presets", "show", "ziggo", "--lang", "en").stdout.splitlines()
    spf = [line.partition(":")[2].strip() for line in shown if line.startswith("SPF:")]
    assert spf == ["not known which addresses send"]


def test_version() -> None:
    result = run("--version")
    assert (result.exit_code, result.stdout.split()[0]) == (0, "diagnose")


@pytest.mark.parametrize(
    "path", [(), ("explain",), ("presets",), ("presets", "list"), ("presets", "show")]
)
def test_every_help_has_an_example(path: tuple[str, ...]) -> None:
    assert f"Example: {' '.join(('diagnose', *path))}" in run(*path, "--help").stdout


@pytest.mark.parametrize("key", TEXTS)
def test_both_languages_say_the_same(key: str) -> None:
    nl, en = TEXTS[key]
    names = [{name for _, name, _, _ in string.Formatter().parse(each)} for each in (nl, en)]
    assert names[0] == names[1]
    assert nl.count("|") == en.count("|")


def test_our_own_bug_is_exit_70(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(**_: object) -> None:
        raise RuntimeError("oeps")

    monkeypatch.setattr(cli, "app", broken)
    monkeypatch.setattr(sys, "argv", ["diagnose"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 70
    assert "RuntimeError: oeps" in capsys.readouterr().err


def test_every_command_stands_in_the_manual_and_has_an_example() -> None:
    manual = (Path(__file__).parents[2] / "diagnose" / "README.md").read_text(encoding="utf-8")
    commands = [command.callback for command in cli.app.registered_commands]
    assert len(commands) > 8
    for command in commands:
        assert command is not None
        assert f"`{command.__name__} " in manual or f"`{command.__name__}`" in manual
        assert "Example: diagnose" in (command.__doc__ or ""), command.__name__
