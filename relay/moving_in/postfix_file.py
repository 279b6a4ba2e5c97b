"""The files of a Postfix configuration as Postfix reads them: main.cf, master.cf, lookup tables.

After postconf(5), master(5) and postmap(1). Nothing is run: what only Postfix itself can look up
(a compiled table without its text, a regular expression, a database) is not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

# These are made by postmap of a text that stands beside them without the suffix.
_COMPILED = {
    "hash": ".db",
    "btree": ".db",
    "lmdb": ".lmdb",
    "cdb": ".cdb",
    "dbm": ".pag",
    "sdbm": ".pag",
}
_TEXT = {"texthash", *_COMPILED}
_NAME = re.compile(r"\$(?:([A-Za-z0-9_]+)|\{([A-Za-z0-9_]+)\}|\(([A-Za-z0-9_]+)\))")
_DEEPEST = 20
_TABLE_BYTES = 10_000_000


@dataclass(frozen=True, slots=True)
class Service:
    """A line of master.cf: which program serves an address, and what is set for it alone."""

    name: str
    kind: str
    program: str
    overrides: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Table:
    """A lookup table: its rows in order, keys in small letters.

    `stale`: the text is newer than what postmap made of it, so Postfix does not know it yet.
    """

    rows: Mapping[str, str]
    stale: bool = False


class Unreadable(Exception):
    """A table of which there is no text here; says which, and why."""

    def __init__(self, table: str, reason: str) -> None:
        super().__init__(f"{table}: {reason}")
        self.table = table
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Parameters:
    """What main.cf sets, values as written; `value` fills in what they refer to."""

    raw: Mapping[str, str]
    defaults: Mapping[str, str] = field(default_factory=dict)

    def __contains__(self, name: str) -> bool:
        return name in self.raw

    def value(self, name: str) -> str:
        """The value with every `$name` replaced; empty where it is not set."""
        return self.expand(self.raw.get(name, self.defaults.get(name, "")))

    def words(self, name: str) -> list[str]:
        """The value as a list, which commas and blanks separate; what braces hold stays whole."""
        return re.findall(r"(?:\{[^}]*\}|[^\s,{])+", self.value(name))

    def on(self, name: str) -> bool:
        """Whether a yes/no parameter says yes."""
        return self.value(name).lower() == "yes"

    def names(self, name: str) -> set[str]:
        """The parameters that the value of this one refers to."""
        return {"".join(found) for found in _NAME.findall(self.raw.get(name, ""))}

    def expand(self, text: str, depth: int = 0) -> str:
        """`text` with `$name`, `${name}` and `$(name)` replaced, `$$` as one dollar.

        Conditions (`${name?..}`) stay as they are.
        """

        def one(found: re.Match[str]) -> str:
            name = found[1] or found[2] or found[3]
            inner = self.raw.get(name, self.defaults.get(name))
            if inner is None or depth > _DEEPEST:
                return found[0]
            return self.expand(inner, depth + 1)

        return "$".join(_NAME.sub(one, part) for part in text.split("$$"))


def read_main(text: str) -> dict[str, str]:
    """The parameters of main.cf; of one that is set twice, the last."""
    found: dict[str, str] = {}
    for line in logical_lines(text):
        name, equals, value = line.partition("=")
        if equals and name.strip():
            found[name.strip()] = value.strip()
    return found


def read_master(text: str) -> list[Service]:
    """The services of master.cf."""
    services = []
    for line in logical_lines(text):
        words = line.split(None, 7)
        if len(words) == 8:
            program, _, arguments = words[7].partition(" ")
            services.append(Service(words[0], words[1], program, _overrides(arguments)))
    return services


def _overrides(arguments: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for option in re.finditer(r"-o\s*(?:\{([^}]*)\}|(\S+))", arguments):
        name, _, value = (option[1] or option[2]).partition("=")
        found[name.strip()] = value.strip()
    return found


def read_table(reference: str) -> Table:
    """A `type:path` of which there is a text. Raises Unreadable."""
    kind, _, place = reference.partition(":")
    if kind not in _TEXT:
        raise Unreadable(reference, "type")
    path = Path(place)
    try:
        with path.open("rb") as file:
            text = file.read(_TABLE_BYTES).decode("utf-8", "replace")
        newer = path.stat().st_mtime
    except OSError as error:
        raise Unreadable(reference, error.strerror or str(error)) from error
    rows: dict[str, str] = {}
    for line in logical_lines(text):
        words = line.split(None, 1)
        if len(words) == 2:
            rows.setdefault(words[0].lower(), words[1].strip())
    compiled = path.with_name(path.name + _COMPILED.get(kind, ""))
    try:
        stale = compiled != path and compiled.stat().st_mtime < newer
    except OSError:
        stale = False
    return Table(rows, stale)


def logical_lines(text: str) -> Iterator[str]:
    """Lines with those that begin with a blank joined to them; comments and empty lines gone."""
    parts: list[str] = []
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue  # also between the parts of one line
        if line[0] in " \t" and parts:
            parts.append(line.strip())
            continue
        if parts:
            yield " ".join(parts)
        parts = [line.strip()]
    if parts:
        yield " ".join(parts)
