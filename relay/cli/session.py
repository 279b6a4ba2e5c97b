"""One run of a command: the configuration in force, the language, the way to answer."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from relay.cli.texts import text

if TYPE_CHECKING:
    from relay.config.model import Config, Language

EXIT_PROBLEMS = 1
EXIT_USAGE = 2
EXIT_UNCHECKED = 3
EXIT_BUG = 70


@dataclass(frozen=True, slots=True)
class Session:
    """What a command knows before it starts."""

    config: Config
    as_json: bool

    @property
    def language(self) -> Language:
        """`--lang`, else what the configuration says."""
        return self.config.language

    def text(self, key: str, /, **values: object) -> str:
        """A text of the catalogue in this run's language."""
        return text(key, self.language, **values)

    def stop(self, key: str, /, **values: object) -> NoReturn:
        """End with exit code 2 and a text on stderr."""
        stop(self.text(key, **values))


def open_session(
    config: Path | None, lang: Language | None, as_json: bool, *, secrets: bool = False
) -> Session:
    """The session for these options; exit 2 with every fault located if there is no good one.

    Where the command itself needs no `secrets`, one that cannot be used does not stop it: most of
    all then somebody wants to look at the queue.
    """
    from relay.config.fault import ConfigError
    from relay.config.load import resolve_config

    try:
        found = resolve_config(config, os.environ, secrets=secrets)
    except ConfigError as error:
        language = lang or error.language or locale_language()
        stop(*(fault.text(language) for fault in error.faults))
    return Session(found if lang is None else replace(found, language=lang), as_json)


def locale_language() -> Language:
    """The language of somebody whose configuration cannot be read."""
    from relay.config.defaults import locale_language as language

    return language(os.environ)


def talk(*lines: str) -> None:
    """Lines for people, on stderr."""
    for line in lines:
        print(line, file=sys.stderr)


def stop(*lines: str) -> NoReturn:
    """End with exit code 2 and these lines on stderr."""
    talk(*lines)
    raise typer.Exit(EXIT_USAGE)
