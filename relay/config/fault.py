"""A fault in the configuration: where it stands and what to do, in Dutch and in English."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from relay.reason import ReasonedError

Language = Literal["nl", "en"]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong (or worth a warning) in a configuration file.

    `file` is the name to show, `line` counts from 1 and is None where no line can be named,
    `key` is a path such as `smarthost[0].port` and empty where the fault has none.
    """

    file: str
    line: int | None
    key: str
    nl: str
    en: str

    def text(self, language: str) -> str:
        """One line for people: `relay.toml:12: smarthost[0].port: ...`."""
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        message = self.nl if language == "nl" else self.en
        return ": ".join(part for part in (place, self.key, message) if part)


class BadValueError(ReasonedError, ValueError):
    """A value that cannot stand where it stands: why, in Dutch and English."""


def why_unreadable(error: OSError) -> tuple[str, str]:
    """The system's reason in Dutch and English; the system itself knows English only."""
    if isinstance(error, FileNotFoundError):
        return "bestaat niet", "it does not exist"
    if isinstance(error, PermissionError):
        return "geen leesrecht", "no permission"
    if isinstance(error, IsADirectoryError):
        return "het is een map", "it is a directory"
    reason = error.strerror or type(error).__name__
    return reason, reason


class ConfigError(Exception):
    """The configuration cannot be used; `faults` names every reason, in the order of the file.

    `language` is what the file asks for, None where it says nothing or cannot be read.
    """

    def __init__(self, faults: tuple[Fault, ...], language: Language | None = None) -> None:
        super().__init__("; ".join(fault.text("en") for fault in faults))
        self.faults = faults
        self.language = language
