"""How commands find and enter a running relay: two small files beside its spool.

`control.token` is the key to the API and readable by the service's user alone; `control.address`
says where the API listens, since the configuration may have been edited after the start.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

TOKEN_FILE = "control.token"
ADDRESS_FILE = "control.address"


def publish(spool: Path, url: str) -> str:
    """Make a new token, and write both files beside `spool`; the token. Raises OSError."""
    spool.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    token = secrets.token_urlsafe(32)
    _write(spool.with_name(TOKEN_FILE), token)
    _write(spool.with_name(ADDRESS_FILE), url)
    return token


def withdraw(spool: Path) -> None:
    """Remove both files; what is gone already, or cannot be removed, does no harm."""
    for name in (ADDRESS_FILE, TOKEN_FILE):
        with contextlib.suppress(OSError):
            spool.with_name(name).unlink()


def read_token(spool: Path) -> str:
    """The token of the relay that runs on `spool`. Raises OSError: none, or not for this user."""
    return spool.with_name(TOKEN_FILE).read_text(encoding="ascii").strip()


def read_address(spool: Path) -> str | None:
    """The URL of the running relay's API; None where there is none to be read."""
    try:
        return spool.with_name(ADDRESS_FILE).read_text(encoding="ascii").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def _write(path: Path, text: str) -> None:
    """Replace a file in one step; nobody else can read it at any moment."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text + "\n")
    fresh.replace(path)
