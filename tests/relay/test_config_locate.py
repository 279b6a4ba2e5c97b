"""The line of each key, compared with what tomllib reads."""

import itertools
import re
import tomllib
from collections.abc import Iterator
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from relay.config.locate import Path, line_of, locate

# "@" stands for a number that occurs once, so that its line is known without a parser.
MARK = "@"

keys = st.sampled_from(
    ["a", "b", "c", "d-1", "5", '"a"', "'b c'", '"x.y"', '"é\\n\\"#"', "''", "'['"]
)
dotted = st.lists(keys, min_size=1, max_size=3).map(" . ".join)
strings = st.sampled_from(
    [
        '""',
        '"# no comment"',
        "']['",
        '"\\"]"',
        '"\\\\"',
        '"""\n= [\n"" # """',
        '"""\\\n  \\""" "" """',
        "'''\n[x]\n'' '''",
        '"""x"""""',
        "'''x'''''",
    ]
)
others = st.sampled_from(["true", "1979-05-27 07:32:00Z", "-inf", "1_000.5e-3", "0xff"])
fillers = st.sampled_from(["", " ", "\n", ' # ], } "\n', "\n\n\t"])


def arrays(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    items = st.lists(st.tuples(fillers, values, fillers), max_size=3).map(
        lambda parts: ",".join(before + value + after for before, value, after in parts)
    )
    return st.builds(
        lambda inner, comma, end: f"[{inner}{',' if comma and inner else ''}{end}]",
        items,
        st.booleans(),
        fillers,
    )


def inline_tables(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pairs = st.lists(st.builds("{} = {}".format, dotted, values), max_size=3)
    return pairs.map(lambda inner: "{ " + ", ".join(inner) + " }")


values = st.recursive(
    st.just(MARK) | strings | others,
    lambda inner: arrays(inner) | inline_tables(inner),
    max_leaves=8,
)
statements = st.one_of(
    st.builds("{} = {}".format, dotted, values),
    st.builds("  {}={}  # text".format, dotted, values),
    dotted.map("[ {} ]".format),
    dotted.map("[[{}]]".format),
    st.sampled_from(["", "# [not] = 1", "\t"]),
)
documents = st.lists(statements, max_size=12).map("\n".join)


def numbered(text: str) -> str:
    counter = itertools.count(9_000_000)
    return re.sub(MARK, lambda _: str(next(counter)), text)


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    yield path, value
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from leaves(inner, (*path, index))


@given(documents, st.sampled_from(["\n", "\r\n"]))
@settings(deadline=None, max_examples=max(400, settings().max_examples // 5))
def test_every_path_that_tomllib_yields_has_its_line(document: str, newline: str) -> None:
    text = numbered(document).replace("\n", newline)
    try:
        read = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        assume(False)
    located = locate(text)
    lines = text.split("\n")
    for path, value in leaves(read):
        if not path:
            continue
        assert path in located
        if isinstance(value, int) and value >= 9_000_000:
            assert str(value) in lines[located[path] - 1]
    assert set(located) == {path for path, _ in leaves(read)} - {()}


def test_the_lines_of_a_usual_file() -> None:
    text = """language = "nl"

[[smarthost]]
name = "a"
[smarthost.oauth2]
flow = "code"

[[smarthost]]
name = "b"
password = { file = "x" }
allowed_senders = [
  "a@b.nl",
  "c@d.nl",
]
sender.policy = "keep"
"""
    located = locate(text)
    assert located["language",] == 1
    assert located["smarthost",] == 3
    assert located["smarthost", 0, "oauth2"] == 5
    assert located["smarthost", 0, "oauth2", "flow"] == 6
    assert located["smarthost", 1] == 8
    assert located["smarthost", 1, "password", "file"] == 10
    assert located["smarthost", 1, "allowed_senders", 1] == 13
    assert located["smarthost", 1, "sender", "policy"] == 15


def test_what_does_not_stand_in_the_file_has_the_line_of_what_should_hold_it() -> None:
    located = locate('\n[[smarthost]]\nname = "a"\n')
    assert line_of(located, ("smarthost", 0, "host")) == 2
    assert line_of(located, ("spool", "url")) is None


def test_nesting_without_end_is_left_out() -> None:
    assert ("a",) in locate("a = " + "[" * 100_000)
