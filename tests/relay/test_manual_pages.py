"""The manual pages: one for each command, clean troff, with all that --help says; in the wheel."""

import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer
from fakes.peers import needs, program

from relay.packaging.build_hook import INSTALLED_IN, PROGRAMS, manual

ROOT = Path(__file__).resolve().parents[2]
PAGES = manual({"SOURCE_DATE_EPOCH": "1763769600"})


def commands(command: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, *path, name)


ALL = [
    each
    for name, module in PROGRAMS.items()
    for each in commands(typer.main.get_command(import_module(module).app), name)
]


def plain(page: str) -> str:
    """What a reader sees of a page, in one line."""
    for escape, shown in (
        ("\\-", "-"),
        ("\\(dq", '"'),
        ("\\(ti", "~"),
        ("\\(ga", "`"),
        ("\\&", ""),
    ):
        page = page.replace(escape, shown)
    page = re.sub(r"\\\[u([0-9A-F]{4})\]", lambda found: chr(int(found[1], 16)), page)
    return " ".join(
        re.sub(r"\\f[BIR]", "", page).replace("\\(ha", "^").replace("\\e", "\\").split()
    )


@pytest.mark.parametrize(("path", "command"), ALL, ids=[" ".join(path) for path, _ in ALL])
def test_every_command_has_its_text_options_and_example_in_a_page(
    path: tuple[str, ...], command: Any
) -> None:
    page = plain(PAGES[f"{'-'.join(path[:2])}.1"])
    paragraphs = [" ".join(each.split()) for each in (command.help or "").split("\n\n")]
    for paragraph in paragraphs:
        example = paragraph.removeprefix("Example: ")
        if example != paragraph:
            assert example in page
        elif len(path) < 3 or not hasattr(command, "commands"):
            assert all(sentence.strip(" .") in page for sentence in paragraph.split(". "))
    assert any(each.startswith("Example: ") for each in paragraphs)
    for param in command.params:
        for name in (*param.opts, *param.secondary_opts):
            assert name in page or param.param_type_name != "option"


@needs("mandoc")
def test_the_pages_are_clean(tmp_path: Path) -> None:
    for name, text in PAGES.items():
        (tmp_path / name).write_text(text, encoding="ascii")
    done = subprocess.run(
        [program("mandoc"), "-T", "lint", "-W", "warning", *sorted(tmp_path.iterdir())],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, "")


@needs("mandoc")
def test_lines_that_begin_like_a_request_are_text(tmp_path: Path) -> None:
    app = typer.Typer(add_completion=False)

    @app.command(help=".TH is no request here, nor is \\fB this.\n\n'tis so.\n\nExample: .odd - x")
    def odd() -> None:
        pass

    from relay.packaging.manual import Edition, pages

    (page,) = pages(typer.main.get_command(app), "odd", Edition("1", "2026-11-22")).values()
    (tmp_path / "odd.1").write_text(page)
    shown = subprocess.run(
        [program("mandoc"), "-T", "utf8", tmp_path / "odd.1"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    for text in (".TH is no request here, nor is \\fB this.", "'tis so.", ".odd - x"):
        assert text in shown


def test_every_group_and_program_is_named_where_a_reader_looks_next() -> None:
    for page in PAGES.values():
        for named in re.findall(r"^\.BR (\S+) \(1\)", page, re.MULTILINE):
            assert plain(named) + ".1" in PAGES


def test_the_wheel_brings_them(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=120,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        inside = {name.partition(".data/data/")[2] for name in opened.namelist()}
    assert {f"{INSTALLED_IN}/{name}" for name in PAGES} <= inside
