"""Files that systemd loads for a service that may not read them itself (LoadCredential=)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path


def credential_name(path: Path) -> str:
    """The name under which `relay service unit` has a file loaded: another for each path."""

    def escaped(found: re.Match[str]) -> str:
        return "".join(f"_{byte:02x}" for byte in os.fsencode(found[0]))

    parts = (re.sub(r"[^A-Za-z0-9.]", escaped, part) for part in path.parts[1:])
    return "-".join(parts)


def readable(path: Path, environ: Mapping[str, str]) -> Path:
    """The file, or what systemd loaded of it where this process may not read the file itself.

    The file comes first: what is changed in it counts at once, the copy is of the start.
    """
    directory = environ.get("CREDENTIALS_DIRECTORY")
    if not directory or os.access(path, os.R_OK):
        return path
    copy = Path(directory) / credential_name(path)
    return copy if copy.exists() else path
