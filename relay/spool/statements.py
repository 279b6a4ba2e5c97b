"""Named SQL statements."""


def named(script: str) -> dict[str, str]:
    """The statements of a script, by the name that stands above each as `-- name: x`."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in script.splitlines():
        if line.startswith("-- name: "):
            name = line.removeprefix("-- name: ").strip()
            found[name] = []
        elif name and not line.startswith("--"):
            found[name].append(line)
    return {name: "\n".join(lines).strip() for name, lines in found.items()}
