"""Every text for people is there in Dutch and in English, with the same blanks in it.

Looked at are all catalogues, wherever they stand: the TOML files of the three packages, the page's
JSON, tables of texts in modules, and the pairs of texts that calls and functions hold.
"""

import ast
import json
import re
import string
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("presets", "relay", "diagnose")
MODULES = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
TOML = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.toml"))
PAGE = ROOT / "relay" / "web" / "static"

# Calls whose last two arguments are the Dutch and the English text.
PAIRS = {"error", "warning", "unusable", "Declined", "BadValueError", "SecretError", "VaultError"}

Pair = tuple[str, Any, Any]


def blanks(text: Any) -> list[str]:
    """The names of the blanks in a text or a list of texts."""
    joined = " ".join(text) if isinstance(text, list) else str(text)
    return sorted({name for _, name, _, _ in string.Formatter().parse(joined) if name is not None})


def check(found: list[Pair], *, templates: bool = True) -> None:
    for where, nl, en in found:
        assert isinstance(nl, str | list), f"{where}: no Dutch"
        assert isinstance(en, type(nl)), f"{where}: no English like the Dutch"
        assert bool(nl) == bool(en), f"{where}: one is empty"
        if templates:
            assert blanks(nl) == blanks(en), where
        text = " ".join(nl) if isinstance(nl, list) else nl
        words = re.findall(r"[a-z]{3,}", re.sub(r"\{[^}]*\}|`[^`]*`|https?:\S+", "", text))
        assert nl != en or len(words) < 4, f"{where}: not translated"


# --- TOML ---


def toml_pairs(value: Any, where: str) -> Iterator[Pair]:
    if isinstance(value, dict):
        if {"nl", "en"} & value.keys() and not isinstance(value.get("nl"), dict):
            yield where, value.get("nl"), value.get("en")
        elif isinstance(value.get("nl"), dict) or isinstance(value.get("en"), dict):
            nl, en = value.get("nl", {}), value.get("en", {})
            assert nl.keys() == en.keys(), where
            for key in nl:
                yield f"{where}.{key}", nl[key], en[key]
        for key, inner in value.items():
            if key not in ("nl", "en"):
                yield from toml_pairs(inner, f"{where}.{key}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from toml_pairs(inner, f"{where}[{number}]")


@pytest.mark.parametrize("path", TOML, ids=lambda path: str(path.relative_to(ROOT)))
def test_toml_files(path: Path) -> None:
    found = list(toml_pairs(tomllib.loads(path.read_text(encoding="utf-8")), path.name))
    facts = "presets" in path.relative_to(ROOT).parts[:1]  # braces there are no blanks
    check(found, templates=not facts)


def test_there_are_texts_in_those_files() -> None:
    count = sum(
        len(list(toml_pairs(tomllib.loads(path.read_text(encoding="utf-8")), ""))) for path in TOML
    )
    assert count > 1000


# --- The page ---


def page_texts(language: str) -> dict[str, str]:
    found: dict[str, str] = json.loads(
        (PAGE / f"texts.{language}.json").read_text(encoding="utf-8"),
        object_pairs_hook=_without_doubles,
    )
    return found


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    assert len(found) == len(pairs), "a key stands there twice"
    return found


def test_the_page() -> None:
    nl, en = page_texts("nl"), page_texts("en")
    assert nl.keys() == en.keys()
    check([(key, nl[key], en[key]) for key in nl])


# --- Modules ---


def text_of(node: ast.expr) -> str | None:
    """A text as it is written, what an f-string fills in as a blank; None for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value.replace("{", "{{").replace("}", "}}")
    if isinstance(node, ast.JoinedStr):
        parts = (
            each.value.replace("{", "{{").replace("}", "}}")
            if isinstance(each, ast.Constant)
            else "{" + _name(each.value) + "}"  # type: ignore[attr-defined]
            for each in node.values
        )
        return "".join(parts)
    return None


def _name(filled_in: ast.expr) -> str:
    """What stands in for it is the same where only the language differs: reason.nl, reason.en."""
    text = re.sub(r"'[^']*'|\b(nl|en)\b|\d+", "", ast.unparse(filled_in))
    return re.sub(r"\W", "_", text)


def raw(text: str) -> str:
    """A text that is a template itself, not one that was filled in on the spot."""
    return text.replace("{{", "{").replace("}}", "}")


def module_pairs(tree: ast.Module, where: str) -> Iterator[Pair]:
    for node in ast.walk(tree):
        line = f"{where}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Call):
            yield from _call_pairs(node, line)
        elif isinstance(node, ast.AnnAssign) and "tuple[str, str]" in ast.unparse(node.annotation):
            yield from _table_pairs(node.value, line)


def _call_pairs(node: ast.Call, line: str) -> Iterator[Pair]:
    named = {each.arg: text_of(each.value) for each in node.keywords if each.arg in ("nl", "en")}
    if named:
        assert named.keys() == {"nl", "en"}, f"{line}: one language only"
        if None not in named.values():
            yield line, named["nl"], named["en"]
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    if name in PAIRS and len(node.args) >= 2 and not line.startswith("presets"):
        nl, en = map(text_of, node.args[-2:])
        if nl is not None and en is not None:
            yield line, nl, en


def _table_pairs(value: ast.expr | None, line: str) -> Iterator[Pair]:
    tables = [node for node in ast.walk(value or ast.Tuple([])) if isinstance(node, ast.Dict)]
    for node in (each for table in tables for each in table.values):
        if isinstance(node, ast.Tuple) and len(node.elts) == 2:
            nl, en = map(text_of, node.elts)
            if nl is not None and en is not None:
                yield f"{line} {nl[:30]}", raw(nl), raw(en)


def pairs_of(path: Path) -> list[Pair]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return list(module_pairs(tree, str(path.relative_to(ROOT))))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules(path: Path) -> None:
    check(pairs_of(path))


def test_there_are_texts_in_those_modules() -> None:
    assert sum(len(pairs_of(path)) for path in MODULES) > 500


@pytest.mark.parametrize(
    ("nl", "en"),
    [
        ("de spool {path} is vol", "the spool {file} is full"),
        ("de spool is vol", ""),
        (["een stap"], "one step"),
        ("maak eerst wat ruimte vrij", None),
        ("make some room on the disk", "make some room on the disk"),
    ],
)
def test_what_is_not_complete_is_found(nl: Any, en: Any) -> None:
    with pytest.raises(AssertionError):
        check([("here", nl, en)])
