"""What the `relay import` commands share: they show what they read, and write when told to."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from relay.cli.session import talk
from relay.cli.texts import text

if TYPE_CHECKING:
    from relay.config.model import Language
    from relay.moving_in.letter import Note

WriteOption = Annotated[
    bool, typer.Option("--write", help="Do it; without this it shows what it would do, and asks.")
]

_YES = {"j", "ja", "y", "yes"}


def consent(language: Language, *, write: bool, as_json: bool) -> bool:
    """Whether to go on: `--write`, or yes to the question at a terminal."""
    if write or as_json:
        return write
    if not sys.stdin.isatty():
        talk(text("import.not-written", language))
        return False
    print(text("import.ask", language), end=" ", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().casefold() in _YES:
        return True
    talk(text("import.not-written", language))
    return False


def note_text(language: Language, note: Note) -> str:
    """A note in that language."""
    return text(f"import.note-{note.slug}", language, **note.values)
