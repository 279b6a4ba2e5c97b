"""Completion of both programs, in the shells themselves."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from fakes.peers import needs, program

SCRIPTS = Path(sys.executable).parent


def in_shell(shell: str, home: Path, script: str) -> str:
    """What a shell prints; with a `true` behind the last command it does not replace itself."""
    done = subprocess.run(
        [shell, "-c", f"{script}\ntrue"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={
            "HOME": str(home),
            "PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}",
            "TERM": "dumb",
        },
    )
    return done.stdout


def filled(script: str, words: str) -> str:
    """The script about what somebody typed; a blank at its end begins a new word."""
    typed = words + ("''" if words.endswith(" ") else "")
    return script.replace("TYPED", typed).replace("NAME", words.split()[0])


CASES = [
    ("relay qu", {"queue"}, "serve"),
    ("relay queue re", {"retry", "release", "reroute"}, "list"),
    ("relay queue list --sta", {"--state"}, "--json"),
    ("relay import ", {"postfix", "emailrelay", "eml"}, "queue"),
    ("diagnose exp", {"explain"}, "spf"),
    ("diagnose presets sh", {"show"}, "list"),
]
WORDS = pytest.mark.parametrize(("words", "expected", "absent"), CASES)
ONE_OF_EACH = pytest.mark.parametrize(("words", "expected", "absent"), [CASES[1], CASES[-1]])


@WORDS
def test_bash_completes_once_it_is_installed(
    tmp_path: Path, words: str, expected: set[str], absent: str
) -> None:
    name = words.split()[0]
    in_shell("bash", tmp_path, f"{name} --install-completion")
    script = """. ~/.bashrc
COMP_WORDS=(TYPED)
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_NAME_completion NAME
printf '%s\\n' "${COMPREPLY[@]}"
"""
    out = in_shell("bash", tmp_path, filled(script, words))
    found = set(out.split())
    assert expected <= found
    assert absent not in found


@needs("fish")
@ONE_OF_EACH
def test_fish_completes(tmp_path: Path, words: str, expected: set[str], absent: str) -> None:
    name = words.split()[0]
    script = f"{name} --show-completion | source\ncomplete -C '{words}'"
    out = in_shell(program("fish"), tmp_path, script)
    found = {line.split("\t")[0] for line in out.splitlines()}
    assert expected <= found
    assert absent not in found


@needs("zsh")
@ONE_OF_EACH
def test_zsh_completes(tmp_path: Path, words: str, expected: set[str], absent: str) -> None:
    # What the completion system would call; _arguments shows what it is given.
    script = """autoload -Uz compinit && compinit -u -D
eval "$(NAME --show-completion)"
(( $+_comps[NAME] )) && print registered
words=(TYPED)
CURRENT=$#words
_arguments() { print -rl -- "$@" }
_NAME_completion
"""
    out = in_shell(program("zsh"), tmp_path, filled(script, words))
    assert "registered" in out
    assert all(each in out for each in expected)
    assert f'"{absent}"' not in out
