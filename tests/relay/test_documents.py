"""The documents say what the programs have: every key, every command."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from relay.config.schema import ARRAYS, TABLES, OAuth2Table, TopTable

ROOT = Path(__file__).parents[2]
MANUAL = (ROOT / "relay" / "README.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def sections(text: str) -> dict[str, str]:
    """The parts of the manual's chapter of keys, by the table that each is about."""
    chapter = text.partition("## Keys")[2].partition("\n## ")[0]
    parts = re.split(r"^(?=Top level|`\[+\w+\]+`)", chapter, flags=re.MULTILINE)
    return {
        re.sub(r"\W", "", part.split("\n")[0].split(" ")[0].split(",")[0]): part for part in parts
    }


@pytest.mark.parametrize(
    ("name", "table"),
    [("Top", TopTable), ("smarthost", OAuth2Table), *TABLES.items(), *ARRAYS.items()],
)
def test_every_key_stands_in_the_manual(name: str, table: type[BaseModel]) -> None:
    part = next(part for title, part in sections(MANUAL).items() if title.startswith(name))
    missing = [key for key in table.model_fields if f"`{key}`" not in part]
    assert missing == []


def test_the_manual_names_no_key_that_is_not_there() -> None:
    known = {key for table in [*TABLES.values(), *ARRAYS.values()] for key in table.model_fields}
    known |= set(TopTable.model_fields) | set(OAuth2Table.model_fields) | {"sender = { .. }"}
    named = re.findall(
        r"^\| ((?:`[^`|]+`(?:, )?)+) \|", MANUAL.partition("## Keys")[2], re.MULTILINE
    )
    keys = {key for cell in named for key in re.findall(r"`([^`]+)`", cell)}
    assert keys - known == set()


def test_the_readme_has_its_two_commands_on_one_line_each() -> None:
    commands = [line for line in README.splitlines() if "python3 -m venv .venv" in line]
    assert [command.rsplit(" && ", 1)[1] for command in commands] == [
        ".venv/bin/relay serve",
        ".venv/bin/python -m pytest -n 2 --dist loadfile",
    ]
