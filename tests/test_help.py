"""`--help` of every command of both programs: it begins with an example that can be copied."""

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import diagnose.cli
import relay.cli.app

PROGRAMS = {"relay": relay.cli.app.app, "diagnose": diagnose.cli.app}


def commands(command: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, *path, name)


ALL = [
    (program, path, command)
    for program, app in PROGRAMS.items()
    for path, command in commands(typer.main.get_command(app))
]
IDS = [" ".join((program, *path)) for program, path, _ in ALL]


def help_of(program: str, *path: str) -> str:
    result = CliRunner().invoke(PROGRAMS[program], [*path, "--help"], prog_name=program)
    assert result.exit_code == 0
    return result.stdout


@pytest.mark.parametrize(("program", "path", "command"), ALL, ids=IDS)
def test_it_begins_with_an_example(program: str, path: tuple[str, ...], command: Any) -> None:
    usage, example, *rest = help_of(program, *path).split("\n\n")
    assert usage.strip().startswith("Usage: ")
    words = " ".join((program, *path))
    assert " ".join(example.split()).startswith(f"Example: {words}")
    assert "Example:" not in "".join(rest).partition("Options:")[0] or rest[0].strip().startswith(
        "Example:"
    )


@pytest.mark.parametrize(("program", "path", "command"), ALL, ids=IDS)
def test_the_example_is_one_that_the_command_takes(
    program: str, path: tuple[str, ...], command: Any
) -> None:
    # An option that was renamed would stand there for ever.
    examples = re.findall(r"Example: (.*?)(?=\n\n|\Z)", command.help or "", re.DOTALL)
    for example in examples:
        words = shlex.split(" ".join(example.split()).partition(" | ")[0])
        assert words[0] == program
        inner = typer.main.get_command(PROGRAMS[program])
        rest = words[1:]
        while rest and rest[0] in getattr(inner, "commands", {}):
            inner = inner.commands[rest.pop(0)]
        known = {name for param in inner.params for name in (*param.opts, *param.secondary_opts)}
        named = {word.partition("=")[0] for word in rest if re.match(r"--?[a-z]", word)}
        assert named <= known | {"--help"}


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_list_of_commands_says_what_each_is_for(program: str) -> None:
    for path, command in commands(typer.main.get_command(PROGRAMS[program])):
        if path:
            assert not command.get_short_help_str(200).startswith("Example")
        if hasattr(command, "commands"):
            assert "Example:" not in help_of(program, *path).partition("Commands:")[2]
