"""Named SQL statements of the PostgreSQL store, and its numbered migrations."""

from functools import cache
from importlib.resources import files


@cache
def statements(file: str) -> dict[str, str]:
    """The statements of `file`, by the name that stands above each as `-- name: x`."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in (files(__name__) / file).read_text(encoding="utf-8").splitlines():
        if line.startswith("-- name: "):
            name = line.removeprefix("-- name: ").strip()
            found[name] = []
        elif name and not line.startswith("--"):
            found[name].append(line)
    return {name: "\n".join(lines).strip() for name, lines in found.items()}


@cache
def migrations() -> dict[str, str]:
    """The migration scripts by name, in the order in which they are applied."""
    scripts = sorted(
        (entry for entry in files(__name__).iterdir() if entry.name[:4].isdigit()),
        key=lambda entry: entry.name,
    )
    return {script.name: script.read_text(encoding="utf-8") for script in scripts}
