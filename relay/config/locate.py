"""At which line a key of a TOML text stands. Runs only when there is a fault to report.

tomllib gives no positions, so this scans the text a second time. It takes a text that tomllib
has accepted, and needs to know no more of TOML than where keys and values begin and end.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from collections.abc import Mapping
from contextlib import suppress

Path = tuple[str | int, ...]

SPACE = re.compile(r"[ \t]*")
FILLER = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
BARE_VALUE = re.compile(r"[^,\]}#\r\n]*")
# A multi-line string may end in five quotes: two of its own and the closing three.
STRINGS = (
    re.compile(r'"""(?:[^\\]|\\.)*?"{3,5}(?!")', re.DOTALL),
    re.compile(r"'''.*?'{3,5}(?!')", re.DOTALL),
    re.compile(r'"(?:[^"\\\n]|\\.)*"'),
    re.compile(r"'[^'\n]*'"),
)


def locate(text: str) -> Mapping[Path, int]:
    """The line, from 1, of each key, table and array element: `("smarthost", 0, "port")`.

    `text` must be TOML that tomllib reads. What is nested deeper than Python's recursion limit
    allows is left out.
    """
    scan = _Scan(text)
    with suppress(RecursionError):
        scan.document()
    return scan.lines


def line_of(lines: Mapping[Path, int], path: Path) -> int | None:
    """The line of `path`, or else of what holds it; None if nothing of it stands in the text."""
    while path:
        if path in lines:
            return lines[path]
        path = path[:-1]
    return None


class _Scan:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[Path, int] = {}
        self._breaks = [match.start() for match in re.finditer("\n", text)]
        self._elements: dict[Path, int] = {}

    def document(self) -> None:
        table: Path = ()
        self._skip(FILLER)
        while self.at < len(self.text):
            if self.text[self.at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip(FILLER)

    def _header(self) -> Path:
        start = self.at
        is_array = self.text.startswith("[[", start)
        self.at += 2 if is_array else 1
        path: Path = ()
        keys = self._keys()
        self.at += 2 if is_array else 1
        for key in keys[:-1]:
            path = self._inside((*path, key), start)
        path = (*path, keys[-1])
        self._note(path, start)
        if is_array:
            self._elements[path] = self._elements.get(path, -1) + 1
            path = (*path, self._elements[path])
            self._note(path, start)
        return path

    def _inside(self, path: Path, start: int) -> Path:
        """The table that a key of a header leads to: of an array, its last element."""
        self._note(path, start)
        return (*path, self._elements[path]) if path in self._elements else path

    def _pair(self, table: Path) -> None:
        start = self.at
        path = table
        for key in self._keys():
            path = (*path, key)
            self._note(path, start)
        self.at += 1  # the equals sign
        self._skip(SPACE)
        self._value(path)

    def _keys(self) -> list[str]:
        """The parts of a dotted key; stands behind it, blanks included, on return."""
        keys: list[str] = []
        while True:
            self._skip(SPACE)
            start = self.at
            if self.text[start] in "\"'":
                self._skip(STRINGS[2] if self.text[start] == '"' else STRINGS[3])
                keys.append(tomllib.loads(f"k = {self.text[start : self.at]}")["k"])
            else:
                self._skip(BARE_KEY)
                keys.append(self.text[start : self.at])
            self._skip(SPACE)
            if not self.text.startswith(".", self.at):
                return keys
            self.at += 1

    def _value(self, path: Path) -> None:
        first = self.text[self.at]
        if first in "\"'":
            next(filter(self._skip, STRINGS))
        elif first == "[":
            self._array(path)
        elif first == "{":
            self._inline_table(path)
        else:
            self._skip(BARE_VALUE)

    def _array(self, path: Path) -> None:
        self.at += 1
        count = 0
        self._skip(FILLER)
        while self.text[self.at] != "]":
            element = (*path, count)
            self._note(element, self.at)
            self._value(element)
            count += 1
            self._next_item()
        self.at += 1

    def _inline_table(self, path: Path) -> None:
        self.at += 1
        self._skip(FILLER)
        while self.text[self.at] != "}":
            self._pair(path)
            self._next_item()
        self.at += 1

    def _next_item(self) -> None:
        self._skip(FILLER)
        if self.text[self.at] == ",":
            self.at += 1
            self._skip(FILLER)

    def _note(self, path: Path, position: int) -> None:
        self.lines.setdefault(path, bisect_right(self._breaks, position - 1) + 1)

    def _skip(self, pattern: re.Pattern[str]) -> bool:
        """Moves behind the pattern, True if it stands here."""
        match = pattern.match(self.text, self.at)
        if match:
            self.at = match.end()
        return match is not None
