"""The configuration as the page shows it, and a pasted one held against it.

Nothing here writes: the page offers the text for download, and a person puts it in its place.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

from relay.config.fault import Fault
from relay.config.load import differences, file_text
from relay.config.model import Config, ConfigError
from relay.config.origins import MASK, entries
from relay.config.pasted import check_pasted
from relay.config.places import FILE_NAME, SYSTEM_CONFIG
from relay.control.documents import Document, document
from relay.control.errors import Declined

MOST_CHARACTERS = 100_000
MOST_LINES = 5_000
MOST_DOTS = 300  # in a line: the time that a dotted key takes to parse grows with their square
MOST_DIFF_LINES = 2_000
_LONGEST_LINE = 1_000

# A secret written out, which is a fault, or left behind in a comment; a reference begins with {.
_LITERAL = re.compile(
    r"""(?ix) (\b(?:password|password_hash|client_secret|secret_key|secret|wachtwoord)["']?[ \t]*[=:][ \t]*)
    (?: "{3}[\s\S]*?(?:"{3}|\Z) | '{3}[\s\S]*?(?:'{3}|\Z)
      | "(?:[^"\\\n]|\\.)*" | '[^'\n]*' | ["'][^\n]* | [^\s{"'][^\s,}]* )"""
)
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [^\n]*-----|\Z)")
# Its path is what lets its holder post there.
_WEBHOOK = re.compile(
    r"""(?i)(webhook["']?[ \t]*=[ \t]*["']https?://)(?:[^/"'\s@]*@)?([^/"'\s?\#]*)[^"'\n]+"""
)


def settings_document(config: Config) -> Document:
    """Each value in force with its origin, and the file. Reads the file; blocks.

    `in_force` is False where the file says something else by now, or cannot be read, and then
    the lines named may be off. `masked`: the text of the file is not shown whole.
    """
    text, fault = _text(config)
    shown = None if text is None else masked(text)
    return document(
        "settings",
        path=None if config.path is None else str(config.path),
        sandbox=config.sandbox,
        entries=[asdict(each) for each in entries(config, text)],
        file=shown,
        masked=shown != text,
        in_force=fault is None and _is_in_force(config, text),
        faults=_fault_documents(fault.faults) if fault is not None else [],
        warnings=_fault_documents(config.warnings),
    )


def checked_document(text: str, config: Config) -> Document:
    """What would become of a text as the configuration: its faults, else what it changes. Blocks.

    Raises Declined: the text, or a line of it, is too long.
    """
    _check_size(text)
    path = config.path or SYSTEM_CONFIG / FILE_NAME
    faults: tuple[Fault, ...] = ()
    warnings: tuple[Fault, ...] = ()
    needs_restart: tuple[str, ...] = ()
    try:
        found = check_pasted(text, path, config, os.environ)
        warnings, needs_restart = found.warnings, differences(config, found)
    except ConfigError as error:
        faults = error.faults
    except RecursionError:
        nl, en = "de tabellen zitten te diep in elkaar", "the tables are nested too deeply"
        faults = (Fault(path.name, None, "", nl, en),)
    present, _ = _text(config)
    diff = list(_diff(present or "", text, path))
    return document(
        "settings check",
        verdict="fail" if faults else "warn" if warnings else "pass",
        faults=_fault_documents(faults),
        warnings=_fault_documents((*_masks_left(text, path), *warnings)),
        diff=diff[:MOST_DIFF_LINES],
        diff_complete=len(diff) <= MOST_DIFF_LINES,
        needs_restart=list(needs_restart),
    )


def _check_size(text: str) -> None:
    if len(text) > MOST_CHARACTERS or text.count("\n") > MOST_LINES:
        raise Declined(
            f"de tekst is te lang: hooguit {MOST_CHARACTERS} tekens en {MOST_LINES} regels",
            f"the text is too long: at most {MOST_CHARACTERS} characters and {MOST_LINES} lines",
        )
    for number, line in enumerate(text.split("\n"), 1):
        if line.count(".") > MOST_DOTS:
            raise Declined(
                f"regel {number} is te lang; verdeel hem over meer regels",
                f"line {number} is too long; break it into several",
            )


def masked(text: str) -> str:
    """The text of a configuration without what nobody should read over a shoulder."""
    text = _PRIVATE_KEY.sub(MASK, _WEBHOOK.sub(rf"\g<1>\g<2>/{MASK}", text))
    return _LITERAL.sub(rf'\g<1>"{MASK}"', text)


def _text(config: Config) -> tuple[str | None, ConfigError | None]:
    if config.path is None:
        return None, None
    try:
        return file_text(config.path), None
    except ConfigError as error:
        return None, error


def _is_in_force(config: Config, text: str | None) -> bool:
    if config.path is None or text is None:
        return config.path is None
    try:
        found = check_pasted(text, config.path, config, os.environ)
    except (ConfigError, RecursionError):
        return False
    return replace(found, warnings=()) == replace(config, warnings=())


def _diff(present: str, text: str, path: Path) -> Iterator[str]:
    if present.count("\n") > MOST_LINES:
        return
    lines = difflib.unified_diff(
        masked(present).splitlines(),
        masked(text.replace("\r\n", "\n")).splitlines(),
        path.name,
        path.name,
        lineterm="",
    )
    yield from (line[:_LONGEST_LINE] for line in lines)


def _masks_left(text: str, path: Path) -> Iterator[Fault]:
    for number, line in enumerate(text.splitlines(), 1):
        if MASK in line.partition("#")[0]:
            nl = f"hier staat nog {MASK}; zet terug wat de pagina niet liet zien"
            en = f"{MASK} still stands here; put back what the page did not show"
            yield Fault(path.name, number, "", nl, en)


def _fault_documents(faults: tuple[Fault, ...]) -> list[Document]:
    return [
        {"file": each.file, "line": each.line, "key": each.key, "nl": each.nl, "en": each.en}
        for each in faults
    ]
