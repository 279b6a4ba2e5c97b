"""Whatever stands in the file: a configuration or located faults, never another exception."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.config.fault import ConfigError, Fault
from relay.config.load import load
from relay.config.schema import ARRAYS, TABLES, OAuth2Table, SenderTable, TopTable

ENVIRON = {"PW": "geheim", "HOME": "/nonexistent"}
NAMES = sorted(
    {key for table in (*TABLES.values(), *ARRAYS.values()) for key in table.model_fields}
    | {*OAuth2Table.model_fields, *SenderTable.model_fields, "file", "env", "unknown"}
)

texts = st.sampled_from(
    [
        "ziggo",
        "upc",
        "zigo",
        "isp",
        "a@b.nl",
        "*@b.nl",
        "*",
        "none",
        "implicit",
        "password",
        "oauth2",
        "force",
        "127.0.0.1",
        "::1",
        "10.0.0.0/8",
        "0.0.0.0/0",
        "[::]:25",
        "127.0.0.1:0",
        "4h",
        "1.2",
        "code",
        "direct",
        "sqlite:///x",
    ]
) | st.text(st.characters(exclude_categories=["C"], exclude_characters="\u2028"), max_size=8)
scalars = texts | st.integers(-1, 70_000) | st.booleans() | st.floats(0, 1)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3)
    ),
    max_leaves=5,
)


def table(keys: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(keys), values, max_size=6)


def tables(name: str) -> st.SearchStrategy[Any]:
    if name in TABLES:
        return table(list(TABLES[name].model_fields))
    elements = table(list(ARRAYS[name].model_fields)) | values
    return st.lists(elements, min_size=1, max_size=3) | values


documents = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(TopTable.model_fields, values)
    | {name: tables(name) for name in (*TABLES, *ARRAYS)},
)


def written(value: Any) -> str:
    """A value as TOML, on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {written(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(written, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


@given(documents)
@settings(deadline=None, max_examples=200)
def test_a_file_gives_a_configuration_or_located_faults(
    tmp_path_factory: pytest.TempPathFactory, document: dict[str, Any]
) -> None:
    lines = [f"{key} = {written(value)}" for key, value in document.items()]
    file: Path = tmp_path_factory.getbasetemp() / "any.toml"
    file.write_text("\n".join(lines), encoding="utf-8", newline="\n")
    faults: tuple[Fault, ...] = ()
    try:
        faults = load(file, ENVIRON).warnings
    except ConfigError as error:
        faults = error.faults
    for fault in faults:
        section = fault.key.split(".")[0].split("[")[0]
        if fault.line is None:
            assert section not in document
        else:
            assert lines[fault.line - 1].startswith(f"{section} = ")
        assert fault.nl != fault.en
