"""The tokens of a spool without `secret_key`: one file beside it, for its owner alone.

The spool's lock keeps other processes away; a lock of our own keeps other threads away.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from relay.config.fault import why_unreadable
from relay.spool.errors import VaultError
from relay.spool.vault_entry import BadEntryError, Grant, grant_of, values_of

T = TypeVar("T")
Account = tuple[str, str]  # host, user name

_SCHEMA = "relay-tokens/1"
_MOST_BYTES = 4_000_000
_SHARED = stat.S_IRWXG | stat.S_IRWXO


def tokens_file(spool: Path) -> Path:
    """Where the tokens of this spool are."""
    return spool.with_name(f"{spool.name}.tokens")


class FileVault:
    """See `relay.spool.protocol.Vault`. Each call reads the file again: nothing stays in memory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()

    async def grant(self, host: str, username: str) -> Grant | None:
        grants = await asyncio.to_thread(self.read)
        return grants.get((host, username))

    async def keep(self, host: str, username: str, grant: Grant) -> None:
        def change(grants: dict[Account, Grant]) -> None:
            grants[host, username] = grant

        await asyncio.to_thread(self._change, change)

    async def forget(self, host: str, username: str) -> bool:
        return await asyncio.to_thread(
            self._change, lambda grants: grants.pop((host, username), None) is not None
        )

    def read(self) -> dict[Account, Grant]:
        """All grants. Raises VaultError: open to others, damaged, or not to be read."""
        try:
            # Windows does not replace a file that somebody has open.
            with self._lock, self.path.open("rb") as stream:
                self._refuse_shared(os.fstat(stream.fileno()).st_mode)
                data = stream.read(_MOST_BYTES + 1)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise _inaccessible(self.path, error) from error
        try:
            return _parsed(data)
        except (ValueError, BadEntryError, RecursionError):
            # Without the cause, which may quote a token.
            raise _damaged(self.path) from None

    def _change(self, change: Callable[[dict[Account, Grant]], T]) -> T:
        with self._lock:
            grants = self.read()
            result = change(grants)
            try:
                self._write(grants)
            except OSError as error:
                raise _inaccessible(self.path, error) from error
            return result

    def _write(self, grants: dict[Account, Grant]) -> None:
        """Replace the file as a whole: after a crash it is the old one or the new one."""
        new = self.path.with_name(f"{self.path.name}.new")
        new.unlink(missing_ok=True)
        # Made anew, never followed through a link, and closed to others from its first byte on.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        descriptor = os.open(new, flags, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                give_to_owner(descriptor, self.path.parent)
                stream.write(_document(grants))
                stream.flush()
                os.fsync(stream.fileno())
            new.replace(self.path)
        except BaseException:
            with contextlib.suppress(OSError):
                new.unlink()
            raise
        sync_directory(self.path.parent)

    def _refuse_shared(self, mode: int) -> None:
        # Windows guards files by access lists; its mode bits say nothing about others.
        if os.name != "nt" and mode & _SHARED:
            raise VaultError(
                f"{self.path} is toegankelijk voor anderen; doe: chmod 600 {self.path}",
                f"{self.path} is open to others; run: chmod 600 {self.path}",
            )


def give_to_owner(descriptor: int, directory: Path) -> None:
    """What root writes for a relay that is stopped belongs to whom the spool's directory does."""
    if os.name != "nt" and os.geteuid() == 0:
        owner = directory.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def sync_directory(path: Path) -> None:
    """Make the names in this directory durable; Windows has no way to, and no need."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _document(grants: dict[Account, Grant]) -> bytes:
    entries = [
        {"host": host, "username": username, **values_of(grant)}
        for (host, username), grant in sorted(grants.items())
    ]
    return json.dumps({"schema": _SCHEMA, "accounts": entries}, indent=1).encode() + b"\n"


def _parsed(data: bytes) -> dict[Account, Grant]:
    if len(data) > _MOST_BYTES:
        raise ValueError("too large")
    document: Any = json.loads(data)
    if not isinstance(document, dict) or document.get("schema") != _SCHEMA:
        raise ValueError("another schema")
    found: dict[Account, Grant] = {}
    for entry in document.get("accounts") or ():
        if not isinstance(entry, dict):
            raise ValueError("no entry")
        host, username = entry.get("host"), entry.get("username")
        if not isinstance(host, str) or not isinstance(username, str):
            raise ValueError("no account")
        found[host, username] = grant_of(entry)
    return found


def _damaged(path: Path) -> VaultError:
    return VaultError(
        f"{path} is beschadigd; zet een reservekopie terug, of hernoem het bestand en doe voor"
        " elk OAuth2-account opnieuw: relay account login NAAM",
        f"{path} is damaged; restore a backup, or rename the file and run for each OAuth2 account"
        " again: relay account login NAME",
    )


def _inaccessible(path: Path, error: OSError) -> VaultError:
    nl, en = why_unreadable(error)
    return VaultError(
        f"{path} is niet te gebruiken ({nl}); geef de gebruiker van de dienst lees- en"
        " schrijfrecht op het bestand en zijn map, en ruimte op de schijf",
        f"{path} cannot be used ({en}); let the service's user read and write the file and its"
        " directory, and see that the disk has room",
    )
