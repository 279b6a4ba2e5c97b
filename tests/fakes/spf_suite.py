"""The RFC 7208 conformance suite, read from where its owner keeps it.

`SPF_SUITE` names the directory, or it lies at `../shared/spf/` from the project's root. The file
is YAML of one even shape (two spaces a level, a value a line), and no more than that is read.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fakes.spf_zone import Value

FILE = "rfc7208-tests.yml"

_ENTRY = re.compile(r"- *(\w+)(?:: *(.*))?")


@dataclass(frozen=True, slots=True)
class Case:
    """One test: `results` are those accepted, `explanation` None where none is asked for."""

    scenario: str
    name: str
    host: str
    mailfrom: str
    helo: str
    results: tuple[str, ...]
    explanation: str | None
    zone: dict[str, list[tuple[str, Value]]]


def find() -> Path | None:
    """The suite's file, or None where this machine has none."""
    beside = Path(__file__).parents[3] / "shared" / "spf"
    file = Path(os.environ.get("SPF_SUITE") or beside) / FILE
    return file if file.is_file() else None


def cases(file: Path) -> Iterator[Case]:
    for document in file.read_text(encoding="utf-8").split("\n---\n")[1:]:
        yield from _scenario(document)


def _scenario(document: str) -> Iterator[Case]:
    tests: dict[str, dict[str, Value]] = {}
    zone: dict[str, list[tuple[str, Value]]] = {}
    section, key, title = "", "", ""
    for line in document.splitlines():
        indent, content = len(line) - len(line.lstrip()), line.strip()
        if not content:
            continue
        if indent == 0:
            section, _, rest = content.partition(":")
            title = rest.strip() if section == "description" else title
        elif indent == 2 and section in ("tests", "zonedata"):
            key = str(_scalar(content.removesuffix(":")))
            (tests if section == "tests" else zone)[key] = {} if section == "tests" else []
        elif indent == 4 and section == "tests":
            name, _, value = content.partition(": ")
            tests[key][name] = _scalar(value.strip())
        elif indent == 4 and section == "zonedata":
            found = _ENTRY.fullmatch(content)
            assert found is not None, line
            zone[key].append((found[1], _scalar(found[2] or "")))
    served = {name: _with_txt(entries) for name, entries in zone.items()}
    for name, test in tests.items():
        yield _case(title, name, test, served)


def _case(
    title: str, name: str, test: dict[str, Value], zone: dict[str, list[tuple[str, Value]]]
) -> Case:
    result, explanation = test["result"], test.get("explanation")
    return Case(
        title,
        name,
        host=str(test["host"]),
        mailfrom=str(test["mailfrom"]),
        helo=str(test["helo"]),
        results=(result,) if isinstance(result, str) else tuple(result),
        explanation=None if explanation is None else str(explanation),
        zone=zone,
    )


def _with_txt(entries: list[tuple[str, Value]]) -> list[tuple[str, Value]]:
    """SPF records count as TXT too, unless the name has TXT records of its own."""
    own = any(kind == "TXT" for kind, _ in entries)
    served = []
    for kind, value in entries:
        if kind == "SPF" and not own:
            served.append(("TXT", value))
        elif value != "NONE":
            served.append((kind, value))
    return served


def _scalar(text: str) -> Value:
    if text.startswith("["):
        return [str(_scalar(part.strip())) for part in _parts(text[1:-1])]
    if text.startswith('"'):
        return str(ast.literal_eval(text))
    if text.startswith("'"):
        return text[1:-1].replace("''", "'")
    return text


def _parts(text: str) -> list[str]:
    found: list[str] = re.findall(r"\"[^\"]*\"|'[^']*'|[^,\s][^,]*", text)
    return found
