"""Named SQL statements of the PostgreSQL store, and its numbered migrations."""

from functools import cache
from importlib.resources import files

from relay.spool.statements import named


@cache
def statements(file: str) -> dict[str, str]:
    """The statements of `file`, by name."""
    return named((files(__name__) / file).read_text(encoding="utf-8"))


@cache
def migrations() -> dict[str, str]:
    """The migration scripts by name, in the order in which they are applied."""
    scripts = sorted(
        (entry for entry in files(__name__).iterdir() if entry.name[:4].isdigit()),
        key=lambda entry: entry.name,
    )
    return {script.name: script.read_text(encoding="utf-8") for script in scripts}
