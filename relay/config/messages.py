"""What is wrong with a file, in our own words: pydantic's and tomllib's texts are English only."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic_core import ErrorDetails

from relay.config.fault import BadValueError

Texts = tuple[str, str]

# Keys of pydantic's error context fill the braces.
BY_TYPE: Mapping[str, Texts] = {
    "missing": ("ontbreekt, en heeft geen standaardwaarde", "is missing, and has no default"),
    "string_type": ("moet een tekst zijn, tussen aanhalingstekens", "must be a quoted text"),
    "int_type": (
        "moet een geheel getal zijn, zonder aanhalingstekens",
        "must be a whole number, without quotes",
    ),
    "bool_type": (
        "moet true of false zijn, zonder aanhalingstekens",
        "must be true or false, without quotes",
    ),
    "list_type": ('moet een lijst zijn, zoals ["a", "b"]', 'must be a list such as ["a", "b"]'),
    "model_type": (
        "moet een tabel zijn, zoals {{ sleutel = waarde }}",
        "must be a table such as {{ key = value }}",
    ),
    "greater_than_equal": ("moet minstens {ge} zijn", "must be at least {ge}"),
    "less_than_equal": ("mag hoogstens {le} zijn", "must be at most {le}"),
    "too_short": ("mag niet leeg zijn", "must not be empty"),
    "enum": ("moet een van deze zijn: {expected}", "must be one of: {expected}"),
    "literal_error": ("moet een van deze zijn: {expected}", "must be one of: {expected}"),
}
OTHER: Texts = ("deze waarde past hier niet", "this value does not fit here")

BY_SYNTAX: tuple[tuple[str, str, str], ...] = (
    ("Expected '=' after a key", "na een sleutel hoort =", "a key is followed by ="),
    ("Cannot overwrite a value", "deze sleutel staat er al", "this key stands there already"),
    ("Cannot declare", "deze tabel staat er al", "this table stands there already"),
    ("Cannot mutate", "deze tabel is al af", "this table is complete already"),
    ("Invalid initial character for a key part", "hier hoort een sleutel", "a key belongs here"),
    ("Invalid statement", "hier hoort een sleutel of een [tabel]", "a key or a [table] belongs here"),
    ("Invalid value", "de waarde is niet te lezen; zet tekst tussen aanhalingstekens", "the value cannot be read; put text in quotes"),
    ("Expected newline or end of document", "er staat nog iets achter de waarde", "something follows the value"),
    ("Expected ']'", "een ] ontbreekt", "a ] is missing"),
    ("Unclosed array", "een ] of een komma ontbreekt", "a ] or a comma is missing"),
    ("Unclosed inline table", "een } of een komma ontbreekt", "a } or a comma is missing"),
    ("Unterminated string", "een aanhalingsteken ontbreekt", "a quote is missing"),
    ("Illegal character", "de tekst bevat een teken dat daar niet mag; sluit de aanhalingstekens", "the text has a character that may not stand there; close the quotes"),
    ("Unescaped '\\' in a string", "verdubbel elke \\, of gebruik enkele aanhalingstekens", "double each \\, or use single quotes"),
    ("Invalid hex value", "verdubbel elke \\, of gebruik enkele aanhalingstekens", "double each \\, or use single quotes"),
    ("Cannot redefine", "deze tabel staat er al", "this table stands there already"),
    ("Expected ']]'", "een ] ontbreekt", "a ] is missing"),
    ("Duplicate inline table key", "deze sleutel staat er al", "this key stands there already"),
)  # fmt: skip


def schema_fault(error: ErrorDetails, valid_keys: Iterable[str]) -> Texts:
    """The Dutch and the English text of what pydantic found; never shows the value itself."""
    context: dict[str, Any] = error.get("ctx", {})
    if isinstance(cause := context.get("error"), BadValueError):
        return cause.nl, cause.en
    if error["type"] == "extra_forbidden":
        return unknown_key(str(error["loc"][-1]), valid_keys)
    nl, en = BY_TYPE.get(error["type"], OTHER)
    expected = str(context.get("expected", ""))
    return (
        nl.format_map({**context, "expected": expected.replace(" or ", " of ")}),
        en.format_map({**context, "expected": expected}),
    )


def unknown_key(name: str, valid_keys: Iterable[str]) -> Texts:
    """Says that a key is not known, with the nearest ones, or all where none is near."""
    valid = list(valid_keys)
    if near := get_close_matches(name, valid, n=3, cutoff=0.6):
        return (
            f"deze sleutel bestaat niet; bedoelt u {' of '.join(near)}?",
            f"there is no such key; do you mean {' or '.join(near)}?",
        )
    known = ", ".join(valid)
    return f"deze sleutel bestaat niet; wel: {known}", f"there is no such key; these are: {known}"


def syntax_fault(error: Exception, text: str) -> tuple[int | None, str, str]:
    """(line, Dutch, English) of what tomllib says about `text`."""
    found = str(error)
    line: int | None = None
    if place := re.search(r"\(at line (\d+), column \d+\)", found):
        line = int(place[1])
    elif found.endswith("(at end of document)"):
        line = max(1, len(text.splitlines()))
    for start, nl, en in BY_SYNTAX:
        if found.startswith(start):
            return line, f"geen geldige TOML: {nl}", f"not valid TOML: {en}"
    return (
        line,
        "geen geldige TOML: deze regel is niet te lezen",
        "not valid TOML: this line cannot be read",
    )
