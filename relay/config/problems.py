"""Faults as they are found, before it is known at which line they stand."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from relay.config.fault import BadValueError, Fault
from relay.config.locate import Path, line_of
from relay.config.secret import SecretError


class Problem(NamedTuple):
    path: Path
    nl: str
    en: str


class Problems:
    """Collects errors and warnings, each with the path of its key.

    Keys in `dropped` were reported and left out of what is checked further; no second error is
    noted for them, since it would only be a consequence of the first. Without `secrets`, for what
    needs none, one that cannot be used only warns.
    """

    def __init__(self, secrets: bool = True) -> None:
        self._secrets = secrets
        self.errors: list[Problem] = []
        self.warnings: list[Problem] = []
        self.dropped: set[Path] = set()

    def error(self, path: Path, nl: str, en: str) -> None:
        if not any(path[:length] in self.dropped for length in range(1, len(path) + 1)):
            self.errors.append(Problem(path, nl, en))

    def warning(self, path: Path, nl: str, en: str) -> None:
        self.warnings.append(Problem(path, nl, en))

    def wrong(self, path: Path, reason: BadValueError | SecretError) -> None:
        """Notes an error that carries its own texts."""
        self.error(path, reason.nl, reason.en)

    def unusable(self, path: Path, reason: BadValueError | SecretError) -> None:
        """Notes a secret that cannot be read, or is not what it should be."""
        if self._secrets:
            self.wrong(path, reason)
        else:
            self.warning(path, reason.nl, reason.en)


def faults(problems: list[Problem], file: str, lines: Mapping[Path, int]) -> tuple[Fault, ...]:
    """The problems with their lines, in the order of the file; those without a line come last."""
    located = [
        Fault(file, line_of(lines, problem.path), key(problem.path), problem.nl, problem.en)
        for problem in problems
    ]
    return tuple(sorted(located, key=lambda fault: (fault.line is None, fault.line or 0)))


def key(path: Path) -> str:
    """A path as people read it: `smarthost[0].port`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            # Quoted keys may hold anything, escape sequences for a terminal included.
            part = part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else repr(part)
            text += f".{part}" if text else part
    return text
