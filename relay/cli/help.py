"""`--help` begins with an example: most people look for that, and copy it."""

from __future__ import annotations

import re
from typing import Any

from typer.core import TyperGroup

_EXAMPLE = re.compile(r"(?:^|\n\n)(Example: .*?)(?=\n\n|\Z)", re.DOTALL)
_FIRST_SENTENCE = re.compile(r".*?[.;](?=\s)|.*", re.DOTALL)


class ExampleFirst(TyperGroup):
    """A group whose help, and that of its commands, has the examples before the explanation.

    They stand last in the docstrings, where they disturb a reader of the code least.
    """

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for command in (self, *self.commands.values()):
            _put_example_first(command)


def _put_example_first(command: Any) -> None:
    text = (command.help or "").strip()
    examples = _EXAMPLE.findall(text)
    about = _EXAMPLE.sub("", text).strip()
    if not examples or text.startswith(examples[0]):
        return
    # The list of commands would show the first words of the help, which are no longer about it.
    first = _FIRST_SENTENCE.match(about)
    words = " ".join((first[0] if first else about).split())
    command.short_help = command.short_help or words.rstrip(";")
    command.help = "\n\n".join((*examples, about))
