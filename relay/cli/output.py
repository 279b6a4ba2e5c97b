"""How commands answer: one JSON document, or text and tables that paste well into a ticket."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from presets.reply import sanitise


def print_json(document: dict[str, Any]) -> None:
    """The document in ASCII, so that no terminal or code page can spoil it."""
    print(json.dumps(document, indent=2))


def print_table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A plain table; what mail put into a cell cannot steer the terminal."""
    from tabulate import tabulate

    cells = [[cell(value) for value in row] for row in rows]
    print(tabulate(cells, headers=list(headers), tablefmt="simple", disable_numparse=True))


def print_pairs(pairs: Iterable[tuple[str, object]]) -> None:
    """Names with their values, one a line; empty values are left out."""
    shown = [(name, cell(value)) for name, value in pairs]
    shown = [(name, value) for name, value in shown if value]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        print(f"{name + ':':<{width + 1}} {value}")


def cell(value: object) -> str:
    """A value as people read it, printable and on one line; nothing for None."""
    if value is None:
        return ""
    return sanitise(str(value))


def local_time(text: str | None) -> str:
    """An RFC 3339 time by this machine's clock, to the second."""
    if text is None:
        return ""
    return datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def reply_text(reply: dict[str, Any] | None) -> str:
    """A reply in one line, as the server gave it."""
    if reply is None:
        return ""
    parts = (reply["code"] or None, reply["enhanced"], reply["text"])
    return " ".join(str(part) for part in parts if part)
