"""The tables of the documents that are made from the code: keys, replies, causes, providers.

    .venv/bin/python tests/test_documents_tables.py      # writes them into the documents anew

Of a key's row the default and the values come from the schema, its meaning is written by hand; so is
the default where the schema has none, because it comes from a preset or from the machine.
"""

import re
import tomllib
from collections.abc import Callable
from datetime import timedelta
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from presets.catalog import catalog
from relay.config import schema, syntax
from relay.config.load import load
from relay.config.schema import ARRAYS, TABLES, OAuth2Table, TopTable
from relay.config.units import LONGEST, UNIT_SECONDS
from relay.intake.replies import REPLIES

ROOT = Path(__file__).resolve().parents[1]
MANUAL = ROOT / "relay" / "README.md"
PRESETS = ROOT / "presets" / "README.md"
MODELS: dict[str, type[BaseModel]] = {"": TopTable, "smarthost.oauth2": OAuth2Table}
MODELS |= {**TABLES, **ARRAYS}
_TOP_DAYS = f"{LONGEST.days}d"

SPANS = [
    (schema.Duration, "0s"),
    (schema.Span, "1s"),
    (schema.MonthOrMore, "31d"),
    (schema.DayOrMore, "1d"),
]
WORDS = [
    *((span, f'`"{least}"` to `"{_TOP_DAYS}"`') for span, least in SPANS),
    (schema.Domain, "domain name"),
    (schema.Host, "host name or address"),
    (schema.EhloName, "host name, or `[address]`"),
    (schema.Bind, "`host:port`"),
    (schema.Net, "network"),
    (schema.MailAddress, "mail address"),
    (schema.Pattern, "pattern: address, `*@domain`, `*`"),
    (schema.SpoolUrl, "`sqlite:///path`, `postgresql://user@host/name`"),
    (schema.FilePath, "file"),
    (schema.Name, "text of 1 to 64 characters"),
    (schema.Username, "text"),
    (schema.HttpsUrl, "`https://` address"),
    (schema.Day, "date: `2027-01-31`"),
    (schema.Webhook, "web address"),
    (schema.Secret, "secret"),
]


def bounds(hint: Any) -> tuple[int, int] | None:
    """The smallest and the largest number that the key takes, where it takes numbers."""
    if get_origin(hint) is not Annotated or get_args(hint)[0] is not int:
        return None
    metadata = [each for field in get_args(hint)[1:] for each in field.metadata]
    lowest = next(each.ge for each in metadata if hasattr(each, "ge"))
    return lowest, next(each.le for each in metadata if hasattr(each, "le"))


def written_hint(hint: Any) -> Any:
    """The hint of what may be written: without the None of a key that is not there."""
    if get_origin(hint) in (Union, UnionType) and NoneType in get_args(hint):
        (inner,) = (each for each in get_args(hint) if each is not NoneType)
        return inner
    return hint


def values(hint: Any) -> str:
    """What a key with this hint takes, in words, its smallest and largest value among them."""
    hint = written_hint(hint)
    for known, words in WORDS:
        if hint == known:
            return words
    if limits := bounds(hint):
        return f"{limits[0]} to {limits[1]}"
    if get_origin(hint) is Annotated:
        inner = get_args(hint)[0]
        return "pattern, or a table" if get_origin(inner) in (Union, UnionType) else values(inner)
    if get_origin(hint) is list:
        return f"list: {'text' if get_args(hint)[0] is str else values(get_args(hint)[0])}"
    if get_origin(hint) is Literal:
        return ", ".join(f"`{each}`" for each in get_args(hint))
    if hint is bool:
        return "`true`, `false`"
    if issubclass(hint, Enum):
        return ", ".join(f"`{each.value}`" for each in hint)
    assert issubclass(hint, BaseModel), hint
    return "table"


def default(value: object) -> str | None:
    """The schema's default as it is written in the file; None where it has none."""
    if isinstance(value, timedelta):
        seconds = int(value.total_seconds())
        unit = next(each for each in "dhms" if not seconds % UNIT_SECONDS[each])
        return f'`"{seconds // UNIT_SECONDS[unit]}{unit}"`'
    if isinstance(value, Enum):
        return f'`"{value.value}"`'
    if isinstance(value, syntax.HostPort):
        return f'`"{value.host}:{value.port}"`'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'`"{value}"`'
    return {list: "`[]`", int: str(value)}.get(type(value))


def keys(title: str, rows: str) -> str:
    """The rows of a table of keys, with default and values as the schema has them."""
    model = MODELS[title]
    hints = get_type_hints(model, include_extras=True)
    lines = []
    for row in rows.splitlines():
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        names = re.findall(r"`(\w+)`", cells[0])
        if not names:  # `sender = { .. }` at a route: the same key once more
            lines.append(row)
            continue
        (taken,) = {values(hints[name]) + UNITS.get(name.rpartition("_")[2], "") for name in names}
        (known,) = {default(model.model_fields[name].default) for name in names}
        lines.append(f"| {cells[0]} | {known or cells[1]} | {taken} | {cells[-1]} |")
    return "\n".join(lines)


UNITS = {"bytes": " bytes"}
HEAD = "| key | default | values | meaning |\n|---|---|---|---|\n"


def with_keys(text: str) -> str:
    """The manual with its tables of keys made anew."""

    def table(found: re.Match[str]) -> str:
        title = (found["title"] or "").strip("[]")
        return found["before"] + HEAD + keys(title, found["rows"].rstrip("\n")) + "\n"

    pattern = (
        r"(?P<before>^(?:Top level|`(?P<title>\[+[\w.]+\]+)`)[^\n]*(?:\n[^|\n]+)*:\n\n)"
        r"\| key [^\n]*\n\|[-|]+\n(?P<rows>(?:\|[^\n]*\n)+)"
    )
    before, mark, chapter = text.partition("\n## Keys\n")
    chapter, end, after = chapter.partition("\n## ")
    return before + mark + re.sub(pattern, table, chapter, flags=re.MULTILINE) + end + after


def between(text: str, name: str, rows: list[str]) -> str:
    """The text with these lines between the marks of this name."""
    begin, end = f"<!-- made: {name} -->\n", f"<!-- end: {name} -->"
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    assert found, f"no mark {begin}"
    assert closed, f"no mark {end}"
    return before + begin + "\n" + "\n".join(rows) + "\n\n" + end + after


def reply_rows() -> list[str]:
    """Every reply of the listener, by code."""
    rows = ["| code | English | Dutch |", "|---|---|---|"]
    for each in sorted(REPLIES.values(), key=lambda each: (each.code, each.enhanced or "")):
        code = f"{each.code} {each.enhanced or ''}".strip()
        rows.append(f"| {code} | {cell(each.en)} | {cell(each.nl)} |")
    return rows


def cell(text: str) -> str:
    """Text that stands in a cell as it is: `{..}` and `<..>` kept from being read as anything."""
    return text.replace("<", "&lt;").replace("|", "\\|").replace("*", "\\*")


def cause_rows() -> list[str]:
    """Every cause that a reply can be explained by."""
    causes = tomllib.loads((ROOT / "presets" / "replies" / "causes.toml").read_text("utf-8"))
    rows = ["| cause | is about | the same message again | meaning |", "|---|---|---|---|"]
    for slug, each in sorted(causes.items(), key=lambda pair: (pair[1]["scope"], pair[0])):
        again = each.get("retry", "by the code")
        rows.append(f"| `{slug}` | {each['scope']} | {again} | {cell(each['meaning']['en'])} |")
    return rows


def preset_rows() -> list[str]:
    """Every provider with the server that is used, and what it says of senders."""
    rows = ["| id | provider | server | sender |", "|---|---|---|---|"]
    for each in catalog():
        ended = each.status.state if each.status.ended else "not known"
        hosts = (f"`{one.host}:{one.port}` {one.tls}" for one in each.endpoints if one.preferred)
        server = next(hosts, ended)
        rule = each.sender_rule.must_match_account if each.sender_rule else None
        rows.append(f"| `{each.id}` | {cell(each.name)} | {server} | {SENDERS[rule]} |")
    return rows


SENDERS = {
    True: "the account's own",
    False: "any",
    "rewritten": "is replaced by the account's",
    None: "not known",
}


def made_manual(text: str) -> str:
    """relay/README.md with its tables made anew."""
    return between(with_keys(text), "replies", reply_rows())


def made_presets(text: str) -> str:
    """presets/README.md with its tables made anew."""
    return between(between(text, "presets", preset_rows()), "causes", cause_rows())


MAKERS: dict[Path, Callable[[str], str]] = {MANUAL: made_manual, PRESETS: made_presets}


@pytest.mark.parametrize("path", [MANUAL, PRESETS], ids=["relay", "presets"])
def test_the_tables_are_those_of_the_code(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert MAKERS[path](text) == text, "run .venv/bin/python tests/test_documents_tables.py"


def test_the_tables_of_keys_are_all_found() -> None:
    text = MANUAL.read_text(encoding="utf-8")
    assert text.count(HEAD) == len(MODELS)


def allowed(hint: Any, value: object) -> bool:
    """Whether the schema takes this value."""
    try:
        TypeAdapter(written_hint(hint)).validate_python(value)
    except (ValidationError, ValueError):
        return False
    return True


def edges() -> list[tuple[str, Any, list[object], list[object]]]:
    """Each key with a range: its hint, the values at its two ends, and those just beyond."""
    found: list[tuple[str, Any, list[object], list[object]]] = []
    for title, model in MODELS.items():
        for name, hint in get_type_hints(model, include_extras=True).items():
            plain = written_hint(hint)
            if limits := bounds(plain):
                found.append((f"{title}.{name}", plain, [*limits], [limits[0] - 1, limits[1] + 1]))
            for span, least in SPANS:
                if plain == span:
                    below = f"{int(least[:-1]) - 1}{least[-1]}"
                    over = [*([] if least == "0s" else [below]), f"{LONGEST.days + 1}d"]
                    found.append((f"{title}.{name}", plain, [least, _TOP_DAYS], over))
    return found


@pytest.mark.parametrize(
    ("key", "hint", "within", "beyond"), edges(), ids=[key for key, *_ in edges()]
)
def test_the_smallest_and_largest_values_are_those(
    key: str, hint: Any, within: list[object], beyond: list[object]
) -> None:
    assert [value for value in within if not allowed(hint, value)] == [], key
    assert [value for value in beyond if allowed(hint, value)] == [], key


def hand_written(table: str, key: str) -> str:
    """The default that the manual gives a key by hand."""
    chapter = MANUAL.read_text(encoding="utf-8").partition("\n## Keys\n")[2]
    part = chapter.partition(f"`[[{table}]]`")[2]
    found = re.search(rf"^\| `{key}` \|([^|]+)\|", part, re.MULTILINE)
    assert found is not None, key
    return found[1]


@pytest.mark.parametrize("key", ["port", "tls", "max_connections", "max_recipients"])
def test_the_defaults_that_a_preset_may_change_are_those(key: str, tmp_path: Path) -> None:
    file = tmp_path / "relay.toml"
    file.write_text(
        f'[spool]\nurl = "sqlite://{tmp_path}/s.db"\n'
        '[[smarthost]]\nname = "isp"\nhost = "mail.example.net"\n'
    )
    used = getattr(load(file, {"HOME": str(tmp_path)}).smarthosts[0], key)
    said = hand_written("smarthost", key)
    assert str(getattr(used, "value", used)) in re.findall(r"\w+", said), said


if __name__ == "__main__":
    for path, make in MAKERS.items():
        path.write_text(make(path.read_text(encoding="utf-8")), encoding="utf-8")
