"""What the relay assumes where `relay.toml` is silent and the machine can tell."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from relay.config.fault import Language


def locale_language(environ: Mapping[str, str]) -> Language:
    """Dutch where the locale is Dutch (POSIX: LC_ALL before LC_MESSAGES before LANG), else English."""
    for variable in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := environ.get(variable):
            return "nl" if value.lower().startswith("nl") else "en"
    return "en"


def own_hostname() -> str:
    """This machine's name as EHLO allows it, without asking the DNS.

    What RFC 5321 section 4.1.2 does not allow becomes a hyphen, and a name without a dot gets
    `.localdomain`: many servers refuse an EHLO name that is not fully qualified.
    """
    labels = re.sub(r"[^a-z0-9.]+", "-", socket.gethostname().lower()).split(".")
    name = ".".join(filter(None, (label.strip("-")[:63] for label in labels)))[:240].strip(".")
    return name if "." in name else f"{name or 'relay'}.localdomain"


def default_spool_url(directory: Path) -> str:
    """The URL of the SQLite spool in a state directory."""
    path = (directory.absolute() / "spool.db").as_posix()
    return f"sqlite:///{quote(path.lstrip('/'), safe='/:')}"
