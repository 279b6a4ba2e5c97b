"""Named SQL statements, one file for each part of a store, and the numbered migrations."""

from functools import cache
from importlib.resources import files

from relay.spool.statements import named


@cache
def statements(file: str) -> dict[str, str]:
    """The statements of `file`, by name."""
    return named((files(__name__) / file).read_text(encoding="utf-8"))


@cache
def whole_script(file: str) -> str:
    """A script to be run as a whole."""
    return (files(__name__) / file).read_text(encoding="utf-8")


@cache
def migrations() -> tuple[str, ...]:
    """The migration scripts in order; the n-th leads to schema n."""
    scripts = sorted(
        (entry for entry in files(__name__).iterdir() if entry.name[:4].isdigit()),
        key=lambda entry: entry.name,
    )
    return tuple(script.read_text(encoding="utf-8") for script in scripts)
